import ATOF
import Collector
import Middleware
import NATSTransport
import Stages
import Testing

@Suite("Alerts that cannot be stored", .timeLimit(.minutes(2)))
struct AlertOutageTests {
    private static func batch(_ run: Int, count: Int) throws -> OutgoingMessage {
        let root = Run.uuid(run: run, scope: 0).description
        let lines = (1...count).map { scope in
            AtofLine(
                uuid: Run.uuid(run: run, scope: scope).description, parent: root, name: "shell", category: "tool"
            ).text
        }
        return OutgoingMessage(
            subject: SkeinSubjects.events(tenant: "acme", key: "run-\(run)"), payload: try packed(lines))
    }

    @Test("a stream of alerts that is gone is told of once and created again; no alert is lost")
    func gone() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.middleware.guardrails = GuardrailRules(rules: [
                GuardrailRule(
                    name: "no-shell", condition: .tools(.init(deny: [NameGlob("shell")])), actions: [.alert],
                    reason: "no shells")
            ])
            let log = LogLines()
            try await rig.collecting(configuration, log: log) { collector in
                // More than may be under way at once.
                try await rig.publish([try Self.batch(1, count: 600)])
                try await rig.catchUp(collector)
                #expect(try await rig.messages(in: SkeinSubjects.alertsStream) == 600)
                try await rig.jetStream.deleteStream(SkeinSubjects.alertsStream)
                try await rig.publish([try Self.batch(2, count: 40), try Self.batch(3, count: 40)])
                try await rig.catchUp(collector)
                #expect(try await rig.messages(in: SkeinSubjects.alertsStream) == 80)
                #expect(log.all.count { $0.contains("alerts cannot be stored") } == 1)
                #expect(log.all.contains { $0.contains("created again what somebody has deleted") })
                #expect(collector.metrics.total("skein_alerts_total") == 680)
                #expect(collector.metrics.total("skein_alert_failures_total") > 0)
                #expect(collector.metrics.prometheusText().contains("skein_alerts_blocked 0"))
            }
        }
    }
}
