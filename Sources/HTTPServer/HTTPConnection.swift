internal import CMicroHTTPD
internal import Glibc
internal import HTTPProtocol
internal import Synchronization

/// A connection to the server, from accepting until closing, whatever comes over it.
final class HTTPConnection: Sendable {
    private struct State {
        /// Nil once the connection is about to be closed: the number belongs to somebody else then.
        var socket: Int32?
        var deadlines: ConnectionDeadlines
        var reaped: ConnectionDeadlines.Overdue?
        var target = ""
    }

    let peer: String
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    init(socket: Int32, peer: String, limits: ConnectionDeadlines.Limits) {
        self.peer = peer
        state = Mutex(State(socket: socket, deadlines: ConnectionDeadlines(limits, connected: .zero)))
    }

    func note(_ change: (inout ConnectionDeadlines, Duration) -> Void) {
        let now = ContinuousClock.now - start
        state.withLock { change(&$0.deadlines, now) }
    }

    /// Of the request that is being read, as it was sent.
    var target: String { state.withLock { $0.target } }

    func requestLineCame(_ target: String) {
        let now = ContinuousClock.now - start
        state.withLock { state in
            state.target = target
            state.deadlines.requestLineCame(now)
        }
    }

    /// Whether the client has closed, though nobody reads what it sends.
    var hasHungUp: Bool {
        state.withLock { state in
            guard let socket = state.socket else { return true }
            // The same bit as POLLRDHUP, which Glibc declares for GNU sources only.
            var descriptor = pollfd(fd: socket, events: Int16(EPOLLRDHUP.rawValue), revents: 0)
            // Under the lock, because the socket's number is only ours until `closes`; it does not block.
            return poll(&descriptor, 1, 0) > 0
        }
    }

    func closes() { state.withLock { $0.socket = nil } }

    /// Ends a connection that has taken too long: its thread sees the end of the stream.
    ///
    /// - Returns: what for; nil when it has time.
    func reapIfOverdue(areScarce: Bool) -> ConnectionDeadlines.Overdue? {
        let now = ContinuousClock.now - start
        return state.withLock { state in
            guard state.reaped == nil, let socket = state.socket,
                let overdue = state.deadlines.overdue(now, areScarce: areScarce)
            else { return nil }
            state.reaped = overdue
            // Under the lock, because the socket's number is only ours until `closes`; it does not block.
            _ = Glibc.shutdown(socket, Int32(SHUT_RDWR))
            return overdue
        }
    }
}
