package import Logging
package import NATSTransport

/// What all tasks of a collector share.
package struct StageEnvironment: Sendable {
    package let jetStream: JetStream
    package let state: KeyValueBucket
    package let prefetch: PrefetchBudget
    /// This process, at random.
    package let owner: String
    package let checkpointInterval: Duration
    /// How long a graceful stop waits for deliveries.
    package let stopTimeout: Duration
    package let metrics: Metrics
    package let logger: Logger

    package init(
        jetStream: JetStream, state: KeyValueBucket, prefetch: PrefetchBudget, owner: String,
        checkpointInterval: Duration,
        stopTimeout: Duration, metrics: Metrics, logger: Logger
    ) {
        self.jetStream = jetStream
        self.state = state
        self.prefetch = prefetch
        self.owner = owner
        self.checkpointInterval = checkpointInterval
        self.stopTimeout = stopTimeout
        self.metrics = metrics
        self.logger = logger
    }
}
