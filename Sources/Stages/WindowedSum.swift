internal import ATOF

/// A sum over the time that has just passed, in sixty parts of the window: what has left it is gone at most one part later.
struct WindowedSum: Sendable, Hashable {
    /// Of the time of the log, nanoseconds.
    let window: UInt64
    private(set) var parts: [UInt64: UInt64] = [:]

    static let partCount: UInt64 = 60

    init(window: UInt64) { self.window = max(1, window) }

    private var partLength: UInt64 { max(1, window / WindowedSum.partCount) }

    /// The number of the part in which a time is.
    func part(of time: UInt64) -> UInt64 { time / partLength }

    /// The first part that counts at a time: parts before it have left the window as a whole.
    private func first(at time: UInt64) -> UInt64 { time < window ? 0 : part(of: time - window) }

    mutating func add(_ amount: UInt64, at time: UInt64) {
        parts[part(of: time), default: 0].addSaturating(amount)
    }

    /// Drops what has left the window.
    ///
    /// - Returns: the sum of the rest.
    mutating func sum(at time: UInt64) -> UInt64 {
        let first = first(at: time)
        if parts.keys.contains(where: { $0 < first }) { parts = parts.filter { $0.key >= first } }
        return parts.values.reduce(into: 0) { $0.addSaturating($1) }
    }

    /// Takes what another one has counted in a part, of which sums only grow.
    mutating func raise(part: UInt64, to amount: UInt64) { parts[part] = max(parts[part] ?? 0, amount) }

    func write(to writer: inout SnapshotWriter) {
        writer.write(parts.count)
        for (part, amount) in parts.sorted(by: { $0.key < $1.key }) {
            writer.write(part)
            writer.write(amount)
        }
    }

    mutating func restore(from reader: inout SnapshotReader) throws(SnapshotError) {
        for _ in 0..<(try reader.readCount()) { parts[try reader.readNumber()] = try reader.readNumber() }
    }
}

extension UInt64 {
    mutating func addSaturating(_ other: UInt64) {
        let (sum, overflow) = addingReportingOverflow(other)
        self = overflow ? .max : sum
    }
}
