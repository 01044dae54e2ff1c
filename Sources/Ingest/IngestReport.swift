/// What became of the lines of one request, and what the client is told.
package struct IngestReport: Sendable {
    package private(set) var lines = 0
    package private(set) var events = 0
    package private(set) var probes = 0
    package private(set) var invalid = 0
    package private(set) var tooLong = 0
    /// Invalid lines that came too fast to be kept.
    package private(set) var flooded = 0
    private var firstComplaint: String?

    package init() {}

    package mutating func lineCame() { lines += 1 }
    package mutating func eventCame() { events += 1 }
    package mutating func probeCame() { probes += 1 }

    /// - Parameter isKept: it becomes a dead letter.
    package mutating func invalidLineCame(_ reason: String, isKept: Bool) {
        if isKept { invalid += 1 } else { flooded += 1 }
        firstComplaint = firstComplaint ?? "line \(lines): \(reason)"
    }

    package mutating func tooLongLineCame(bytes: Int, most: Int) {
        tooLong += 1
        firstComplaint = firstComplaint ?? "line \(lines): it has \(bytes) bytes, the most is \(most)"
    }

    /// What the client is told when everything that can be stored is stored; nil when all is well.
    package var refusal: IngestRefusal? {
        guard let firstComplaint else { return nil }
        if flooded > 0 {
            return IngestRefusal(
                .invalidFlood, 429,
                "\(firstComplaint); \(flooded) of \(lines) lines are no events and came too fast to be kept, \(events) events are stored",
                retryAfterSeconds: 1)
        }
        if tooLong > 0 {
            return IngestRefusal(
                .tooLarge, 413,
                "\(firstComplaint); \(tooLong) of \(lines) lines are too long and are lost, \(events) events are stored"
            )
        }
        return IngestRefusal(
            .invalidLine, 400,
            "\(firstComplaint); \(invalid) of \(lines) lines are no events and become dead letters, \(events) events are stored"
        )
    }
}
