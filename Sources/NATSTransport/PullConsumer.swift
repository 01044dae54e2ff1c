internal import Synchronization

/// Reads a stream in order, from a sequence on, across reconnects and lost consumers. For one reader.
///
/// It pulls ahead within its window and the shared budget. Asking for the next batch says that the one before is
/// finished: its bytes go back to the budget then.
package final class PullConsumer: Sendable {
    private typealias Batch = Result<[JetStreamMessage], NATSError>

    /// What the owner says before a lost consumer is made anew.
    package enum Decision: Sendable, Equatable {
        case goOn
        /// Somebody else owns what is read; reading ends with `.fenced`.
        case fenced
        /// Reading ends with this error.
        case fail(NATSError)
    }

    private struct State {
        var machine: PullConsumerMachine
        var buffer: [JetStreamMessage] = []
        /// Bytes of the batch that the reader has now.
        var lent = 0
        var waiter: (max: Int, continuation: CheckedContinuation<Batch, Never>)?
        var failure: NATSError?
        /// When the stream was created that is read; known from the first generation on.
        var streamCreated: Int64?
        /// When the last message that was received was stored; nil before the first one.
        var lastTime: Int64?
        /// How often in turn the consumer could not be made.
        var failedCreations = 0

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
    private let check: @Sendable (_ lastSequence: UInt64) async -> Decision
    private let origin = ContinuousClock.now
    private let token = TokenBox()
    private let state: Mutex<State>

    /// Starts to read.
    ///
    /// - Parameter check: asked before a lost consumer is made anew, with the stream sequence of the last message that
    ///   was received: whether the owner still owns what it reads.
    /// - Throws: `.configuration` for names that cannot be part of a subject.
    package init(
        _ jetStream: JetStream, _ configuration: PullConsumerConfiguration, budget: PrefetchBudget,
        check: @escaping @Sendable (_ lastSequence: UInt64) async -> Decision
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
        self.check = check
        state = Mutex(
            State(
                machine: PullConsumerMachine(configuration), streamCreated: configuration.streamCreated,
                lastTime: configuration.previousTime))
        token.value = jetStream.connection.router.attach(self)
        apply { machine, _ in machine.started() }
    }

    /// - Parameter shouldContinue: whether the owner still owns what it reads.
    package convenience init(
        _ jetStream: JetStream, _ configuration: PullConsumerConfiguration, budget: PrefetchBudget,
        shouldContinue: @escaping @Sendable () async -> Bool
    ) throws(NATSError) {
        try self.init(jetStream, configuration, budget: budget) { _ in await shouldContinue() ? .goOn : .fenced }
    }

    /// The stream sequence of the last message that was received, which `next` may not have returned yet; before the
    /// first one, that of the message before the start.
    package var lastSequence: UInt64 { state.withLock { $0.machine.lastStreamSequence } }

    /// Messages that were received and not asked for yet.
    package var bufferedCount: Int { state.withLock { $0.buffer.count } }

    /// The name of the consumer that is read from now.
    package var consumerName: String { name(state.withLock { $0.machine.generation }) }

    /// The next messages in order: at least one, at most `max`. Finishes the batch before.
    ///
    /// - Throws: `.fenced`, `.closed`, `.cancelled`, `.notFound` when the stream is gone, `.streamChanged` when it was
    ///   made again or has lost messages that were read, what the owner's check said, or the server's reason.
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

    /// Stops reading, and waits for nothing. The consumer on the server is on its way out.
    package func close() { apply { machine, _ in machine.stopped() } }

    /// Stops reading and removes the consumer from the server.
    package func stop() async {
        let generation = state.withLock { $0.machine.generation }
        // The machine's own deletion is not waited for; this one is.
        close()
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
            if isNext {
                state.buffer.append(delivered)
                state.lastTime = delivered.timestampNanos
            }
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
                let decision = await check(lastSequence)
                apply { machine, _ in machine.ownerAnswered(decision) }
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
            // A cluster that gives the consumer to a node that has just died does not answer; the next consumer may be
            // luckier. What answers at all answers soon, unless the machine is overloaded.
            let failures = state.withLock { $0.failedCreations }
            let timeout = min(jetStream.timeout, .seconds(1 + failures / 4))
            let jetStream = JetStream(jetStream.connection, timeout: timeout)
            try await jetStream.createOrderedConsumer(
                configuration, name: name(generation), startSequence: startSequence)
            // Only now: a stream that is replaced after this takes the consumer with it.
            try await verifyStream(jetStream)
            state.withLock { $0.failedCreations = 0 }
            apply { machine, now in machine.created(generation: generation, now: now) }
        } catch {
            state.withLock { $0.failedCreations += 1 }
            apply { machine, now in machine.creationFailed(generation: generation, error, now: now) }
        }
    }

    /// Sees to it that the stream is the one that was read so far, and still holds what was read.
    private func verifyStream(_ jetStream: JetStream) async throws(NATSError) {
        let (created, last, time) = state.withLock { ($0.streamCreated, $0.machine.lastStreamSequence, $0.lastTime) }
        let info = try await jetStream.streamInfo(configuration.stream)
        if let created, info.created != created {
            throw NATSError(
                .streamChanged,
                "The stream \(configuration.stream) was deleted and created again after its message \(last) was read.")
        }
        state.withLock { $0.streamCreated = info.created }
        if info.lastSequence < last {
            throw NATSError(
                .streamChanged,
                "The stream \(configuration.stream) ends at \(info.lastSequence), but its message \(last) was read: its "
                    + "storage has lost messages.")
        }
        // Since then it may have grown beyond what it lost; the message itself tells, as long as it is kept.
        guard let time, last >= info.firstSequence,
            let found = try await jetStream.message(stream: configuration.stream, sequence: last)
        else { return }
        if found.time != time {
            throw NATSError(
                .streamChanged,
                "The stream \(configuration.stream) holds another message \(last) than was read: its storage has lost "
                    + "messages, and others took their place.")
        }
    }

    /// Failing to delete is no loss: the server removes the consumer after its inactive threshold.
    private func delete(_ generation: Int) async {
        guard generation > 0 else { return }
        try? await jetStream.deleteConsumer(stream: configuration.stream, consumer: name(generation))
    }
}
