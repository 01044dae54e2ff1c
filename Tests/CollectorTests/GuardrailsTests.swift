import ATOF
import Collector
import Middleware
import NATSTransport
import Stages
import Testing

@Suite("Guardrails in process", .timeLimit(.minutes(1)))
struct GuardrailsTests {
    private static let run = EventUUID(high: 0x0190_0000_0000_7000, low: 0x8000_0000_0000_0000)

    private static func uuid(_ scope: UInt64) -> String {
        EventUUID(high: run.high, low: run.low | scope).description
    }

    private static func call(_ scope: UInt64, _ name: String, _ data: String) -> [String] {
        ["start", "end"].map { phase in
            AtofLine(
                phase: phase, uuid: uuid(scope), parent: run.description, name: name, category: "tool", data: data
            ).text
        }
    }

    private static let lines: [String] =
        [AtofLine(uuid: run.description, name: "agent").text]
        + call(1, "read_file", #"{"path":"/tmp/x"}"#) + call(2, "shell", #"{"command":"rm"}"#)
        + call(3, "mail", #"{"to":"bob@example.com"}"#)
        + [AtofLine(phase: "end", uuid: run.description, name: "agent").text]

    private static func rules() throws -> GuardrailRules {
        GuardrailRules(rules: [
            GuardrailRule(
                name: "no-shell", condition: .tools(.init(deny: [NameGlob("shell")])), actions: [.dropEvent, .alert],
                reason: "no shells here"),
            GuardrailRule(
                name: "no-mail",
                condition: .content(try .init(matchers: [.detector(.email)], replacement: "[MAIL]")),
                actions: [.redact, .alert], reason: "no addresses"),
        ])
    }

    @Test("what a rule drops or redacts nobody behind process sees, and alerts are told once, also after a replay")
    func rulesOnEvents() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.middleware.guardrails = try Self.rules()
            try await rig.collecting(configuration) { collector in
                try await rig.publish([
                    OutgoingMessage(
                        subject: SkeinSubjects.events(tenant: "acme", key: Self.run.description),
                        payload: try packed(Self.lines))
                ])
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_events_dropped_total") == 2)
                #expect(collector.metrics.total("skein_alerts_total") == 3)
            }
            let events = try await rig.processedEvents()
            #expect(events.count == 6)
            #expect(events.keys.allSatisfy { $0.uuid.description != Self.uuid(2) })
            for message in try await rig.contents(of: SkeinSubjects.processedStream) {
                let text = String(decoding: message.payload, as: UTF8.self)
                #expect(!text.contains("bob@example.com") && !text.contains("shell"))
            }
            let alerts = try await rig.contents(of: SkeinSubjects.alertsStream)
            // Of the mail both events hold the address; for the broker that is one occasion.
            #expect(
                alerts.map(\.subject).sorted() == ["skein.v1.alerts.acme.no-mail", "skein.v1.alerts.acme.no-shell"])
            for alert in alerts {
                let document = try JSONParser.parse(alert.payload)
                #expect(document["tenant"] == "acme")
                #expect(document["trajectory"] == .null)
                #expect(document["root"] == .string(Self.run.description))
                #expect(!document.compactText.contains("bob@example.com"))
            }
        }
    }
}
