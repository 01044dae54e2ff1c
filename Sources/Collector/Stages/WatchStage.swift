internal import ATOF
internal import Logging
internal import Middleware
internal import NATSTransport
internal import Stages

/// Reads PROCESSED and says which rules on runs fire: alerts on `SKEIN_ALERTS`, verdicts through EVENTS.
struct WatchStage: Stage {
    let partitioning: Partitioning
    /// Rules and prices; workers take others over between two messages.
    let policy: CurrentPolicy
    var limits = WatchMachine.Limits()

    var name: String { "watch" }
    var stream: String { SkeinSubjects.processedStream }

    func filter(partition: Int) -> String { SkeinSubjects.processedFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let partition = context.key.partition
        let version = policy.version
        let rules = version.settings.guardrails ?? GuardrailRules()
        guard let snapshot else {
            let machine = WatchMachine(
                partition: partition, partitioning: partitioning, rules: rules, pricing: version.pricing,
                limits: limits)
            return WatchWorker(
                context, machine, policy, generation: version.generation, waiting: [], position: position)
        }
        var reader = try SnapshotReader(snapshot, version: WatchWorker.snapshotVersion)
        let machine = try WatchMachine(
            partition: partition, partitioning: partitioning, rules: rules, pricing: version.pricing, limits: limits,
            snapshot: try reader.readBlob())
        var waiting: [WatchWorker.WaitingVerdict] = []
        for _ in 0..<(try reader.readCount()) {
            waiting.append(
                .init(
                    subject: try reader.readText(), id: try reader.readText(), rule: try reader.readText(),
                    payload: try reader.readBlob()))
        }
        try reader.end()
        return WatchWorker(
            context, machine, policy, generation: version.generation, waiting: waiting, position: position)
    }
}

