package import Logging
package import NATSTransport
package import Stages

/// What a stage runs on one partition: a pure machine, and the sink for what it puts out.
///
/// The runtime calls `receive` for one message after the other, and `snapshot` only in between. `run` delivers at the same time.
package protocol StageWorker: Sendable {
    /// Takes a message in and hands what comes of it to the sink; waits while the sink is full. Every message says how late it is, also
    /// one that is a tick and nothing else.
    func receive(_ message: StageMessage) async throws
    /// The machine's state after the last message.
    func snapshot() async -> StageSnapshot
    /// The bytes of a snapshot that was taken at a position, now that everything up to there is confirmed.
    func sealed(_ snapshot: StageSnapshot, at position: UInt64) async -> [UInt8]
    /// Everything up to this sequence is delivered, of all that was received.
    func confirmed() async -> UInt64
    /// When time alone would change something, nanoseconds since 1970; nil when nothing waits for it. The runtime sees to it that a
    /// message with a later time comes, a tick at the least.
    func deadline() async -> UInt64?
    /// What became of the events that were received.
    func ledger() async -> [LedgerRow]
    /// Producers whose numbers show that something never arrived.
    func producers() async -> [ProducerGap]
    /// Counts a message that never became whole; its dead letter is written.
    func gaveUp(_ letter: DeadLetter) async
    /// Sends what a sink holds back for a larger batch.
    func flush() async
    /// Delivers until it is cancelled or fails.
    func run() async throws
}

extension StageWorker {
    package func sealed(_ snapshot: StageSnapshot, at position: UInt64) async -> [UInt8] { snapshot.bytes }
    package func deadline() async -> UInt64? { nil }
    package func ledger() async -> [LedgerRow] { [] }
    package func producers() async -> [ProducerGap] { [] }
    package func gaveUp(_ letter: DeadLetter) async {}
}

/// A row of a task's ledger as it is reported.
package struct LedgerRow: Sendable {
    package let tenant: String
    /// The routing key in `process`, the run's root behind it; nil for what is folded into the tenant.
    package let key: String?
    package let counts: LedgerCounts

    package init(tenant: String, key: String?, counts: LedgerCounts) {
        self.tenant = tenant
        self.key = key
        self.counts = counts
    }
}

extension Ledger {
    package var rows: [LedgerRow] {
        entries().map { LedgerRow(tenant: $0.tenant, key: $0.key?.description, counts: $0.counts) }
    }
}

package struct StageSnapshot: Sendable {
    package let bytes: [UInt8]
    /// The lowest sequence of the stream that the bytes refer to; nil when they refer to none.
    package let oldestReference: UInt64?

    package init(bytes: [UInt8], oldestReference: UInt64? = nil) {
        self.bytes = bytes
        self.oldestReference = oldestReference
    }
}

/// What a worker is given.
package struct StageContext: Sendable {
    package let key: TaskKey
    package let epoch: UInt64
    /// Whether the owner before may still be writing, so that it has to be shut out.
    package let fences: Bool
    package let lease: Lease
    package let jetStream: JetStream
    package let metrics: Metrics
    package let logger: Logger
    package let deadLetters: DeadLetterWriter
    package let alerts: PolicyAlertWriter

    package init(
        key: TaskKey, epoch: UInt64, fences: Bool, lease: Lease, jetStream: JetStream, metrics: Metrics, logger: Logger,
        deadLetters: DeadLetterWriter, alerts: PolicyAlertWriter? = nil
    ) {
        self.key = key
        self.epoch = epoch
        self.fences = fences
        self.lease = lease
        self.jetStream = jetStream
        self.metrics = metrics
        self.logger = logger
        self.deadLetters = deadLetters
        self.alerts = alerts ?? PolicyAlertWriter(jetStream, metrics, logger)
    }

    package var labels: KeyValuePairs<String, String> { ["stage": key.stage, "partition": String(key.partition)] }
}

/// A stage: which stream it reads, and how its workers are made.
package protocol Stage: Sendable {
    /// `process`, `assemble`, `export-<name>`.
    var name: String { get }
    var stream: String { get }
    func filter(partition: Int) -> String
    /// Whether its messages come without their bodies, which it reads when it needs them.
    var readsHeadersOnly: Bool { get }
    /// The subject of a message that says to the partition that time has passed.
    func tick(partition: Int) -> String
    /// The subject under which the stream has these messages; it may have wildcards.
    func storedTicks(partition: Int) -> String
    /// - Parameters:
    ///   - snapshot: of an earlier worker of the task.
    ///   - position: everything up to it was delivered.
    func makeWorker(_ context: StageContext, snapshot: [UInt8]?, position: UInt64) async throws -> any StageWorker
}

extension Stage {
    package var readsHeadersOnly: Bool { false }
    package func tick(partition: Int) -> String { SkeinSubjects.tick(partition: partition) }
    package func storedTicks(partition: Int) -> String { tick(partition: partition) }
}
