internal import ATOF
internal import Logging
internal import NATSTransport
internal import Stages

/// Runs a stage on one partition: takes the task over, restores it, reads, and writes checkpoints behind what is delivered.
///
/// Delivery comes first and the checkpoint second: a snapshot is taken between two messages and written once everything up to there is
/// confirmed. Whatever fails, the task begins again at its last checkpoint.
package actor StageTask {
    package enum Phase: String, Sendable {
        case starting
        case running
        /// Another collector has taken the task over.
        case fenced
        case stopped
    }

    private let stage: any Stage
    private let key: TaskKey
    private let environment: StageEnvironment
    private var logger: Logger

    private var hasOwned = false
    private var worker: (any StageWorker)?
    private var store: TaskStore?
    private var isReceiving = false
    private var received: UInt64 = 0
    private var pendingSnapshot: (position: UInt64, snapshot: StageSnapshot)?
    private var checkpointed: UInt64 = 0
    private var isCheckpointing = false
    private var isStopping = false
    private var stopWaiter: AsyncStream<Void>.Continuation?
    /// The snapshot that is being taken, which the next message waits for.
    private var snapshotting: Task<StageSnapshot, Never>?
    private var consumer: PullConsumer?
    package private(set) var phase = Phase.starting

    package nonisolated var name: String { "\(key.stage)/\(key.partition)" }

    package init(stage: any Stage, partition: Int, environment: StageEnvironment) {
        self.stage = stage
        key = TaskKey(stage: stage.name, partition: partition)
        self.environment = environment
        logger = environment.logger
        logger[metadataKey: "task"] = "\(key)"
    }

    /// Runs until `stop`, starting again after failures with growing pauses.
    ///
    /// - Throws: `CollectorError` that an operator has to resolve; cancellation.
    package func run() async throws {
        var pause = Duration.milliseconds(100)
        while !isStopping {
            let started = ContinuousClock.now
            do {
                try await runOnce()
            } catch let error as FencedError {
                phase = .fenced
                logger.warning(
                    "task was taken over by another collector and stands by here", metadata: ["error": "\(error)"])
                await untilStopped()
                break
            } catch let error as CollectorError {
                throw error
            } catch let error as SnapshotError {
                throw CollectorError(
                    "\(key): \(error); run the version that wrote it, or delete the key from the bucket to begin anew")
            } catch {
                if isStopping || Task.isCancelled { break }
                phase = .starting
                environment.metrics.add("skein_task_restarts_total", 1, ["stage": key.stage])
                logger.warning("task failed and starts again at its checkpoint", metadata: ["error": "\(error)"])
                pause = ContinuousClock.now - started > .seconds(30) ? .milliseconds(100) : min(pause * 2, .seconds(5))
                try await Task.sleep(for: pause)
            }
        }
        phase = .stopped
    }

    private func runOnce() async throws {
        phase = .starting
        let jetStream = environment.jetStream
        let store = try await TaskStore(
            takingOver: key, in: environment.state, of: jetStream, owner: environment.owner, again: hasOwned,
            stream: stage.stream)
        hasOwned = true
        let position = await store.position
        let context = StageContext(
            key: key, epoch: await store.epoch, jetStream: jetStream, metrics: environment.metrics, logger: logger,
            deadLetters: DeadLetterWriter(jetStream, environment.metrics))
        let worker = try await stage.makeWorker(context, snapshot: try await store.snapshot(), position: position)
        let reading = PullConsumerConfiguration(
            stream: stage.stream, namePrefix: "skein-\(stage.name)-\(key.partition)-\(await store.epoch)",
            filterSubjects: [stage.filter(partition: key.partition)], startSequence: position + 1)
        let consumer = try PullConsumer(jetStream, reading, budget: environment.prefetch) { await store.isOwner() }
        self.store = store
        self.worker = worker
        self.consumer = consumer
        (received, checkpointed, pendingSnapshot, isReceiving, isCheckpointing) = (
            position, position, nil, false, false
        )
        phase = .running
        defer { (self.worker, self.store, self.consumer) = (nil, nil, nil) }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                group.addTask { try await self.checkpointRegularly() }
                group.addTask { try await self.read(consumer, worker) }
                group.addTask { await self.untilStopped() }
                // Unless it is stopped a part only ends by failing. A worker whose sink takes nothing does not end reading.
                while try await group.next() != nil, !isStopping {}
                if isStopping { try await finish(worker) }
                group.cancelAll()
            }
        } catch {
            await consumer.stop()
            throw error
        }
        await consumer.stop()
    }

    private func read(_ consumer: PullConsumer, _ worker: any StageWorker) async throws {
        while !isStopping {
            guard let messages = try await next(consumer) else { return }
            for message in messages {
                isReceiving = true
                defer { isReceiving = false }
                // It says which messages it holds: this one must not be among them.
                _ = await snapshotting?.value
                try await worker.receive(
                    StageMessage(
                        subject: message.subject, sequence: message.sequence,
                        timeNanoseconds: UInt64(clamping: message.timestampNanos),
                        contentType: message.headers[SkeinHeaders.contentType],
                        stage: message.headers[SkeinHeaders.stage], payload: message.payload))
                received = message.sequence
                if isStopping { return }
            }
            environment.metrics.set(
                "skein_task_pending_messages", Double(messages.last?.pending ?? 0),
                ["stage": key.stage, "partition": String(key.partition)])
            try await checkpointIfDue()
        }
    }

    /// - Returns: nil when reading ends because the task is being stopped.
    private func next(_ consumer: PullConsumer) async throws -> [JetStreamMessage]? {
        do throws(NATSError) {
            return try await consumer.next(max: 64)
        } catch {
            if isStopping { return nil }
            throw error.code == .fenced ? FencedError(key: key) : error
        }
    }

    // MARK: Checkpoints

    private func checkpointRegularly() async throws {
        while true {
            try await Task.sleep(for: environment.checkpointInterval)
            try await checkpointIfDue()
        }
    }

    private var lastSnapshot = ContinuousClock.now

    /// Takes a snapshot when it is time, and writes the one that waits when everything before it is delivered.
    private func checkpointIfDue(now: Bool = false) async throws {
        guard let worker, let store, !isCheckpointing else { return }
        isCheckpointing = true
        defer { isCheckpointing = false }
        if pendingSnapshot == nil, !isReceiving, received > checkpointed,
            now || lastSnapshot.duration(to: .now) >= environment.checkpointInterval
        {
            let position = received
            let snapshotting = Task { await worker.snapshot() }
            self.snapshotting = snapshotting
            pendingSnapshot = (position, await snapshotting.value)
            self.snapshotting = nil
            lastSnapshot = .now
        }
        guard let (position, snapshot) = pendingSnapshot, await worker.confirmed() >= position else { return }
        try await store.checkpoint(
            position: position, keepFrom: min(snapshot.oldestReference ?? .max, position + 1),
            snapshot: await worker.sealed(snapshot, at: position))
        pendingSnapshot = nil
        checkpointed = position
        environment.metrics.add("skein_task_checkpoints_total", 1, ["stage": key.stage])
        environment.metrics.set(
            "skein_task_position_sequence", Double(position), ["stage": key.stage, "partition": String(key.partition)])
    }

    // MARK: End

    /// Stops reading, delivers what is under way and writes a last checkpoint; `run` returns then.
    package func stop() async {
        isStopping = true
        stopWaiter?.finish()
        await consumer?.stop()
    }

    private func untilStopped() async {
        if isStopping { return }
        let (requests, continuation) = AsyncStream.makeStream(of: Void.self)
        stopWaiter = continuation
        for await _ in requests {}
    }

    private func finish(_ worker: any StageWorker) async throws {
        let deadline = ContinuousClock.now + environment.stopTimeout
        while ContinuousClock.now < deadline {
            await worker.flush()
            if !isReceiving, !isCheckpointing, await worker.confirmed() >= received {
                pendingSnapshot = nil
                break
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        try await checkpointIfDue(now: true)
    }

    /// Whether everything that the stream holds for this task now is read and delivered.
    package func isCaughtUp() async throws -> Bool {
        guard phase == .running, let worker, !isReceiving else { return false }
        let last = try await environment.jetStream.lastMessage(
            stream: stage.stream, subject: stage.filter(partition: key.partition), fromLeader: true)
        guard received >= last?.sequence ?? 0, !isReceiving else { return false }
        await worker.flush()
        return await worker.confirmed() >= received
    }
}
