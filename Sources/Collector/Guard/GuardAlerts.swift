internal import ATOF
internal import Logging
internal import Middleware
internal import Stages

/// Tells of rules that fired before the act. Agents do not wait for it: alerts that the broker takes too slowly wait here, a bounded
/// number of them, and one more is counted and dropped.
struct GuardAlerts: Sendable {
    private static let bound = 256
    /// That are published at the same time.
    private static let width = 8

    private let writer: PolicyAlertWriter
    private let environment: StageEnvironment
    private let policy: CurrentPolicy
    private let queue = AsyncStream.makeStream(of: PolicyAlert.self, bufferingPolicy: .bufferingOldest(bound))

    /// - Parameter policy: an agent's name is told as the redactions leave it.
    init(_ environment: StageEnvironment, _ policy: CurrentPolicy) {
        self.environment = environment
        self.policy = policy
        writer = environment.alerts
    }

    func tell(_ alerts: [GuardVerdict.Alert], of context: GuardContext) {
        let now = Wall.nanoseconds()
        let question = context.question
        if alerts.isEmpty { return }
        let agent = question.agent.map { policy.version.chain.redacted(name: $0) }
        for alert in alerts {
            // An agent that asks again and again is one occasion a minute.
            let whose = question.trajectory?.description ?? question.agent ?? ""
            var policyAlert = PolicyAlert(
                rule: alert.rule, tenant: context.tenant, time: now, message: alert.message,
                occasion: "guard/\(whose)/\(now / 60_000_000_000)")
            policyAlert.trajectory = question.trajectory
            policyAlert.agent = agent
            if case .dropped = queue.continuation.yield(policyAlert) {
                environment.metrics.add("skein_guard_alerts_dropped_total", 1, ["rule": alert.rule])
            }
        }
    }

    /// No alert follows: `run` ends behind those that wait.
    func finish() { queue.continuation.finish() }

    /// Publishes until there is nothing more to come, or the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for _ in 0..<GuardAlerts.width { group.addTask { await self.publish() } }
        }
    }

    private func publish() async {
        for await alert in queue.stream {
            do {
                try await writer.write(alert)
            } catch is CancellationError {
                return
            } catch {
                environment.metrics.add("skein_guard_alerts_dropped_total", 1, ["rule": alert.rule])
                environment.logger.warning("an alert was not published", metadata: ["error": "\(error)"])
            }
        }
    }
}
