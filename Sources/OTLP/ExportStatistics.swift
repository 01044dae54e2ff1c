/// Counters and gauges of one exporter since its start.
package struct ExportStatistics: Sendable, Equatable {
    /// Requests sent, repeated ones included.
    package var requests = 0
    /// Requests that were sent again after a failure.
    package var retries = 0
    /// Items that the backend took.
    package var delivered = 0
    /// Items that the backend refused in a partial success, unknown which.
    package var rejected = 0
    /// Items that the backend refused and that are with the dead letters.
    package var deadLettered = 0
    /// Items that were given up because they had waited for too long.
    package var expired = 0
    /// Successes whose body was not an OTLP answer.
    package var unreadableAnswers = 0
    /// Items waiting or in flight.
    package var queueItems = 0
    /// Their bytes in requests, uncompressed.
    package var queueBytes = 0
    /// Bytes of request bodies as sent.
    package var bytesSent = 0
    /// Failures since the last answer that was not one; grows while the endpoint is down.
    package var consecutiveFailures = 0
    /// Why the last request or dead letter failed, nil when none has.
    package var lastError: String?

    package init() {}
}