/// Delivers verdicts within `receive`, and alerts beside it: a message is finished when all of them are stored. They are few compared with
/// events, and the next message may wait for verdicts.
///
/// Verdicts are the exception while EVENTS is full: it may be full because this task has not read on. They wait in the snapshot then, and
/// only when many of them do is nothing more read.
actor WatchWorker: StageWorker {
    static let snapshotVersion: UInt8 = 1
    private static let waitingLimit = 256

    struct WaitingVerdict: Sendable {
        let subject: String
        let id: String
        let rule: String
        let payload: [UInt8]
    }

    private let context: StageContext
    private let alerts: AlertQueue
    private var machine: WatchMachine
    private let policy: CurrentPolicy
    /// That the machine follows.
    private var generation: Int
    private var waiting: [WaitingVerdict]
    private var received: UInt64
    private var counted: (runs: UInt64, sums: UInt64) = (0, 0)
    /// Of the last message.
    private var time: UInt64 = 0

    init(
        _ context: StageContext, _ machine: WatchMachine, _ policy: CurrentPolicy, generation: Int,
        waiting: [WaitingVerdict], position: UInt64
    ) {
        self.context = context
        self.machine = machine
        self.policy = policy
        self.generation = generation
        self.waiting = waiting
        alerts = AlertQueue(context.alerts)
        received = position
    }

    func receive(_ message: StageMessage) async throws {
        followPolicy()
        time = message.timeNanoseconds
        var output = WatchMachine.Output()
        machine.timeAdvanced(to: message.timeNanoseconds, into: &output)
        if message.contentType == SkeinHeaders.shares {
            try await receiveShares(message, &output)
        } else {
            let taken = try await context.events(of: message)
            for (event, _) in taken.events { machine.receive(event, tenant: taken.tenant, into: &output) }
            context.metrics.add("skein_events_received_total", taken.events.count, ["stage": context.key.stage])
        }
        try await alerts.tell(output.alerts, of: message.sequence)
        waiting += output.verdicts.map { .init(subject: $0.subject, id: $0.id, rule: $0.rule, payload: $0.payload) }
        try await publishVerdicts()
        await tellShares()
        count()
        received = message.sequence
    }

    private func followPolicy() {
        guard policy.generation != generation else { return }
        let version = policy.version
        generation = version.generation
        machine.replace(rules: version.settings.guardrails ?? GuardrailRules(), pricing: version.pricing)
    }

    /// What somebody else has put there becomes a dead letter.
    private func receiveShares(_ message: StageMessage, _ output: inout WatchMachine.Output) async throws {
        do throws(SnapshotError) {
            try machine.receive(shares: message.payload, into: &output)
        } catch {
            try await context.deadLetters.write(
                DeadLetter(
                    stage: context.key.stage, tenant: SkeinSubjects.ownTenant, reason: "undecodable",
                    message: "not what a task of watch has counted: \(error)", stream: SkeinSubjects.processedStream,
                    subject: message.subject, position: EventReference(sequence: message.sequence, index: 0),
                    contentType: SkeinHeaders.shares, body: message.payload))
        }
    }

    // MARK: Delivery

    /// Returns when all verdicts are stored, or when EVENTS is full and there is room to let them wait.
    private func publishVerdicts() async throws {
        var pause = Duration.milliseconds(50)
        while let verdict = waiting.first {
            guard let error = await failure(of: verdict) else {
                waiting.removeFirst()
                context.metrics.add("skein_guardrail_verdicts_total", 1, ["rule": verdict.rule])
                continue
            }
            guard error.isTemporary else { throw error }
            if error.code == .streamFull {
                context.metrics.add("skein_guardrail_verdicts_delayed_total")
                if waiting.count < WatchWorker.waitingLimit { return }
                // To wait here could be for ever: what fills EVENTS may wait for this stage. Its alert was told.
                waiting.removeFirst()
                context.metrics.add("skein_guardrail_verdicts_dropped_total", 1, ["rule": verdict.rule])
                context.logger.warning("EVENTS is full, a verdict is dropped", metadata: ["rule": "\(verdict.rule)"])
                continue
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
    }

    private func failure(of verdict: WaitingVerdict) async -> NATSError? {
        do throws(NATSError) {
            _ = try await context.jetStream.publish(
                subject: verdict.subject,
                headers: [SkeinHeaders.messageID: verdict.id, SkeinHeaders.contentType: SkeinHeaders.protobuf],
                payload: verdict.payload)
            return nil
        } catch {
            return error
        }
    }

    /// Tells the tasks that decide about sums over partitions. What cannot be told now is told with what comes next: a share says what was
    /// counted in all.
    private func tellShares(now: Bool = false) async {
        for shares in machine.takeShares(now: now) {
            do throws(NATSError) {
                _ = try await context.jetStream.publish(
                    subject: SkeinSubjects.shares(partition: shares.partition),
                    headers: [
                        SkeinHeaders.contentType: SkeinHeaders.shares, SkeinHeaders.stage: context.key.stage,
                    ], payload: shares.payload)
                context.metrics.add("skein_watch_shares_total")
            } catch {
                machine.takeBack(shares)
                context.metrics.add("skein_watch_share_failures_total")
                context.logger.debug("what was counted is told later", metadata: ["error": "\(error)"])
            }
        }
    }

    private func count() {
        let metrics = context.metrics
        let now = (runs: machine.forgottenRuns, sums: machine.forgottenSums)
        metrics.add("skein_watch_runs_forgotten_total", Int(clamping: now.runs - counted.runs))
        metrics.add("skein_watch_sums_forgotten_total", Int(clamping: now.sums - counted.sums))
        counted = now
        metrics.set("skein_watch_open_runs", Double(machine.openRunCount), context.labels)
        metrics.set("skein_guardrail_verdicts_waiting", Double(waiting.count), context.labels)
    }

    // MARK: State

    func snapshot() -> StageSnapshot {
        var writer = SnapshotWriter(version: WatchWorker.snapshotVersion)
        writer.write(machine.snapshot())
        writer.write(waiting.count)
        for verdict in waiting {
            writer.write(verdict.subject)
            writer.write(verdict.id)
            writer.write(verdict.rule)
            writer.write(verdict.payload)
        }
        return StageSnapshot(bytes: writer.bytes)
    }

    func confirmed() -> UInt64 { min(received, alerts.firstUnconfirmed.map { $0 - 1 } ?? received) }

    /// Verdicts that wait are tried again with the next tick.
    func deadline() -> UInt64? {
        // A stricter rule on how long a run may last is due though nothing comes.
        followPolicy()
        return waiting.isEmpty ? machine.deadline : time
    }

    func flush() async { await tellShares(now: true) }

    func run() async throws { try await alerts.run() }
}
