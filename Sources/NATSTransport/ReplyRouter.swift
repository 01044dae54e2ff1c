internal import Synchronization

/// Finds who waits for a message that arrived at the connection's inbox, and knows whether there is a connection.
///
/// Replies and pull statuses arrive on `<inbox>.<token>` and `<inbox>.<token>-<pull>`. Messages of a stream keep their
/// own subject and are told apart by the consumer in their reply subject.
final class ReplyRouter: Sendable {
    typealias Completion = @Sendable (Result<NATSMessage, NATSError>) -> Void
    /// Gets the reason when there will be no connection.
    typealias ConnectionWaiter = @Sendable (NATSError?) -> Void

    enum Phase { case connecting, connected, disconnected, closed }

    private enum Route {
        case reply(subject: String, deadline: ContinuousClock.Instant, complete: Completion)
        case pulls(PullConsumer)
    }

    private struct Delivery {
        let consumer: PullConsumer
        let generation: Int
    }

    private struct State {
        var phase = Phase.connecting
        var nextToken: UInt64 = 0
        var routes: [UInt64: Route] = [:]
        var deliveries: [String: Delivery] = [:]
        /// Replies that a message of a durable consumer ends, the first to ask first.
        var awaiting: [String: [UInt64]] = [:]
        /// Who waits for a connection.
        var connecting: [UInt64: ConnectionWaiter] = [:]

        var consumers: [PullConsumer] {
            routes.values.compactMap { if case .pulls(let consumer) = $0 { consumer } else { nil } }
        }
    }

    private let state = Mutex(State())

    var phase: Phase { state.withLock { $0.phase } }

    /// Says why nothing can be sent now, or `nil`.
    func refusal(subject: String) -> NATSError? {
        Self.refusal(phase, subject)
    }

    private static func refusal(_ phase: Phase, _ subject: String) -> NATSError? {
        switch phase {
        case .connected: nil
        case .connecting, .disconnected:
            NATSError(.disconnected, "Nothing was sent on \(subject): there is no connection to NATS now; try again.")
        case .closed: NATSError(.closed, "Nothing was sent on \(subject): the connection is closed.")
        }
    }

    // MARK: Waiting

    /// Registers a reply that is to come; `complete` is called exactly once, also on failure, from any thread.
    ///
    /// - Returns: its token, or `nil` when there is no connection; then `complete` has been called.
    func expectReply(subject: String, timeout: Duration, complete: @escaping Completion) -> UInt64? {
        let deadline = ContinuousClock.now + timeout
        let (token, refusal): (UInt64?, NATSError?) = state.withLock { state in
            if let refusal = Self.refusal(state.phase, subject) { return (nil, refusal) }
            state.nextToken += 1
            state.routes[state.nextToken] = .reply(subject: subject, deadline: deadline, complete: complete)
            return (state.nextToken, nil)
        }
        if let refusal { complete(.failure(refusal)) }
        return token
    }

    /// Ends the wait for a reply with an error, if it still waits.
    func fail(_ token: UInt64, _ error: NATSError) {
        takeReply(token)?(.failure(error))
    }

    func makeToken() -> UInt64 {
        state.withLock { state in
            state.nextToken += 1
            return state.nextToken
        }
    }

    /// Calls back once: with nothing as soon as there is a connection, with the reason when there will be none.
    func awaitConnection(_ token: UInt64, complete: @escaping ConnectionWaiter) {
        let phase = state.withLock { state in
            if state.phase == .connecting || state.phase == .disconnected { state.connecting[token] = complete }
            return state.phase
        }
        switch phase {
        case .connected: complete(nil)
        case .closed: complete(ReplyRouter.noConnection)
        case .connecting, .disconnected: break
        }
    }

    func stopAwaitingConnection(_ token: UInt64) {
        let complete = state.withLock { $0.connecting.removeValue(forKey: token) }
        complete?(NATSError(.cancelled, "The wait for a connection was cancelled."))
    }

    private static let noConnection = NATSError(.closed, "There will be no connection any more: it is closed.")

    /// Registers a consumer for the statuses of its pulls and the changes of the connection.
    func attach(_ consumer: PullConsumer) -> UInt64 {
        state.withLock { state in
            state.nextToken += 1
            state.routes[state.nextToken] = .pulls(consumer)
            return state.nextToken
        }
    }

    func detach(_ token: UInt64) {
        state.withLock { _ = $0.routes.removeValue(forKey: token) }
    }

    /// Routes the messages of `<stream>.<consumer>`.
    func deliver(_ name: String, to consumer: PullConsumer, generation: Int) {
        state.withLock { $0.deliveries[name] = Delivery(consumer: consumer, generation: generation) }
    }

