internal import Synchronization

/// Reads a stream in order, from a sequence on, across reconnects and lost consumers. For one reader.
///
/// It pulls ahead within its window and the shared budget. Asking for the next batch says that the one before is
/// finished: its bytes go back to the budget then.
package final class PullConsumer: Sendable {
    private typealias Batch = Result<[JetStreamMessage], NATSError>

    private struct State {
        var machine: PullConsumerMachine
        var buffer: [JetStreamMessage] = []
        /// Bytes of the batch that the reader has now.
        var lent = 0
        var waiter: (max: Int, continuation: CheckedContinuation<Batch, Never>)?
        var failure: NATSError?

        /// What the reader gets now, if anything.
        mutating func take(_ max: Int) -> Batch? {
            if let failure { return .failure(failure) }
            if buffer.isEmpty { return nil }
            var batch: [JetStreamMessage]
            if buffer.count <= max {
                batch = buffer.takeAll()
            } else {
                batch = Array(buffer[..<max])
                buffer.removeFirst(max)
            }
            lent = batch.reduce(0) { $0 + $1.size }
            return .success(batch)
        }
    }

    private let jetStream: JetStream
    private let configuration: PullConsumerConfiguration
    private let budget: PrefetchBudget
    private let shouldContinue: @Sendable () async -> Bool
    private let origin = ContinuousClock.now
    private let token = TokenBox()
    private let state: Mutex<State>

    /// Starts to read.
    ///
    /// - Parameter shouldContinue: asked before a lost consumer is made anew: whether the owner still owns what it
    ///   reads.
    /// - Throws: `.configuration` for names that cannot be part of a subject.
    package init(
        _ jetStream: JetStream, _ configuration: PullConsumerConfiguration, budget: PrefetchBudget,
        shouldContinue: @escaping @Sendable () async -> Bool
    ) throws(NATSError) {
        for name in [configuration.stream, configuration.namePrefix] where name.contains(".") {
            throw NATSError(.configuration, "The stream or consumer name \"\(name)\" has a dot; choose another.")
        }
        for subject in [configuration.stream, configuration.namePrefix] + configuration.filterSubjects {
            try NATSConnection.requireValid(subject: subject, headers: [:])
        }
        self.jetStream = jetStream
        self.configuration = configuration
        self.budget = budget
        self.shouldContinue = shouldContinue
        state = Mutex(State(machine: PullConsumerMachine(configuration)))
        token.value = jetStream.connection.router.attach(self)
        apply { machine, _ in machine.started() }
    }

    /// The next messages in order: at least one, at most `max`. Finishes the batch before.
    ///
    /// - Throws: `.fenced`, `.closed`, `.cancelled`, `.notFound` when the stream is gone, or the server's reason.
    package func next(max: Int) async throws(NATSError) -> [JetStreamMessage] {
        let finished = state.withLock { state in
            defer { state.lent = 0 }
            return state.lent
        }
        if finished > 0 { apply { machine, now in machine.released(finished, now: now) } }
        let batch: Batch = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let batch: Batch? = state.withLock { state in
                    if state.waiter != nil {
                        return .failure(NATSError(.configuration, "A pull consumer has one reader; two asked at once."))
                    }
                    if let batch = state.take(max) { return batch }
                    state.waiter = (max, continuation)
                    return nil
                }
                if let batch { continuation.resume(returning: batch) }
                if Task.isCancelled { cancelWaiter() }
            }
        } onCancel: {
            cancelWaiter()
        }
        return try batch.get()
    }

    /// Stops reading and removes the consumer from the server.
    package func stop() async {
        let generation = state.withLock { $0.machine.generation }
        // The machine's own deletion is not waited for; this one is.
        apply { machine, _ in machine.stopped() }
        await delete(generation)
    }

    private func cancelWaiter() {
        let waiter = state.withLock { $0.waiter.take() }
        waiter?.continuation.resume(
            returning: .failure(NATSError(.cancelled, "Waiting for messages of \(configuration.stream) was cancelled."))
        )
    }

    // MARK: What the router tells

    /// On cnats' delivery thread.
    func messageArrived(_ message: NATSMessage, _ ack: AckSubject, generation: Int) {
        let delivered = JetStreamMessage(
            subject: message.subject, headers: message.headers, payload: message.payload, sequence: ack.streamSequence,
            consumerSequence: ack.consumerSequence, timestampNanos: ack.timestamp, pending: ack.pending,
            size: message.subject.utf8.count + (message.reply?.utf8.count ?? 0) + message.headers.encodedSize
                + message.payload.count)
        update { state, now in
            let (isNext, actions) = state.machine.messageReceived(
                generation: generation, streamSequence: ack.streamSequence, consumerSequence: ack.consumerSequence,
                size: delivered.size, now: now)
            if isNext { state.buffer.append(delivered) }
            return actions
        }
    }

    func statusArrived(_ message: NATSMessage, pull: Int) {
        guard let code = message.status else { return }
        let status = PullConsumerMachine.Status(
            code: code, description: message.headers["Description"] ?? "",
            pendingBytes: message.headers["Nats-Pending-Bytes"].flatMap { Int($0) })
        apply { machine, now in machine.statusReceived(pull: pull, status, now: now) }
    }

    func connectionLost() { apply { machine, _ in machine.connectionLost() } }

    func connectionRestored() { apply { machine, _ in machine.connectionRestored() } }

    func connectionClosed() { apply { machine, _ in machine.connectionClosed() } }

    func timeAdvanced(to instant: ContinuousClock.Instant) {
        apply { machine, now in machine.timeAdvanced(now: now) }
    }

    // MARK: Actions

    private func apply(_ input: (inout PullConsumerMachine, Duration) -> [PullConsumerMachine.Action]) {
        update { state, now in input(&state.machine, now) }
    }

    /// Feeds the machine under the lock; wakes the reader and runs the actions after it.
    private func update(_ input: (inout State, Duration) -> [PullConsumerMachine.Action]) {
        let now = ContinuousClock.now - origin
        let (actions, waiter, batch) = state.withLock { state in
            let actions = input(&state, now)
            for case .end(let error) in actions {
                state.failure = error
                state.buffer = []
                state.lent = 0
            }
            guard let waiter = state.waiter, let batch = state.take(waiter.max) else {
                return (actions, CheckedContinuation<Batch, Never>?.none, Batch?.none)
            }
            state.waiter = nil
            return (actions, waiter.continuation, batch)
        }
        if let batch { waiter?.resume(returning: batch) }
        for action in actions { run(action) }
    }

    private func run(_ action: PullConsumerMachine.Action) {
        let router = jetStream.connection.router
        switch action {
        case .askOwner:
            Task {
                let mayContinue = await shouldContinue()
                apply { machine, _ in machine.ownerAnswered(mayContinue: mayContinue) }
            }
        case .create(let generation, let startSequence):
            router.deliver("\(configuration.stream).\(name(generation))", to: self, generation: generation)
            Task { await create(generation, startSequence) }
        case .delete(let generation):
            router.stopDelivering("\(configuration.stream).\(name(generation))")
            Task { await delete(generation) }
        case .reserve(let preferred, let guaranteed):
            let granted = budget.reserve(
                preferred: preferred, guaranteed: guaranteed, token: token.value ?? 0,
                grant: { [weak self, budget] bytes in
                    guard let self else { return budget.release(bytes) }
                    apply { machine, now in machine.bytesGranted(bytes, now: now) }
                })
            if granted > 0 { apply { machine, now in machine.bytesGranted(granted, now: now) } }
        case .release(let bytes):
            if bytes > 0 { budget.release(bytes) }
        case .overdraw(let bytes):
            budget.overdraw(bytes)
        case .pull(let id, let generation, let maxBytes):
            pull(id, generation, maxBytes)
        case .end:
            budget.cancel(token.value ?? 0)
            router.detach(token.value ?? 0)
        }
    }

    private func name(_ generation: Int) -> String { "\(configuration.namePrefix)-\(generation)" }

    private func pull(_ id: Int, _ generation: Int, _ maxBytes: Int?) {
        // More messages than fit into the largest pull, so that every pull ends with a status that tells what it left.
        let size = maxBytes.map { "\"batch\":1000000,\"max_bytes\":\($0)" } ?? "\"batch\":1"
        let times =
            "\"expires\":\(configuration.expires.nanoseconds),\"idle_heartbeat\":\(configuration.heartbeat.nanoseconds)"
        jetStream.connection.outbox.enqueue(
            .init(
                subject: "$JS.API.CONSUMER.MSG.NEXT.\(configuration.stream).\(name(generation))",
                reply: "\(jetStream.connection.inbox).\(token.value ?? 0)-\(id)", token: nil, headers: [:],
                payload: Array("{\(size),\(times)}".utf8)))
    }

    private func create(_ generation: Int, _ startSequence: UInt64) async {
        do throws(NATSError) {
            try await jetStream.createOrderedConsumer(
                configuration, name: name(generation), startSequence: startSequence)
            apply { machine, now in machine.created(generation: generation, now: now) }
        } catch {
            apply { machine, now in machine.creationFailed(generation: generation, error, now: now) }
        }
    }

    /// Failing to delete is no loss: the server removes the consumer after its inactive threshold.
    private func delete(_ generation: Int) async {
        guard generation > 0 else { return }
        _ = try? await jetStream.api("CONSUMER.DELETE.\(configuration.stream).\(name(generation))")
    }
}

