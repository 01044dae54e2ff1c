internal import Dispatch
internal import Logging
internal import NATSTransport
internal import Synchronization

/// Keeps a publisher connected, and tells its loop.
///
/// Nothing of it needs the pool of tasks: callers that wait for room may block all threads of that, and only the broker's return makes room.
final class ConnectionKeeper: Sendable {
    private struct State {
        var connection: NATSConnection?
        var isStopped = false
        var refusal: PublisherError?
        /// What was logged last, so that a broker that stays away is logged once.
        var logged: NATSError.Code?
        var waiters: [UInt64: @Sendable (NATSConnection?) -> Void] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let configuration: PublisherConfiguration
    private let loop: PublishLoop
    private let logger: Logger
    private let queue = DispatchQueue(label: "skein.agentkit.connection")
    private let state = Mutex(State())

    init(_ configuration: PublisherConfiguration, loop: PublishLoop, logger: Logger) {
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
    }

    /// Why it has given up; only with `throwsWhenRefused`.
    var refusal: PublisherError? { state.withLock { $0.refusal } }

    func start() {
        guard !state.withLock({ $0.isStopped }) else { return }
        NATSConnection.connect(configuration.natsOptions, observer: { self.observed($0) }) { result in
            switch result {
            case .success(let connection): self.connected(connection)
            case .failure(let error): self.failed(error)
            }
        }
    }

    /// Ends the connection. An attempt that is under way ends by itself.
    func stop() async {
        let (connection, waiters) = state.withLock { state in
            state.isStopped = true
            defer { state.waiters = [:] }
            return (state.connection.take(), state.waiters)
        }
        for waiter in waiters.values { waiter(nil) }
        await connection?.close()
    }

    /// The connection that stands, or is being made again; the first one is waited for.
    ///
    /// - Returns: nil when there is none in time.
    func connection(within patience: Duration) async -> NATSConnection? {
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (connection, isStopped) = state.withLock { state in
                    if state.connection == nil, !state.isStopped {
                        state.waiters[waiter] = { continuation.resume(returning: $0) }
                    }
                    return (state.connection, state.isStopped)
                }
                if connection != nil || isStopped { return continuation.resume(returning: connection) }
                let deadline = DispatchTime(uptimeNanoseconds: uptime() + patience.wholeNanoseconds)
                queue.asyncAfter(deadline: deadline) { self.giveUp(waiter) }
                if Task.isCancelled { giveUp(waiter) }
            }
        } onCancel: {
            giveUp(waiter)
        }
    }

    private func giveUp(_ waiter: UInt64) { state.withLock { $0.waiters.removeValue(forKey: waiter) }?(nil) }

    // MARK: On threads of the connection

    private func connected(_ connection: NATSConnection) {
        let (isStopped, waiters) = state.withLock { state in
            if state.isStopped { return (true, [UInt64: @Sendable (NATSConnection?) -> Void]()) }
            state.connection = connection
            state.logged = nil
            defer { state.waiters = [:] }
            return (false, state.waiters)
        }
        if isStopped { return connection.end() }
        loop.post(.connected(JetStream(connection)))
        for waiter in waiters.values { waiter(connection) }
        // It may have ended before anybody could be told.
        if connection.isClosed { closed() }
    }

    private func failed(_ error: NATSError) {
        let isNews = state.withLock { state in
            defer { state.logged = error.code }
            return state.logged != error.code
        }
        if isNews {
            logger.warning("the broker cannot be reached, the next try follows", metadata: ["error": "\(error)"])
        }
        if configuration.throwsWhenRefused, error.code != .unreachable, error.code != .timeout {
            state.withLock { $0.refusal = PublisherError(.refused, error.description) }
            loop.post(.close(deadline: 0))
        } else {
            startLater()
        }
    }

    private func observed(_ event: NATSConnectionEvent) {
        switch event {
        case .disconnected:
            logger.warning("the broker is away")
            loop.post(.disconnected)
        case .reconnected:
            guard let connection = state.withLock({ $0.connection }) else { return }
            logger.info("the broker is back")
            loop.post(.connected(JetStream(connection)))
        case .error(let text): logger.warning("the broker reports an error", metadata: ["error": "\(text)"])
        case .publishFailed, .slowConsumer: break
        case .closed: closed()
        }
    }

    /// For good: the broker has refused the credentials on reconnecting, or `stop` was called.
    private func closed() {
        loop.post(.disconnected)
        guard let connection = state.withLock({ $0.connection.take() }) else { return }
        connection.end()
        startLater()
    }

    private func startLater() {
        let deadline = DispatchTime(uptimeNanoseconds: uptime() + configuration.reconnectWait.wholeNanoseconds)
        queue.asyncAfter(deadline: deadline) { self.start() }
    }
}
