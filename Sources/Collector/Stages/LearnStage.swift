internal import ATOF
internal import Adaptive
internal import Logging
internal import NATSTransport
internal import Stages

/// Reads PROCESSED and learns from the runs of agents what hints are made of.
struct LearnStage: Stage {
    var limits = LearnMachine.Limits()

    var name: String { StageName.learning }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let machine =
            try snapshot.map { try LearnMachine(limits: limits, snapshot: $0) } ?? LearnMachine(limits: limits)
        let bucket = try await KeyValueBucket.existing(context.jetStream, name: SkeinSubjects.stateBucket)
        return LearnWorker(context, machine, bucket, position: position)
    }
}

/// Stores what was learned with compare-and-set, beside reading: runs that end meanwhile share the next write of their agent's model.
///
/// A message is finished when all runs that it ended are in their models. A model says up to which time of each partition it has learned, so
/// that a run that is read again after a crash counts once.
actor LearnWorker: StageWorker {
    private struct Waiting: Sendable {
        let sequence: UInt64
        let time: UInt64
        let finished: LearnMachine.Finished
    }

    /// Runs that wait for being stored; with more of them nothing is read on.
    private static let waitingLimit = 1024
    /// Models that are kept for the next write; those of further agents are read again.
    private static let heldLimit = 64
    /// What lies between two rounds of writes: runs that end meanwhile share one.
    private static let interval = Duration.milliseconds(200)

    private let context: StageContext
    private let bucket: KeyValueBucket
    private var machine: LearnMachine
    private var waiting: [Waiting] = []
    private var held: [LearnedAgent: LearnedModel] = [:]
    private var received: UInt64
    private var forgotten: UInt64 = 0
    /// The round of writes that is under way.
    private var storing: Task<Void, any Error>?
    private let signals = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(_ context: StageContext, _ machine: LearnMachine, _ bucket: KeyValueBucket, position: UInt64) {
        self.context = context
        self.machine = machine
        self.bucket = bucket
        received = position
    }

    func receive(_ message: StageMessage) async throws {
        while waiting.count >= LearnWorker.waitingLimit { try await store() }
        let taken = try await context.events(of: message)
        for (event, _) in taken.events {
            guard let finished = machine.receive(event, tenant: taken.tenant) else { continue }
            waiting.append(Waiting(sequence: message.sequence, time: message.timeNanoseconds, finished: finished))
        }
        received = message.sequence
        let metrics = context.metrics
        metrics.add("skein_events_received_total", taken.events.count, ["stage": context.key.stage])
        metrics.add("skein_learn_runs_forgotten_total", Int(clamping: machine.forgottenRuns - forgotten))
        forgotten = machine.forgottenRuns
        metrics.set("skein_learn_open_runs", Double(machine.openRunCount), context.labels)
        if !waiting.isEmpty { signals.continuation.yield() }
    }

    // MARK: Storing

    func run() async throws {
        for await _ in signals.stream {
            try await store()
            try await Task.sleep(for: LearnWorker.interval)
        }
    }

    /// Brings what waits into the models; while that is under way it waits for it. Whoever has lost the task meanwhile does no harm: a model
    /// that the successor has written is read again, and knows what it has learned.
    private func store() async throws {
        if let storing { return try await storing.value }
        let round = Task { try await self.storeWaiting() }
        storing = round
        defer { storing = nil }
        try await round.value
    }

    private func storeWaiting() async throws {
        let batch = waiting
        let agents = Dictionary(grouping: batch) { LearnedAgent(tenant: $0.finished.tenant, agent: $0.finished.agent) }
        for (agent, entries) in agents { try await learn(entries, agent) }
        // What came meanwhile is behind it.
        waiting.removeFirst(batch.count)
        context.metrics.set("skein_learn_runs_waiting", Double(waiting.count), context.labels)
    }

    /// - Throws: what the broker says; the task begins again at its checkpoint then.
    private func learn(_ entries: [Waiting], _ agent: LearnedAgent) async throws {
        let runs = entries.map { (time: $0.time, run: $0.finished.run) }
        do {
            while !(try await stored(runs, agent)) { held[agent] = nil }
        } catch let error as SnapshotError {
            // Another version's, which goes on learning: nothing of it is overwritten.
            failed("unreadable", entries.count, agent, "\(error)")
        } catch let error as NATSError {
            guard error.code == .payloadTooLarge else { throw error }
            failed("too_large", entries.count, agent, "\(error)")
        }
    }

    /// - Returns: false when somebody else has written the model since it was read.
    private func stored(_ runs: [(time: UInt64, run: CompletedRun)], _ agent: LearnedAgent) async throws -> Bool {
        let fresh = LearnedModel(
            model: PredictionModel(tenant: agent.tenant, agent: agent.agent), revision: 0, size: 0)
        var current = fresh
        if let known = held[agent] {
            current = known
        } else if let read = try await bucket.learned(agent) {
            current = read
        }
        let count = current.model.learn(runs, partition: context.key.partition)
        let bytes = current.model.encoded()
        current.size = bytes.count
        do throws(NATSError) {
            if count > 0 {
                current.revision =
                    current.revision == 0
                    ? try await bucket.create(agent.key, bytes)
                    : try await bucket.update(agent.key, bytes, revision: current.revision)
            }
        } catch {
            if error.code == .wrongLastRevision { return false }
            throw error
        }
        if held.count >= LearnWorker.heldLimit { held.removeAll() }
        held[agent] = current
        context.metrics.add("skein_learn_runs_total", count)
        return true
    }

    private func failed(_ reason: String, _ count: Int, _ agent: LearnedAgent, _ error: String) {
        held[agent] = nil
        context.metrics.add("skein_learn_failures_total", count, ["reason": reason])
        context.logger.warning(
            "runs are not learned from", metadata: ["key": "\(agent.key)", "runs": "\(count)", "error": "\(error)"])
    }

    // MARK: State

    func snapshot() -> StageSnapshot { StageSnapshot(bytes: machine.snapshot()) }

    /// A snapshot holds no run that has ended, so the position stays before the first that is not stored.
    func confirmed() -> UInt64 { waiting.first.map { $0.sequence - 1 } ?? received }

    func flush() async {
        // What fails here fails again where it counts.
        if !waiting.isEmpty { try? await store() }
    }
}
