internal import ATOF
internal import Foundation
internal import Logging
internal import NATSTransport
package import Stages

/// Runs a stage on one partition: takes the task over, restores it, reads, and writes checkpoints behind what is delivered.
///
/// Delivery comes first and the checkpoint second: a snapshot is taken between two messages and written once everything up to there is
/// confirmed. Whatever fails, the task begins again at its last checkpoint.
package actor StageTask {
    package enum Phase: Sendable, Equatable {
        case starting
        case running
        /// Something that an operator has to resolve; the task tries again now and then.
        case failed(String)
        case ended
    }

    /// How a task ended.
    package enum Ending: Sendable, Equatable {
        /// Everything is delivered and the last checkpoint is written, as far as time allowed; others may have the task.
        case released
        /// Another member has the task.
        case fenced
        /// At once, or without an answer of the broker: the record may still name this member.
        case abandoned
    }

    let stage: any Stage
    package nonisolated let key: TaskKey
    let environment: StageEnvironment
    let logger: Logger

    // What runs now; nothing between two runs.
    var worker: (any StageWorker)?
    var store: TaskStore?
    var consumer: PullConsumer?

    // Reading.
    var isReceiving = false
    /// The worker has failed in the middle of a message: it is not used any more.
    var hasFailed = false
    var chunks: ChunkAssembler
    /// The last message that was read, and the last that the worker got: of one that comes in chunks it sees nothing before it is whole.
    var received: UInt64 = 0
    var handed: UInt64 = 0
    var receivedTime: Int64?
    var backlog = TaskBacklog()
    var lastTick = ContinuousClock.now
    var lastQuestion = ContinuousClock.now
    var lastCheck = ContinuousClock.now

    // Checkpoints.
    var pending: Pending?
    var checkpointed: UInt64 = 0
    var isCheckpointing = false
    var messagesSinceSnapshot = 0
    var lastSnapshot = ContinuousClock.now
    var snapshotBytes = 0
    /// The snapshot that is being taken, which the next message waits for.
    var snapshotting: Task<StageSnapshot, Never>?

    // The end.
    var isStopping = false
    private var isAbandoned = false
    private var isReleased = false
    /// What is under way before anything is read; it may have to wait for the broker, and a stop must not wait for that.
    private var takingOver: Task<Parts, any Error>?
    private var stopWaiters: [Int: AsyncStream<Void>.Continuation] = [:]
    private var nextWaiter = 0

    private struct Parts {
        let store: TaskStore
        let worker: any StageWorker
        let consumer: PullConsumer
    }

    package private(set) var phase = Phase.starting
    /// What the last try ended with, while the task has not run since.
    package private(set) var lastFailure: String?

    package nonisolated var name: String { "\(key.stage)/\(key.partition)" }

    package init(stage: any Stage, partition: Int, environment: StageEnvironment) {
        self.stage = stage
        key = TaskKey(stage: stage.name, partition: partition)
        self.environment = environment
        chunks = ChunkAssembler(stage: stage.name, stream: stage.stream, limits: environment.chunkLimits)
        var logger = environment.logger
        logger[metadataKey: "task"] = "\(key)"
        self.logger = logger
    }

    /// Runs until it is stopped, abandoned or fenced, starting again after failures with growing pauses.
    package func run() async -> Ending {
        var pause = Duration.milliseconds(100)
        var ending: Ending?
        while ending == nil, !isStopping, !Task.isCancelled {
            let started = ContinuousClock.now
            do {
                try await runOnce()
            } catch is FencedError {
                logger.notice("another collector has the task")
                environment.metrics.add("skein_task_fenced_total", 1, ["stage": key.stage])
                ending = .fenced
            } catch is TaskReset {
                logger.notice("task was reset and begins anew")
            } catch {
                if isStopping || Task.isCancelled { break }
                if ContinuousClock.now - started > .seconds(30) { pause = .milliseconds(100) }
                await failed(error, pause: &pause)
            }
        }
        if ending == nil { await release() }
        phase = .ended
        backlog = TaskBacklog()
        environment.metrics.remove(["stage": key.stage, "partition": String(key.partition)])
        return ending ?? (isReleased && !isAbandoned ? .released : .abandoned)
    }

    /// Gives the task to others also when it was stopped before it ran, or while it waited after a failure.
    private func release() async {
        guard !isReleased, !isAbandoned, !Task.isCancelled else { return }
        do {
            try await TaskStore.release(key, of: environment.owner, in: environment.state)
            isReleased = true
        } catch {
            guard let suppressed = environment.outages.admit("task releases", of: key.stage) else { return }
            logger.warning(
                "the task is not released", metadata: ["error": "\(error)", "suppressed": "\(suppressed)"])
        }
    }

    /// Says what failed, and waits before the next try.
    private func failed(_ error: any Error, pause: inout Duration) async {
        environment.metrics.add("skein_task_restarts_total", 1, ["stage": key.stage])
        let reason: String? =
            switch error {
            case let error as CollectorError: error.description
            case let error as SnapshotError:
                "\(key): \(error); run the version that wrote it, or begin anew with skein tasks reset --stage \(key.stage)"
            default: nil
            }
        if let reason {
            // Nothing gets better by itself, but an operator may mend it while everything else goes on.
            phase = .failed(reason)
            environment.metrics.set("skein_task_failed", 1, ["stage": key.stage, "partition": String(key.partition)])
            logger.error("task cannot go on", metadata: ["error": "\(reason)"])
            await untilStopped(atMost: environment.failurePause)
        } else {
            phase = .starting
            lastFailure = "\(error)"
            if let suppressed = environment.outages.admit("task restarts", of: key.stage) {
                logger.warning(
                    "task failed and starts again at its checkpoint",
                    metadata: ["error": "\(error)", "suppressed": "\(suppressed)"])
            }
            await untilStopped(atMost: pause)
            pause = min(pause * 2, .seconds(5))
        }
        environment.metrics.set("skein_task_failed", 0, ["stage": key.stage, "partition": String(key.partition)])
    }

    private func runOnce() async throws {
        phase = .starting
        let takingOver = Task { try await takeOver() }
        self.takingOver = takingOver
        defer { self.takingOver = nil }
        let parts = try await withTaskCancellationHandler {
            try await takingOver.value
        } onCancel: {
            takingOver.cancel()
        }
        self.takingOver = nil
        let (store, worker, consumer) = (parts.store, parts.worker, parts.consumer)
        defer { (self.worker, self.store, self.consumer) = (nil, nil, nil) }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                group.addTask { try await self.keepTime() }
                group.addTask { try await self.read(consumer, worker) }
                group.addTask { await self.untilStopped() }
                // Unless it is stopped a part only ends by failing. A worker whose sink takes nothing does not end reading.
                while try await group.next() != nil, !isStopping {}
                if isStopping, !isAbandoned { try await finish(worker, store) }
                group.cancelAll()
            }
        } catch {
            await remove(consumer)
            throw error
        }
        await remove(consumer)
    }

    private func remove(_ consumer: PullConsumer) async {
        // Whoever lost its lease may have no broker that answers.
        if isAbandoned { consumer.close() } else { await consumer.stop() }
    }

    /// Makes the task this member's, and restores it up to its last checkpoint.
    private func takeOver() async throws -> Parts {
        let jetStream = environment.jetStream
        let lease = environment.lease
        let store = try await TaskStore(
            takingOver: key, in: environment.state, of: jetStream, owner: environment.owner, stream: stage.stream
        ) { lease.mayTake(from: $0) }
        let position = await store.position
        let context = StageContext(
            key: key, epoch: await store.epoch, fences: !store.wasReleased, lease: lease, jetStream: jetStream,
            metrics: environment.metrics, logger: logger,
            deadLetters: DeadLetterWriter(jetStream, environment.metrics, logger, environment.letterLog),
            alerts: environment.alerts)
        if context.fences { try await removeConsumers(before: context.epoch) }
        let snapshot = try TaskSnapshot(try await store.snapshot())
        chunks = try await restoreChunks(snapshot.chunks)
        let worker = try await stage.makeWorker(context, snapshot: snapshot.worker, position: position)
        var reading = PullConsumerConfiguration(
            stream: stage.stream, namePrefix: consumerPrefix + "\(context.epoch)",
            filterSubjects: [stage.filter(partition: key.partition)], startSequence: position + 1)
        reading.headersOnly = stage.readsHeadersOnly
        reading.streamCreated = await store.streamCreated
        reading.previousTime = await store.positionTime
        let consumer = try PullConsumer(jetStream, reading, budget: environment.prefetch) { await store.isOwner() }
        (self.store, self.worker, self.consumer) = (store, worker, consumer)
        (received, handed, checkpointed, pending) = (position, position, position, nil)
        (receivedTime, snapshotBytes) = (await store.positionTime, snapshot.worker?.count ?? 0)
        (isReceiving, hasFailed, isCheckpointing, messagesSinceSnapshot) = (false, false, false, 0)
        backlog = TaskBacklog()
        phase = .running
        lastFailure = nil
        environment.metrics.set("skein_task_failed", 0, ["stage": key.stage, "partition": String(key.partition)])
        return Parts(store: store, worker: worker, consumer: consumer)
    }

    /// Consumers are named by stage, partition, epoch and generation.
    private var consumerPrefix: String { "skein-\(stage.name)-\(key.partition)-" }

    /// Takes the consumers away from owners before, which cannot pull any more then.
    private func removeConsumers(before epoch: UInt64) async throws {
        for name in try await environment.jetStream.consumers(of: stage.stream, namePrefix: consumerPrefix) {
            let rest = name.dropFirst(consumerPrefix.count).split(separator: "-")
            guard rest.count == 2, let found = UInt64(rest[0]), found < epoch else { continue }
            try await environment.jetStream.deleteConsumer(stream: stage.stream, consumer: name)
        }
    }

    private func restoreChunks(_ snapshot: [UInt8]?) async throws -> ChunkAssembler {
        let limits = environment.chunkLimits
        guard let snapshot else { return ChunkAssembler(stage: stage.name, stream: stage.stream, limits: limits) }
        var chunks = try ChunkAssembler(stage: stage.name, stream: stage.stream, limits: limits, snapshot: snapshot)
        let found = try await environment.jetStream.messages(stream: stage.stream, sequences: chunks.missing)
        chunks.provide { found[$0]?.payload }
        return chunks
    }

    // MARK: End

    /// Stops reading, delivers what is under way, writes a last checkpoint and releases the task; `run` returns then.
    package func stop() {
        isStopping = true
        takingOver?.cancel()
        for waiter in stopWaiters.values { waiter.finish() }
        // That the server has removed it is waited for at the end.
        consumer?.close()
    }

    /// Ends at once: the task may be somebody else's by now.
    package func abandon() {
        isAbandoned = true
        stop()
    }

    private func untilStopped(atMost limit: Duration? = nil) async {
        if isStopping { return }
        let (requests, continuation) = AsyncStream.makeStream(of: Void.self)
        nextWaiter += 1
        let number = nextWaiter
        stopWaiters[number] = continuation
        defer { stopWaiters[number] = nil }
        let timer = limit.map { limit in
            Task {
                // Cancelled when the wait is over.
                try? await Task.sleep(for: limit)
                continuation.finish()
            }
        }
        for await _ in requests {}
        timer?.cancel()
    }

    /// Waits for deliveries as long as there are some, at most for `stopTimeout`, and no longer than the task is this member's.
    private func finish(_ worker: any StageWorker, _ store: TaskStore) async throws {
        let deadline = ContinuousClock.now + environment.stopTimeout
        var (last, lastProgress): (UInt64, ContinuousClock.Instant) = (0, .now)
        while !isAbandoned, !hasFailed, ContinuousClock.now < deadline,
            ContinuousClock.now - lastProgress < environment.stallTimeout
        {
            await worker.flush()
            let confirmed = await confirmed(worker)
            if !isReceiving, !isCheckpointing, confirmed >= received {
                pending = nil
                break
            }
            if confirmed > last { (last, lastProgress) = (confirmed, .now) }
            try await Task.sleep(for: .milliseconds(20))
        }
        // One that is under way writes the record too; it ends when the broker answers, or does not for too long.
        while isCheckpointing, !isAbandoned { try await Task.sleep(for: .milliseconds(20)) }
        if isAbandoned { return }
        try await checkpointIfDue(now: true)
        if isAbandoned { return }
        try await store.release()
        isReleased = true
    }

    /// Whether everything that the stream holds for this task now is read and delivered, and nothing is about to happen by itself.
    package func isCaughtUp() async throws -> Bool {
        guard phase == .running, let worker, !isReceiving else { return false }
        let last = try await environment.jetStream.lastMessage(
            stream: stage.stream, subject: stage.filter(partition: key.partition), fromLeader: true)
        guard received >= last?.sequence ?? 0, !isReceiving else { return false }
        await worker.flush()
        if let deadline = await deadline(worker), deadline < Wall.nanoseconds(after: environment.soon) { return false }
        return await confirmed(worker) >= received
    }

    /// Everything up to this sequence is delivered.
    func confirmed(_ worker: any StageWorker) async -> UInt64 {
        let confirmed = await worker.confirmed()
        return confirmed >= handed ? received : confirmed
    }

    /// When time alone changes something.
    func deadline(_ worker: any StageWorker) async -> UInt64? {
        [await worker.deadline(), chunks.deadline].compactMap(\.self).min()
    }

    /// What became of the task's events; nil while it does not run.
    package func ledger() async -> (epoch: UInt64, rows: [LedgerRow], producers: [ProducerGap])? {
        guard let worker, let store else { return nil }
        return (await store.epoch, await worker.ledger(), await worker.producers())
    }
}
