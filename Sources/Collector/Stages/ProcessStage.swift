internal import ATOF
internal import Middleware
internal import NATSTransport
internal import Stages

/// Reads EVENTS and writes PROCESSED: the machine decides, the chains carry.
struct ProcessStage: Stage {
    let partitioning: Partitioning
    /// What every event passes; workers take another one over between two messages.
    var policy = CurrentPolicy()
    /// Whom the policy asks.
    var advisers = EventAdvisers(workers: nil, guardrails: nil)
    /// Of a packed event with its root; larger ones are dead letters.
    var maximumEventBytes = 64 << 20

    var name: String { "process" }
    var stream: String { SkeinSubjects.eventsStream }

    func filter(partition: Int) -> String { SkeinSubjects.eventsFilter(partition: partition) }

    func tick(partition: Int) -> String {
        // Some key comes to every partition; were there none, a tick elsewhere would do no harm.
        SkeinSubjects.tick(eventsKey: partitioning.tickKey(partition: partition) ?? "tick")
    }

    func storedTicks(partition: Int) -> String { SkeinSubjects.storedTicks(eventsPartition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let version = policy.version
        var machine =
            if let snapshot {
                try ProcessMachine(
                    partitioning: partitioning, maximumEventBytes: maximumEventBytes, policy: version.chain,
                    snapshot: snapshot)
            } else {
                ProcessMachine(
                    partitioning: partitioning, maximumEventBytes: maximumEventBytes, policy: version.chain)
            }
        let incarnation = String(try await context.jetStream.streamInfo(stream).created)
        if context.fences { try await ProcessedFence(context, incarnation: incarnation).raise() }
        // Also of a task that was released, which may have run out of time, or that was this member's before it failed.
        machine.follow(
            try await StoredDecisionReader(context: context, incarnation: incarnation, position: position).read())
        return ProcessWorker(
            context, machine: machine, policy: policy, version: version, advisers: advisers, incarnation: incarnation,
            position: position)
    }
}

actor ProcessWorker: StageWorker {
    private let context: StageContext
    private var machine: ProcessMachine
    private let policy: CurrentPolicy
    /// What the machine follows.
    private var version: CurrentPolicy.Version
    private let advisers: EventAdvisers
    private var reporter: PolicyReporter
    private let alerts: AlertQueue
    private let incarnation: String
    private var chains: [String: ProcessedChain] = [:]
    /// A count of uses, and for each chain that of its last.
    private var uses: UInt64 = 0
    private var lastUse: [String: UInt64] = [:]
    private var received: UInt64
    /// Chains that have begun, for `run` to deliver.
    private let begun = AsyncStream.makeStream(of: ProcessedChain.self)
    private let room: ProcessedChain.Room

    /// Bytes that wait in all chains of a task before it stops to read.
    private static let pendingLimit = 8 << 20
    /// Chains that are kept though nothing waits in them: a tenant that comes back costs a look at its subject.
    private static let idleChains = 1024

    init(
        _ context: StageContext, machine: ProcessMachine, policy: CurrentPolicy, version: CurrentPolicy.Version,
        advisers: EventAdvisers, incarnation: String, position: UInt64
    ) {
        self.context = context
        self.machine = machine
        self.policy = policy
        self.version = version
        self.advisers = advisers
        reporter = PolicyReporter(context)
        alerts = AlertQueue(context.alerts)
        self.incarnation = incarnation
        received = position
        room = ProcessedChain.Room(limit: ProcessWorker.pendingLimit)
    }

    func receive(_ message: StageMessage) async throws {
        if policy.generation != version.generation {
            version = policy.version
            machine.replacePolicy(version.chain)
        }
        let outcome = machine.receive(message, await asked(about: message))
        reporter.count(outcome.notes)
        try await alerts.tell(reporter.alerts(outcome.notes.alerts, of: message), of: message.sequence)
        for letter in outcome.deadLetters { try await context.deadLetters.write(letter) }
        for piece in outcome.pieces {
            try await chain(for: piece).append(piece, sequence: message.sequence)
        }
        received = message.sequence
        count(outcome.counts)
        try await room.wait()
    }

    /// Asks until no step of the chain has a question any more.
    private func asked(about message: StageMessage) async -> WorkerExchange {
        var exchange = WorkerExchange()
        guard version.chain.asksOutside else { return exchange }
        let limit = machine.maximumEventBytes
        version.chain.plan(message, maximumEventBytes: limit, &exchange)
        while exchange.isAsking {
            await advisers.answer(&exchange)
            version.chain.plan(message, maximumEventBytes: limit, &exchange)
        }
        return exchange
    }

    private func count(_ counts: ProcessMachine.Counts) {
        let metrics = context.metrics
        metrics.add("skein_events_received_total", counts.received, ["stage": "process"])
        metrics.add("skein_events_processed_total", counts.processed, ["stage": "process"])
        metrics.add("skein_events_duplicate_total", counts.duplicates, ["stage": "process"])
        metrics.add("skein_events_dead_total", counts.deadLettered, ["stage": "process"])
        metrics.add("skein_events_dropped_total", counts.dropped, ["stage": "process"])
        metrics.add("skein_events_injected_total", counts.injected, ["stage": "process"])
        metrics.add("skein_events_repaired_total", counts.repaired, ["stage": "process"])
        metrics.add("skein_events_replayed_total", counts.replayed, ["stage": "process"])
        metrics.add("skein_producer_gaps_total", counts.gaps, ["stage": "process"])
        metrics.set("skein_process_waiting_bytes", Double(room.bytes), context.labels)
        metrics.set("skein_open_scopes", Double(machine.openScopes), context.labels)
        metrics.set("skein_events_missing", Double(machine.missingEvents), context.labels)
    }

    func gaveUp(_ letter: DeadLetter) { count(machine.gaveUp(letter)) }

    private func chain(for piece: ProcessMachine.Piece) async throws -> ProcessedChain {
        let subject = SkeinSubjects.processed(
            tenant: piece.tenant, partition: piece.partition, source: context.key.partition)
        uses += 1
        lastUse[subject] = uses
        if let chain = chains[subject] { return chain }
        if chains.count >= ProcessWorker.idleChains { evictIdleChains() }
        let chain = try await ProcessedChain(subject: subject, incarnation: incarnation, context: context, room: room)
        chains[subject] = chain
        begun.continuation.yield(chain)
        return chain
    }

    /// Makes room for many at once: looking for them takes as long as for one.
    private func evictIdleChains() {
        let byAge = chains.keys.sorted { lastUse[$0, default: 0] < lastUse[$1, default: 0] }
        for subject in byAge.prefix(ProcessWorker.idleChains / 4) {
            guard let chain = chains[subject], chain.firstUnconfirmed == nil else { continue }
            chain.end()
            chains[subject] = nil
            lastUse[subject] = nil
            context.metrics.add("skein_chains_evicted_total")
        }
        context.metrics.set("skein_chains", Double(chains.count), context.labels)
    }

    func snapshot() -> StageSnapshot { StageSnapshot(bytes: machine.snapshot()) }

    func ledger() -> [LedgerRow] { machine.ledger.rows }

    func producers() -> [ProducerGap] { machine.producerGaps }

    func confirmed() -> UInt64 {
        let told = alerts.firstUnconfirmed.map { $0 - 1 } ?? received
        return chains.values.reduce(min(told, received)) { min($0, $1.firstUnconfirmed.map { $0 - 1 } ?? received) }
    }

    func flush() {}

    func run() async throws {
        // One delivery loop for each chain; the first that fails ends them all.
        try await withThrowingDiscardingTaskGroup { deliveries in
            deliveries.addTask { [alerts, continuation = begun.continuation] in
                // Behind it the loop below would wait for further chains.
                defer { continuation.finish() }
                try await alerts.run()
            }
            for await chain in begun.stream {
                deliveries.addTask { [continuation = begun.continuation] in
                    do {
                        try await chain.deliver()
                    } catch {
                        // It cancels the other deliveries, but not this loop, which would wait for further chains.
                        continuation.finish()
                        throw error
                    }
                }
            }
        }
        try Task.checkCancellation()
    }
}
