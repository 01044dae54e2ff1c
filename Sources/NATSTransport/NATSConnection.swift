internal import CNATS
internal import Dispatch
internal import Synchronization

/// A connection to NATS that reconnects by itself, and never blocks a task.
///
/// Threads: every cnats call is made on one serial queue; what arrives is copied on cnats' delivery thread. All
/// replies, publish acks and pulled messages come through one inbox subscription that lives as long as the connection,
/// because destroying subscriptions while messages arrive crashes cnats before 3.6.1.
///
/// While there is no connection every publish and request fails with `.disconnected`; nothing is kept for later.
/// Messages handed over while the loss was not noticed yet may be lost or sent once after reconnecting: whoever must
/// know uses requests, whose outcome is then unknown.
///
/// The connection lives until `close()`.
package final class NATSConnection: Sendable {
    // Safe because it is only reached through the mutex; timers and pointers are not Sendable themselves.
    private struct State: @unchecked Sendable {
        var timer: (any DispatchSourceTimer)?
        var subscriptions: [Int: OpaquePointer] = [:]
        var nextSubscription = 0
        var isClosed = false
        var closeWaiters: [CheckedContinuation<Void, Never>] = []
    }

    /// For one reader. Holds the newest 64 events; ends when the connection is closed.
    package let events: AsyncStream<NATSConnectionEvent>
    /// The configured URLs without secrets, for messages.
    package let redactedURLs: String

    let router: ReplyRouter
    let outbox: Outbox
    let inbox: String
    private let eventSink: AsyncStream<NATSConnectionEvent>.Continuation
    private let observer: Observer
    private let payloadLimit = Atomic(0)
    private let state = Mutex(State())

    /// Hears of every event at once, on a thread of cnats or of the connection; it must not block.
    package typealias Observer = @Sendable (NATSConnectionEvent) -> Void

    private init(options: NATSOptions, observer: @escaping Observer) throws(NATSError) {
        self.observer = observer
        var created: UnsafeMutablePointer<CChar>?
        guard natsInbox_Create(&created) == NATS_OK, let created else {
            throw NATSError(.configuration, "The NATS library could not make an inbox.")
        }
        inbox = String(cString: created)
        natsInbox_Destroy(created)
        redactedURLs = options.redactedURLs
        let (events, sink) = AsyncStream.makeStream(of: NATSConnectionEvent.self, bufferingPolicy: .bufferingNewest(64))
        self.events = events
        eventSink = sink
        let router = ReplyRouter()
        self.router = router
        outbox = Outbox { entry, error in
            if let token = entry.token {
                router.fail(token, error)
            } else {
                sink.yield(.publishFailed(error))
                observer(.publishFailed(error))
            }
        }
    }

    /// Connects to the first of the URLs that answers.
    ///
    /// - Throws: `.unreachable`, `.authorization`, `.tls` or `.configuration`, each naming the URLs.
    package static func connect(_ options: NATSOptions) async throws(NATSError) -> NATSConnection {
        let result = await withCheckedContinuation { continuation in
            connect(options) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// The same without a task, for those that go on while all threads of the pool are blocked.
    ///
    /// - Parameter completion: called once, on the connection's queue; it must not block.
    package static func connect(
        _ options: NATSOptions, observer: @escaping Observer = { _ in },
        completion: @escaping @Sendable (Result<NATSConnection, NATSError>) -> Void
    ) {
        do throws(NATSError) {
            let connection = try NATSConnection(options: options, observer: observer)
            connection.outbox.queue.async { completion(connection.open(options).map { connection }) }
        } catch {
            completion(.failure(error))
        }
    }

    /// Whether there is a connection now.
    package var isConnected: Bool { router.phase == .connected }

    /// Whether there will be none any more.
    package var isClosed: Bool { router.phase == .closed }

    /// Returns when there is a connection; at once if there is.
    ///
    /// - Throws: `.closed`, `.cancelled`.
    package func connected() async throws(NATSError) {
        let waiter = router.makeToken()
        let refusal = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                router.awaitConnection(waiter) { continuation.resume(returning: $0) }
                // The handler may have run before there was anything to cancel.
                if Task.isCancelled { router.stopAwaitingConnection(waiter) }
            }
        } onCancel: {
            router.stopAwaitingConnection(waiter)
        }
        if let refusal { throw refusal }
    }

    /// The largest message, headers included, that the server takes, in bytes.
    package var maxPayload: Int { payloadLimit.load(ordering: .relaxed) }

    /// Sends what is queued, ends the connection, and fails whoever waits with `.closed`.
    package func close() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.closeWaiters.append(continuation) }
                return state.isClosed
            }
            end()
            if isClosed { continuation.resume() }
        }
    }

    /// Does what `close` does, without waiting for it.
    package func end() { outbox.queue.async { self.shut() } }

    // MARK: On the queue

    private func open(_ options: NATSOptions) -> Result<Void, NATSError> {
        // The closed callback releases it; it is the last that cnats calls.
        let closure = Unmanaged.passRetained(self).toOpaque()
        var opened: OpaquePointer?
        do throws(NATSError) {
            let handle = try OptionsHandle()
            try handle.apply(options, closure: closure)
            let status = natsConnection_Connect(&opened, handle.pointer)
            if status != NATS_OK { throw .connecting(status, options) }
        } catch {
            Unmanaged<NATSConnection>.fromOpaque(closure).release()
            return .failure(error)
        }
        guard let opened else { return .failure(.connecting(NATS_ERR, options)) }
        outbox.open(ConnectionHandle(pointer: opened))
        payloadLimit.store(Int(natsConnection_GetMaxPayload(opened)), ordering: .relaxed)
        let router = router
        // No limit: what can arrive there was asked for, and is bounded by the prefetch budget and the requests under
        // way. A limit would lose messages that were already accounted for.
        let subscribed = register(on: opened, subject: inbox + ".*", isUnlimited: true) { router.messageArrived($0) }
        if case .failure(let error) = subscribed {
            shut()
            return .failure(error)
        }
        router.opened()
        startTimer()
        return .success(())
    }

    private func startTimer() {
        // Of its own, because a queue of everybody's may stand still while the pool's threads are blocked.
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "skein.nats.timer"))
        timer.schedule(deadline: .now() + .milliseconds(100), repeating: .milliseconds(100), leeway: .milliseconds(20))
        let router = router
        timer.setEventHandler { router.timeAdvanced(to: .now) }
        timer.activate()
        state.withLock { $0.timer = timer }
    }

    private func shut() {
        guard let pointer = outbox.shut()?.pointer else { return }
        if natsConnection_Status(pointer) == NATS_CONN_STATUS_CONNECTED {
            natsConnection_FlushTimeout(pointer, 2_000)
        }
        router.disconnected(closed: true)
        natsConnection_Close(pointer)
        let (subscriptions, timer) = state.withLock { state in
            defer { state.subscriptions = [:] }
            return (state.subscriptions.values, state.timer.take())
        }
        timer?.cancel()
        // The reader has ended, so that no message can arrive any more.
        subscriptions.forEach { natsSubscription_Destroy($0) }
        natsConnection_Destroy(pointer)
    }

    /// Subscribes; `deliver` runs on a cnats thread, one message at a time, and must not block.
    private func register(
        on pointer: OpaquePointer, subject: String, queue: String? = nil, isUnlimited: Bool = false,
        deliver: @escaping @Sendable (NATSMessage) -> Void, ended: @escaping @Sendable () -> Void = {}
    ) -> Result<Int, NATSError> {
        let closure = Unmanaged.passRetained(MessageSink(deliver, ended)).toOpaque()
        // Runs on the subscription's delivery thread. The message is ours and destroyed at once; the closure is
        // borrowed, it lives until the completion callback. It must not call cnats on the connection.
        let callback: natsMsgHandler = { _, _, message, closure in
            guard let message, let closure else { return }
            Unmanaged<MessageSink>.fromOpaque(closure).takeUnretainedValue().deliver(NATSMessage(consuming: message))
        }
        var created: OpaquePointer?
        let status =
            if let queue {
                natsConnection_QueueSubscribe(&created, pointer, subject, queue, callback, closure)
            } else {
                natsConnection_Subscribe(&created, pointer, subject, callback, closure)
            }
        guard status == NATS_OK, let created else {
            Unmanaged<MessageSink>.fromOpaque(closure).release()
            let text = String(cString: natsStatus_GetText(status))
            return .failure(NATSError(.disconnected, "Subscribing to \(subject) failed: \(text)."))
        }
        // Called once on a cnats thread after the last message was delivered: ends the ownership that was handed over.
        natsSubscription_SetOnCompleteCB(
            created,
            { closure in if let closure { Unmanaged<MessageSink>.fromOpaque(closure).takeRetainedValue().ended() } },
            closure)
        if isUnlimited { natsSubscription_SetPendingLimits(created, -1, -1) }
        return .success(
            state.withLock { state in
                state.nextSubscription += 1
                state.subscriptions[state.nextSubscription] = created
                return state.nextSubscription
            })
    }

    // MARK: Plain subscriptions

    /// Subscribes to a subject outside of JetStream: what nobody takes in time is dropped and counted.
    ///
    /// - Parameters:
    ///   - queue: members of the same queue share the messages.
    ///   - capacity: how many messages wait at most.
    package func subscribe(
        subject: String, queue: String? = nil, capacity: Int = 1_024
    ) async throws(NATSError) -> NATSSubscription {
        let buffer = SubscriptionBuffer(capacity: capacity)
        let id = try await subscribe(subject: subject, queue: queue) { buffer.append($0) }
        buffer.onEnd { self.endSubscription(id) }
        return NATSSubscription(buffer: buffer)
    }

    /// Subscribes; `deliver` runs on a thread of cnats, one message at a time, and must not block.
    ///
    /// - Parameter ended: called on that thread behind the last message.
    /// - Returns: what `endSubscription` and `drainSubscription` take.
    func subscribe(
        subject: String, queue: String?, deliver: @escaping @Sendable (NATSMessage) -> Void,
        ended: @escaping @Sendable () -> Void = {}
    ) async throws(NATSError) -> Int {
        try Self.requireValid(subject: subject, headers: [:])
        let result: Result<Int, NATSError> = await withCheckedContinuation { continuation in
            outbox.queue.async {
                guard let pointer = self.outbox.current?.pointer else {
                    let error = NATSError(.closed, "Subscribing to \(subject) failed: the connection is closed.")
                    return continuation.resume(returning: .failure(error))
                }
                continuation.resume(
                    returning: self.register(
                        on: pointer, subject: subject, queue: queue, deliver: deliver, ended: ended))
            }
        }
        return try result.get()
    }

    /// What was not delivered yet is dropped.
    func endSubscription(_ id: Int) { outbox.queue.async { self.unsubscribe(id) } }

    /// Unsubscribes, and delivers what the server has sent until then. cnats does it on a thread of its own; the handle is destroyed with
    /// the connection.
    func drainSubscription(_ id: Int) {
        outbox.queue.async {
            guard let subscription = self.state.withLock({ $0.subscriptions[id] }) else { return }
            natsSubscription_DrainTimeout(subscription, 1_000)
        }
    }

    private func unsubscribe(_ id: Int) {
        guard let connection = outbox.current?.pointer, let subscription = state.withLock({ $0.subscriptions[id] }),
            natsSubscription_Unsubscribe(subscription) == NATS_OK,
            // Only behind the answer to a flush is it certain that the reader holds no message for it.
            natsConnection_FlushTimeout(connection, 1_000) == NATS_OK
        else { return }  // it is destroyed at close
        state.withLock { $0.subscriptions[id] = nil }
        natsSubscription_Destroy(subscription)
    }

    // MARK: Callbacks of cnats, on its threads. The connection is borrowed and must not be closed there.

    static func from(_ closure: UnsafeMutableRawPointer?) -> NATSConnection? {
        closure.map { Unmanaged<NATSConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    static func release(_ closure: UnsafeMutableRawPointer?) -> NATSConnection? {
        closure.map { Unmanaged<NATSConnection>.fromOpaque($0).takeRetainedValue() }
    }

    func noticeDisconnect() {
        // Closing ends the connection too, and is an event of its own.
        guard router.phase != .closed else { return }
        router.disconnected(closed: false)
        tell(.disconnected)
    }

    func noticeReconnect() {
        outbox.queue.async {
            // Another server may have another limit.
            guard let pointer = self.outbox.current?.pointer else { return }
            self.payloadLimit.store(Int(natsConnection_GetMaxPayload(pointer)), ordering: .relaxed)
            guard natsConnection_Status(pointer) == NATS_CONN_STATUS_CONNECTED else { return }
            self.router.connected()
            self.tell(.reconnected)
        }
    }

    func noticeClosed() {
        router.disconnected(closed: true)
        tell(.closed)
        eventSink.finish()
        let waiters = state.withLock { state in
            state.isClosed = true
            return state.closeWaiters.takeAll()
        }
        waiters.forEach { $0.resume() }
    }

    func noticeError(_ status: natsStatus) {
        tell(status == NATS_SLOW_CONSUMER ? .slowConsumer : .error(String(cString: natsStatus_GetText(status))))
    }

    private func tell(_ event: NATSConnectionEvent) {
        eventSink.yield(event)
        observer(event)
    }
}

/// What a subscription's callback calls: the object that its closure pointer owns.
private final class MessageSink: Sendable {
    let deliver: @Sendable (NATSMessage) -> Void
    /// Called once, behind the last message.
    let ended: @Sendable () -> Void

    init(_ deliver: @escaping @Sendable (NATSMessage) -> Void, _ ended: @escaping @Sendable () -> Void) {
        self.deliver = deliver
        self.ended = ended
    }
}

extension NATSError {
    /// Maps what cnats said when connecting failed. Its own text is only taken for TLS, where it tells the reason and
    /// holds no secret.
    fileprivate static func connecting(_ status: natsStatus, _ options: NATSOptions) -> NATSError {
        let urls = options.redactedURLs
        switch status {
        case NATS_CONNECTION_AUTH_FAILED, NATS_NOT_PERMITTED:
            return NATSError(
                .authorization, "NATS at \(urls) refused the credentials; check the authentication settings.")
        case NATS_SSL_ERROR:
            let text = nats_GetLastError(nil).map { String(cString: $0) } ?? "no reason given"
            return NATSError(.tls, "TLS with NATS at \(urls) failed: \(text); check the TLS settings.")
        case NATS_SECURE_CONNECTION_REQUIRED:
            return NATSError(.tls, "NATS at \(urls) requires TLS; set the TLS options or a tls:// URL.")
        case NATS_SECURE_CONNECTION_WANTED:
            return NATSError(.tls, "NATS at \(urls) does not offer TLS, but the options ask for it.")
        case NATS_ADDRESS_MISSING, NATS_INVALID_ARG:
            return NATSError(.configuration, "The NATS URL in \(urls) cannot be understood; write nats://host:port.")
        default:
            let text = String(cString: natsStatus_GetText(status))
            return NATSError(
                .unreachable,
                "NATS at \(urls) cannot be reached (\(text)); check the URL and that a server runs there.")
        }
    }
}