extension JetStream {
    /// Makes a consumer that delivers from a stream sequence on, without acks, held in memory by one server.
    fileprivate func createOrderedConsumer(
        _ configuration: PullConsumerConfiguration, name: String, startSequence: UInt64
    ) async throws(NATSError) {
        let filters = configuration.filterSubjects
        let request = ConsumerRequest(
            streamName: configuration.stream,
            config: .init(
                name: name, optStartSeq: startSequence,
                inactiveThreshold: configuration.inactiveThreshold.nanoseconds,
                filterSubject: filters.count == 1 ? filters[0] : nil,
                filterSubjects: filters.count > 1 ? filters : nil))
        let base = "CONSUMER.CREATE.\(configuration.stream).\(name)"
        let suffix = filters.count == 1 ? "\(base).\(filters[0])" : base
        let reply = try await api(suffix, JSON.encode(request))
        let echo = try JSON.decode(ConsumerReply.self, from: reply, about: suffix)
        if filters.count > 1, echo.config.filterSubjects?.count != filters.count {
            throw NATSError(
                .configuration,
                "The server ignores the filter subjects of \(configuration.stream); use nats-server 2.10 or newer.")
        }
    }
}

private struct ConsumerRequest: Encodable {
    struct Configuration: Encodable {
        let name: String
        let deliverPolicy = "by_start_sequence"
        let optStartSeq: UInt64
        let ackPolicy = "none"
        let replayPolicy = "instant"
        let memStorage = true
        let numReplicas = 1
        let inactiveThreshold: Int64
        let filterSubject: String?
        let filterSubjects: [String]?
    }
    let streamName: String
    let config: Configuration
}

private struct ConsumerReply: Decodable {
    struct Configuration: Decodable { let filterSubjects: [String]? }
    let config: Configuration
}
