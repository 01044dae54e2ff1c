/// When a connection has used up the time that it may take, however lively it drips.
///
/// Times are since any fixed moment.
package struct ConnectionDeadlines: Sendable {
    package struct Limits: Sendable, Hashable {
        /// From the connection, or from the request line of a further request, until its headers are complete.
        package var headers = Duration.seconds(10)
        /// From an answer until the next request's first line. Longer than clients keep idle connections for reuse. Where places are scarce it
        /// is no longer than `headers`.
        package var idle = Duration.seconds(120)
        /// A body may have this long whatever its speed.
        package var bodyGrace = Duration.seconds(10)
        /// What a body of known length must come at from then on.
        package var bodyBytesPerSecond = 1024
        /// Of a line within a body.
        package var record = RecordDeadline.Limits()

        package init() {}
    }

    package enum Overdue: String, Sendable {
        case headers
        case body
        /// A line that has begun.
        case record
    }

    private enum Phase {
        /// Waits for headers; the time by which they must be there.
        case headers(until: Duration)
        /// Has its answer, and may ask again.
        case idle(since: Duration)
        case body(since: Duration)
        /// May take as long as it likes: a stream, an answer that is being found, another protocol.
        case unbounded
    }

    private let limits: Limits
    private var phase: Phase
    private var record: RecordDeadline
    private var received = 0
    private var pausedSince: Duration?

    package init(_ limits: Limits, connected now: Duration) {
        self.limits = limits
        record = RecordDeadline(limits.record)
        phase = .headers(until: now + limits.headers)
    }

    package mutating func requestLineCame(_ now: Duration) {
        switch phase {
        case .headers(let until): phase = .headers(until: min(until, now + limits.headers))
        case .idle: phase = .headers(until: now + limits.headers)
        case .body, .unbounded: break
        }
    }

    /// - Parameter isStream: the body has no known length, and may be silent.
    package mutating func headersCame(_ now: Duration, isStream: Bool) {
        received = 0
        pausedSince = nil
        record.ended()
        phase = isStream ? .unbounded : .body(since: now)
    }

    package mutating func bodyCame(_ bytes: Int) { received += bytes }

    /// What of the body is an unfinished line; see `RecordDeadline.came`.
    package mutating func recordCame(_ bytes: Int, heldBytes: Int, isNew: Bool, _ now: Duration) {
        record.came(bytes, heldBytes: heldBytes, isNew: isNew, now)
    }

    /// What the server itself does not read is not the client's fault.
    package mutating func paused(_ now: Duration) {
        pausedSince = pausedSince ?? now
        record.paused(now)
    }

    package mutating func resumed(_ now: Duration) {
        guard let since = pausedSince else { return }
        pausedSince = nil
        record.resumed(now)
        if case .body(let start) = phase { phase = .body(since: start + (now - since)) }
    }

    package mutating func bodyEnded() {
        record.ended()
        phase = .unbounded
    }

    package mutating func answered(_ now: Duration) {
        pausedSince = nil
        record.ended()
        phase = .idle(since: now)
    }

    /// - Parameter areScarce: whether nearly all places for connections are taken: who does not use one makes room then.
    package func overdue(_ now: Duration, areScarce: Bool = false) -> Overdue? {
        if pausedSince != nil { return nil }
        if record.isOverdue(now) { return .record }
        switch phase {
        case .headers(let until): return now > until ? .headers : nil
        case .idle(let since):
            return now - since > (areScarce ? min(limits.idle, limits.headers) : limits.idle) ? .headers : nil
        case .body(let since):
            let allowed = limits.bodyGrace + .milliseconds(received * 1000 / max(1, limits.bodyBytesPerSecond))
            return now - since > allowed ? .body : nil
        case .unbounded: return nil
        }
    }
}
