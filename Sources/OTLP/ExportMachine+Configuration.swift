extension ExportMachine {
    /// Bounds and times of one endpoint's delivery.
    package struct Configuration: Sendable, Equatable {
        /// Items in a request.
        package var maxBatchItems = 512
        /// Bytes of a request before compression, without resource and scope. A larger item goes alone.
        package var maxBatchBytes = 2 << 20
        /// How long the oldest item waits for a batch to become full.
        package var scheduledDelay = Duration.seconds(5)
        /// Items waiting or in flight above which producers wait.
        package var maxQueueItems = 2048
        /// Their bytes above which producers wait.
        package var maxQueueBytes = 3 << 20
        /// The wait after a first failure; it doubles with every further one.
        package var initialBackoff = Duration.seconds(1)
        /// Bound of that wait.
        package var maxBackoff = Duration.seconds(30)
        /// Bound of a wait that the server asks for.
        package var maxRetryAfter = Duration.seconds(300)

        package init() {}
    }
}
