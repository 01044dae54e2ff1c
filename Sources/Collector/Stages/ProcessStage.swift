internal import ATOF
internal import NATSTransport
internal import Stages

/// Reads EVENTS and writes PROCESSED: the machine decides, the chains carry.
struct ProcessStage: Stage {
    let partitioning: Partitioning

    var name: String { "process" }
    var stream: String { SkeinSubjects.eventsStream }

    func filter(partition: Int) -> String { SkeinSubjects.eventsFilter(partition: partition) }

    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker {
        let machine =
            if let snapshot {
                try ProcessMachine(partitioning: partitioning, snapshot: snapshot)
            } else {
                ProcessMachine(partitioning: partitioning)
            }
        let events = try await context.jetStream.streamInfo(stream)
        return ProcessWorker(context, machine: machine, incarnation: String(events.created), position: position)
    }
}

actor ProcessWorker: StageWorker {
    private let context: StageContext
    private var machine: ProcessMachine
    private let incarnation: String
    private var chains: [String: ProcessedChain] = [:]
    private var received: UInt64
    /// Chains that have begun, for `run` to deliver.
    private let begun = AsyncStream.makeStream(of: ProcessedChain.self)
    private let room: ProcessedChain.Room

    /// Bytes that wait in all chains of a task before it stops to read.
    private static let pendingLimit = 8 << 20

    init(_ context: StageContext, machine: ProcessMachine, incarnation: String, position: UInt64) {
        self.context = context
        self.machine = machine
        self.incarnation = incarnation
        received = position
        room = ProcessedChain.Room(limit: ProcessWorker.pendingLimit)
    }

    func receive(_ message: StageMessage) async throws {
        let outcome = machine.receive(message)
        for letter in outcome.deadLetters { try await context.deadLetters.write(letter) }
        for piece in outcome.pieces {
            try await chain(for: piece).append(piece, sequence: message.sequence)
        }
        received = message.sequence
        count(outcome.counts)
        try await room.wait()
    }

    private func count(_ counts: ProcessMachine.Counts) {
        let metrics = context.metrics
        metrics.add("skein_events_received_total", counts.received, ["stage": "process"])
        metrics.add("skein_events_processed_total", counts.processed, ["stage": "process"])
        metrics.add("skein_events_duplicate_total", counts.duplicates, ["stage": "process"])
        metrics.add("skein_events_dead_total", counts.deadLettered, ["stage": "process"])
        metrics.add("skein_events_repaired_total", counts.repaired, ["stage": "process"])
        metrics.set("skein_open_scopes", Double(machine.openScopes), context.labels)
    }

    private func chain(for piece: ProcessMachine.Piece) async throws -> ProcessedChain {
        let subject = SkeinSubjects.processed(
            tenant: piece.tenant, partition: piece.partition, source: context.key.partition)
        if let chain = chains[subject] { return chain }
        let chain = try await ProcessedChain(subject: subject, incarnation: incarnation, context: context, room: room)
        chains[subject] = chain
        begun.continuation.yield(chain)
        return chain
    }

    func snapshot() -> StageSnapshot { StageSnapshot(bytes: machine.snapshot()) }

    func confirmed() -> UInt64 {
        chains.values.reduce(received) { min($0, $1.firstUnconfirmed.map { $0 - 1 } ?? received) }
    }

    func flush() {}

    func run() async throws {
        // One delivery loop for each chain; the first that fails ends them all.
        try await withThrowingDiscardingTaskGroup { deliveries in
            for await chain in begun.stream {
                deliveries.addTask { [continuation = begun.continuation] in
                    // A failure cancels the other deliveries, but not this loop, which would wait for further chains.
                    defer { continuation.finish() }
                    try await chain.deliver()
                }
            }
        }
        try Task.checkCancellation()
    }
}
