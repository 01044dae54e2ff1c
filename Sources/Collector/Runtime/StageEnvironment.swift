package import Logging
package import NATSTransport
package import Stages

/// What all tasks of a collector share.
package struct StageEnvironment: Sendable {
    package let jetStream: JetStream
    package let state: KeyValueBucket
    package let prefetch: PrefetchBudget
    /// This process, at random.
    package let owner: String
    package let lease: Lease
    package let metrics: Metrics
    package let logger: Logger
    package let alerts: PolicyAlertWriter
    /// Of dead letters.
    let letterLog = LogThrottle()
    /// Of what fails while the broker is away.
    package var outages = OutageLog()

    /// Time between two checkpoints of a busy task.
    package var checkpointInterval = Duration.seconds(1)
    /// So many messages make a checkpoint due earlier.
    package var checkpointMessages = 10_000
    /// What a task writes of snapshots at the most, on average.
    package var snapshotBytesPerSecond = 2 << 20
    /// Time between two looks of a task at its record.
    package var recordInterval = Duration.seconds(3)
    /// Of messages that come in chunks.
    package var chunkLimits = ChunkAssembler.Limits()
    /// Time between two ticks of a task.
    package var tickInterval = Duration.seconds(1)
    /// How long a graceful stop waits for deliveries, and how long for one that does not come.
    package var stopTimeout = Duration.seconds(10)
    package var stallTimeout = Duration.seconds(2)
    /// Time between two tries of a task that an operator has to mend.
    package var failurePause = Duration.seconds(15)
    /// What happens by itself within so long is waited for by whoever asks whether all is done.
    package var soon = Duration.seconds(10)

    package init(
        jetStream: JetStream, state: KeyValueBucket, prefetch: PrefetchBudget, owner: String, lease: Lease,
        metrics: Metrics, logger: Logger, alerts: PolicyAlertWriter? = nil
    ) {
        self.jetStream = jetStream
        self.state = state
        self.prefetch = prefetch
        self.owner = owner
        self.lease = lease
        self.metrics = metrics
        self.logger = logger
        self.alerts = alerts ?? PolicyAlertWriter(jetStream, metrics, logger)
    }
}
