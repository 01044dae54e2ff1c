/// By when a record that has begun must be complete: a line of an upload, a message of a WebSocket. Silence between records is free.
///
/// What comes earns time, so that whoever keeps the speed has enough. It does not heap up: who has sent much and falls silent, and so holds
/// much, has no longer than others.
package struct RecordDeadline: Sendable {
    package struct Limits: Sendable, Hashable {
        /// Of a record that has begun.
        package var grace = Duration.seconds(10)
        /// What earns a second.
        package var bytesPerSecond = 1024
        /// No more is ever left.
        package var silence = Duration.seconds(30)
        /// From the beginning to the end, however lively it drips.
        package var whole = Duration.seconds(600)

        package init() {}
    }

    private struct Record {
        var began: Duration
        var until: Duration
    }

    private let limits: Limits
    private var record: Record?
    private var pausedSince: Duration?

    package init(_ limits: Limits) { self.limits = limits }

    /// - Parameters:
    ///   - bytes: that came.
    ///   - heldBytes: of the record that is not complete; 0 when none is.
    ///   - isNew: that record began with these bytes.
    package mutating func came(_ bytes: Int, heldBytes: Int, isNew: Bool, _ now: Duration) {
        resumed(now)
        guard heldBytes > 0 else {
            record = nil
            return
        }
        var current = Record(began: now, until: now + limits.grace)
        if !isNew, let record { current = record }
        let earned = Duration.milliseconds((isNew ? heldBytes : bytes) * 1000 / max(1, limits.bytesPerSecond))
        current.until = min(current.until + earned, now + limits.silence, current.began + limits.whole)
        record = current
    }

    /// What the server itself does not read is not the client's fault.
    package mutating func paused(_ now: Duration) { pausedSince = pausedSince ?? now }

    package mutating func resumed(_ now: Duration) {
        guard let since = pausedSince else { return }
        pausedSince = nil
        record?.began += now - since
        record?.until += now - since
    }

    /// No record is waited for any longer.
    package mutating func ended() {
        record = nil
        pausedSince = nil
    }

    package func isOverdue(_ now: Duration) -> Bool {
        guard pausedSince == nil, let record else { return false }
        return now > record.until
    }
}