    func stopDelivering(_ name: String) {
        state.withLock { _ = $0.deliveries.removeValue(forKey: name) }
    }

    /// Lets a message of `<stream>.<consumer>` be the reply, as well as a status.
    func awaitMessage(of name: String, token: UInt64) {
        state.withLock { state in
            state.awaiting[name, default: []].removeAll { state.routes[$0] == nil }
            state.awaiting[name, default: []].append(token)
        }
    }

    // MARK: What happened

    /// Called on cnats' delivery thread for every message of the inbox, in order.
    func messageArrived(_ message: NATSMessage) {
        if let reply = message.reply, let ack = AckSubject(reply) {
            if let delivery = state.withLock({ $0.deliveries[ack.consumer] }) {
                delivery.consumer.messageArrived(message, ack, generation: delivery.generation)
            } else {
                // Nobody waits any more: the server delivers it again.
                takeAwaiting(ack.consumer)?(.success(message))
            }
            return
        }
        guard let dot = message.subject.utf8.lastIndex(of: UInt8(ascii: ".")) else { return }
        let last = message.subject[message.subject.index(after: dot)...]
        if let token = UInt64(last) {
            takeReply(token)?(.success(message))
            return
        }
        let parts = last.split(separator: "-")
        guard parts.count == 2, let token = UInt64(parts[0]), let pull = Int(parts[1]) else { return }
        let route = state.withLock { $0.routes[token] }
        if case .pulls(let consumer) = route { consumer.statusArrived(message, pull: pull) }
    }

    /// The first connection stands; if it was lost meanwhile, reconnecting will tell.
    func opened() {
        state.withLock { if $0.phase == .connecting { $0.phase = .connected } }
    }

    func connected() {
        let (consumers, waiting) = state.withLock { state in
            guard state.phase != .closed else { return ([PullConsumer](), [UInt64: ConnectionWaiter]()) }
            state.phase = .connected
            defer { state.connecting = [:] }
            return (state.consumers, state.connecting)
        }
        consumers.forEach { $0.connectionRestored() }
        for complete in waiting.values { complete(nil) }
    }

    /// Fails all who wait for a reply, because it can no longer come, and tells the consumers. Nothing follows a close.
    func disconnected(closed: Bool) {
        let (waiting, consumers, connecting) = state.withLock { state in
            guard state.phase != .closed else {
                return ([UInt64: Route]().values, [PullConsumer](), [UInt64: ConnectionWaiter]())
            }
            state.phase = closed ? .closed : .disconnected
            let connecting = closed ? state.connecting : [:]
            if closed { state.connecting = [:] }
            let consumers = state.consumers
            let waiting = state.routes.filter { if case .reply = $0.value { true } else { false } }
            for token in waiting.keys { state.routes[token] = nil }
            return (waiting.values, consumers, connecting)
        }
        for complete in connecting.values { complete(ReplyRouter.noConnection) }
        for case .reply(let subject, _, let complete) in waiting {
            complete(
                .failure(
                    NATSError(
                        closed ? .closed : .disconnected,
                        "The connection ended before the reply on \(subject) came; whether it took effect is unknown."))
            )
        }
        consumers.forEach { closed ? $0.connectionClosed() : $0.connectionLost() }
    }

    /// Ends the waits that took too long; called ten times a second.
    func timeAdvanced(to now: ContinuousClock.Instant) {
        let (late, consumers) = state.withLock { state in
            let late = state.routes.filter { route in
                if case .reply(_, let deadline, _) = route.value { deadline <= now } else { false }
            }
            for token in late.keys { state.routes[token] = nil }
            return (late.values, state.consumers)
        }
        for case .reply(let subject, _, let complete) in late {
            complete(
                .failure(
                    NATSError(.timeout, "No reply on \(subject) came in time; whether it took effect is unknown.")))
        }
        consumers.forEach { $0.timeAdvanced(to: now) }
    }

    private func takeAwaiting(_ name: String) -> Completion? {
        state.withLock { state in
            while let token = state.awaiting[name]?.first {
                state.awaiting[name]?.removeFirst()
                guard case .reply(_, _, let complete) = state.routes.removeValue(forKey: token) else { continue }
                return complete
            }
            state.awaiting[name] = nil
            return nil
        }
    }

    private func takeReply(_ token: UInt64) -> Completion? {
        state.withLock { state in
            guard case .reply(_, _, let complete) = state.routes[token] else { return nil }
            state.routes[token] = nil
            return complete
        }
    }
}
