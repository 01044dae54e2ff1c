internal import CMicroHTTPD
internal import HTTPProtocol
internal import Synchronization

/// A request and its answer. Its methods may be called from any thread, at any time, also when the client has gone.
package final class HTTPExchange: Sendable {
    enum Next {
        case goOn
        case answer(HTTPAnswer)
        case suspend
        case upgrade(any WebSocketReceiver, accept: String)
        case close
    }

    private struct State {
        var receiver: (any HTTPBodyReceiver)?
        var answer: HTTPAnswer?
        var upgrade: (any WebSocketReceiver, accept: String)?
        /// The receiver wants no more for now.
        var wantsPause = false
        /// The connection waits in libmicrohttpd until it is resumed.
        var isSuspended = false
        /// `resume` came before the connection was suspended.
        var wasResumed = false
        var hasEnded = false
        var isAnswering = false
        var isDiscarding = false
        var discarded = 0
        var isOver = false
        var isClosing = false
    }

    /// Safe because libmicrohttpd keeps a connection that is suspended, and only such a one is resumed, exactly once for each time, and
    /// before the server ends: `wake`.
    private nonisolated(unsafe) let connection: OpaquePointer
    let context: HTTPConnection
    private unowned let core: HTTPServerCore
    private let state = Mutex(State())

    init(_ connection: OpaquePointer, _ context: HTTPConnection, _ core: HTTPServerCore) {
        self.connection = connection
        self.context = context
        self.core = core
    }

    // MARK: Handler's side

    /// Answers. Before the body has come it goes unread; in the middle of it the rest is thrown away first. Later answers are ignored.
    package func answer(_ answer: HTTPAnswer) {
        wake { state in
            guard state.answer == nil, !state.isOver else { return }
            state.answer = answer
        }
    }

    /// Hands the body to a receiver.
    package func receive(_ receiver: any HTTPBodyReceiver) {
        wake { $0.receiver = receiver }
    }

    /// Makes the connection a WebSocket.
    ///
    /// - Parameter accept: what `WebSocketHandshake` says.
    package func upgrade(to receiver: any WebSocketReceiver, accept: String) {
        wake { $0.upgrade = (receiver, accept) }
    }

    /// Reads no more of the body until `resume`. Only from within a call of the receiver, and before `resume` can come.
    package func pause() { state.withLock { $0.wantsPause = true } }

    package func resume() { wake { $0.wantsPause = false } }

    /// What a `pause` of the same call has asked for is not needed. Nobody has to be woken.
    package func takeBackPause() { state.withLock { $0.wantsPause = false } }

    /// Says what of the bytes that came is a line which is not complete: it must become so in time. From within a call of the receiver.
    package func holds(_ heldBytes: Int, of bytes: Int, isNew: Bool) {
        context.note { $0.recordCame(bytes, heldBytes: heldBytes, isNew: isNew, $1) }
    }

    /// Ends a stream that is sent to a client that has gone.
    ///
    /// - Returns: whether it has.
    @discardableResult
    package func endIfGone() -> Bool {
        guard answerSource != nil, context.hasHungUp else { return false }
        shutDown()
        return true
    }

    /// The server ends: nobody waits any longer.
    func shutDown() { wake { $0.isClosing = true } }

    private func wake(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            guard state.isSuspended else {
                state.wasResumed = true
                return
            }
            state.isSuspended = false
            // Under the lock: when `shutDown` has had it, no resuming is under way that libmicrohttpd, which ends the process when it stops
            // with a suspended connection, would not see. It takes only its own lock, under which it calls back for WebSockets alone.
            MHD_resume_connection(connection)
        }
    }

    // MARK: Server's side, on the connection's thread

    /// The receiver, unless what comes is thrown away; nil ends that too when it is too much.
    func receiver(for count: Int, discardLimit: Int) -> (receiver: (any HTTPBodyReceiver)?, isTooMuch: Bool) {
        state.withLock { state in
            guard state.isDiscarding else { return (state.receiver, false) }
            state.discarded += count
            return (nil, state.discarded > discardLimit)
        }
    }

    /// - Returns: the receiver, the first time.
    func bodyEnded() -> (any HTTPBodyReceiver)? {
        state.withLock { state in
            if state.hasEnded { return nil }
            state.hasEnded = true
            return state.isDiscarding ? nil : state.receiver
        }
    }

    /// What is to be done after a call of the handler or the receiver.
    ///
    /// - Parameters:
    ///   - mayAnswer: libmicrohttpd takes an answer now: at the beginning and at the end.
    ///   - isBeginning: of the request, before its body.
    ///   - drains: an answer at the beginning waits until the little that comes has come, so that the connection can stay.
    func next(mayAnswer: Bool, drains: Bool = false, isBeginning: Bool = false) -> Next {
        state.withLock { state in
            if let (receiver, accept) = state.upgrade, mayAnswer { return .upgrade(receiver, accept: accept) }
            if let answer = state.answer {
                if mayAnswer, !drains {
                    state.isAnswering = true
                    return .answer(answer)
                }
                state.isDiscarding = true
                return .goOn
            }
            if state.isClosing { return .close }
            // Nobody waits at the beginning: an answer that libmicrohttpd gets there ends the connection after it.
            if isBeginning { return .goOn }
            let waits = state.hasEnded || state.wantsPause || state.receiver == nil
            return waits ? .suspend : .goOn
        }
    }

    /// Suspends the connection; what has come for it meanwhile resumes it at once.
    func suspend() {
        // Before anybody can see that there is something to resume.
        MHD_suspend_connection(connection)
        let isWanted = state.withLock { state in
            defer { state.wasResumed = false }
            if state.wasResumed { return true }
            state.isSuspended = true
            return false
        }
        if isWanted { return MHD_resume_connection(connection) }
        if core.isStopping { shutDown() }
    }

    /// The server looks at the exchange from here on: what was resumed before does not count for a later pause.
    ///
    /// - Returns: whether nobody wants the body yet, or the receiver wants no more for now.
    func looked() -> Bool {
        state.withLock { state in
            state.wasResumed = false
            let isUndecided = state.receiver == nil && state.answer == nil
            return (state.wantsPause || isUndecided) && !state.isDiscarding && !state.isClosing
        }
    }

    /// - Returns: who has to be told that it is over.
    func over() -> (receiver: (any HTTPBodyReceiver)?, source: (any HTTPBodySource)?, wasAnswered: Bool) {
        state.withLock { state in
            state.isOver = true
            defer { state.receiver = nil }
            var source: (any HTTPBodySource)?
            if case .stream(let stream)? = state.answer?.body { source = stream }
            return (state.receiver, source, state.isAnswering)
        }
    }

    var answerSource: (any HTTPBodySource)? {
        state.withLock { state in
            if case .stream(let source)? = state.answer?.body { source } else { nil }
        }
    }

    /// Whether a stream that is sent has to end.
    var isClosing: Bool { state.withLock { $0.isClosing } }

    func takeUpgrade() -> (any WebSocketReceiver)? { state.withLock { $0.upgrade?.0 } }
}

extension HTTPExchange {
    /// The next piece of a streamed answer; empty when there is none now, nil at its end.
    func nextPiece(_ count: Int) -> [UInt8]? {
        guard let source = answerSource else { return nil }
        return source.next(count, self)
    }
}
