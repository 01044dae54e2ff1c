internal import NATSTransport

/// What a task has read and not delivered, and what waits behind that: from the figures that the server sends along with messages.
struct TaskBacklog: Sendable {
    private struct Batch: Sendable {
        let last: UInt64
        let time: Int64
        let count: Int
    }

    private var unconfirmed: [Batch] = []
    private var unread: UInt64 = 0

    mutating func arrived(_ messages: [JetStreamMessage]) {
        guard let first = messages.first, let last = messages.last else { return }
        unconfirmed.append(Batch(last: last.sequence, time: first.timestampNanos, count: messages.count))
        unread = last.pending
    }

    mutating func confirmed(through position: UInt64) {
        let done = unconfirmed.prefix { $0.last <= position }.count
        unconfirmed.removeFirst(done)
    }

    /// What the server says that waits.
    mutating func unread(_ count: UInt64) { unread = count }

    /// Messages of the partition that are not delivered.
    var messages: UInt64 { unconfirmed.reduce(unread) { $0 + UInt64($1.count) } }

    /// Age of the oldest message that was read and is not delivered.
    func seconds(now: UInt64) -> Double {
        guard let oldest = unconfirmed.first?.time else { return 0 }
        return max(0, Double(Int64(clamping: now) - oldest) / 1e9)
    }
}
