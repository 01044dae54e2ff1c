internal import ATOF
package import NATSTransport
package import Stages

/// Publishes alerts of rules to `SKEIN_ALERTS`, and counts them.
package struct PolicyAlertWriter: Sendable {
    private let jetStream: JetStream
    private let metrics: Metrics

    package init(_ jetStream: JetStream, _ metrics: Metrics) {
        self.jetStream = jetStream
        self.metrics = metrics
    }

    /// Returns once the broker has the alert; repeats while the broker is away, because what is not stored here nobody hears of.
    package func write(_ alert: PolicyAlert) async throws {
        try await jetStream.publishUntilStored(
            subject: alert.subject,
            headers: [SkeinHeaders.messageID: alert.id, SkeinHeaders.contentType: SkeinHeaders.json],
            payload: Array(alert.json.compactText.utf8))
        metrics.add("skein_alerts_total", 1, ["rule": alert.rule])
    }
}
