internal import HTTPServer
internal import Ingest
internal import Synchronization

/// The body of a POST, read line by line as it comes.
final class IngestUpload: HTTPBodyReceiver {
    private struct State {
        var splitter: LineSplitter
        /// Of a document: its text so far.
        var document: [UInt8] = []
        var isTooLong = false
        var reserved = 0
    }

    private let kind: IngestRoute.BodyKind
    private let intake: IngestIntake
    private let service: IngestService
    private let isStream: Bool
    private let state: Mutex<State>

    /// Of a partial line, below which nothing is accounted for.
    private static let freeBytes = 64 << 10

    init(_ kind: IngestRoute.BodyKind, _ intake: IngestIntake, _ service: IngestService, isStream: Bool) {
        self.kind = kind
        self.intake = intake
        self.service = service
        self.isStream = isStream
        state = Mutex(State(splitter: LineSplitter(maximumBytes: service.maximumLineBytes)))
    }

    func received(_ bytes: UnsafeRawBufferPointer, _ exchange: HTTPExchange) {
        service.metrics.add("skein_ingest_received_bytes_total", bytes.count)
        let lines: [LineSplitter.Line]
        switch kind {
        case .lines: lines = state.withLock { $0.splitter.receive(bytes) }
        case .document:
            lines = []
            state.withLock { state in
                if state.document.count + bytes.count > service.maximumLineBytes {
                    state.isTooLong = true
                    state.document = []
                }
                if !state.isTooLong { state.document += bytes }
            }
        }
        intake.take(lines)
        if !account() {
            return exchange.answer(
                service.answer(
                    IngestRefusal(
                        .memory, 503, "too much is under way; send it again later", retryAfterSeconds: 1)))
        }
        // First: `resume` may come from another thread before `mustWait` returns, and would be undone by a later pause.
        exchange.pause()
        if !intake.mustWait({ exchange.resume() }) { exchange.takeBackPause() }
    }

    /// Large unfinished lines count as held; when there is no room for one it cannot go on.
    private func account() -> Bool {
        let (change, isGrowing) = state.withLock { state in
            let held = state.splitter.heldBytes + state.document.count
            let wanted = held > IngestUpload.freeBytes ? held : 0
            defer { state.reserved = wanted }
            return (wanted - state.reserved, wanted > state.reserved)
        }
        if isGrowing, !service.publisher.hasRoom {
            state.withLock { $0.reserved -= change }
            return false
        }
        service.publisher.reserve(change)
        return true
    }

    func ended(_ exchange: HTTPExchange) {
        switch kind {
        case .lines:
            if let last = state.withLock({ $0.splitter.finish() }) { intake.take([last]) }
        case .document:
            let (document, isTooLong) = state.withLock { ($0.document, $0.isTooLong) }
            if isTooLong {
                intake.take([.tooLong(bytes: service.maximumLineBytes + 1)])
            } else {
                intake.take(IngestUpload.lines(of: document, service.maximumLineBytes))
            }
        }
        intake.whenDone { [self] in exchange.answer(service.answer(intake)) }
    }

    /// A document is one event, or lines of them under another name.
    private static func lines(of document: [UInt8], _ limit: Int) -> [LineSplitter.Line] {
        if case .invalid = IngestLine(document) {
            var splitter = LineSplitter(maximumBytes: limit)
            var lines = document.withUnsafeBytes { splitter.receive($0) }
            if let last = splitter.finish() { lines.append(last) }
            let hasEvents = lines.contains { line in
                guard case .line(let bytes) = line else { return false }
                switch IngestLine(bytes) {
                case .event, .probe: return true
                case .blank, .invalid: return false
                }
            }
            if hasEvents { return lines }
        }
        return [.line(document)]
    }

    func closed(wasAnswered: Bool) {
        let (held, reserved) = state.withLock { state in
            defer { state.reserved = 0 }
            return (state.splitter.heldBytes + state.document.count, state.reserved)
        }
        service.publisher.reserve(-reserved)
        service.uploadClosed(isStream: isStream, truncatedBytes: wasAnswered ? 0 : held, wasAnswered: wasAnswered)
    }
}
