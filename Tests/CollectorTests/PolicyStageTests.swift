import ATOF
import Collector
import Middleware
import NATSTransport
import Stages
import Testing

@Suite("Policy in process", .timeLimit(.minutes(2)))
struct PolicyStageTests {
    private static func emailPolicy() -> PIIRedaction {
        var profile = PIIRedaction.Profile()
        profile.builtin.action = .redact
        profile.builtin.matcher = .detector(.email)
        var redaction = PIIRedaction()
        redaction.profiles = [profile]
        return redaction
    }

    private static func text(_ rig: Rig, of stream: String) async throws -> String {
        try await rig.contents(of: stream).map { String(decoding: $0.payload, as: UTF8.self) }.joined()
    }

    @Test("EVENTS hold what was published, PROCESSED and trajectories hold it redacted")
    func redacted() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.middleware.piiRedaction = Self.emailPolicy()
            let run = Run(number: 1, tenant: "acme", calls: 2)
            let secret = "bob@example.com"
            let lines = run.lines.map {
                $0.replacing("\"phase\":", with: "\"to\":\"\(secret)\",\"phase\":").replacing(
                    "tool-1", with: "mail \(secret)")
            }
            try await rig.collecting(configuration) { collector in
                try await rig.publish([
                    OutgoingMessage(
                        subject: SkeinSubjects.events(tenant: "acme", key: run.id.description),
                        payload: try packed(lines[...]))
                ])
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_middleware_changes_total") == Double(run.eventCount))
            }
            #expect(try await Self.text(rig, of: SkeinSubjects.eventsStream).contains(secret))
            let processed = try await Self.text(rig, of: SkeinSubjects.processedStream)
            #expect(!processed.contains(secret) && processed.contains("[REDACTED]"))
            #expect(try await !Self.text(rig, of: SkeinSubjects.trajectoriesStream).contains(secret))
            #expect(try await rig.deadLetters().isEmpty)
        }
    }

    @Test("without any policy the headers of a model request hold no credentials behind process")
    func credentials() async throws {
        try await Rig.with { rig in
            let data = #"{"headers":{"Authorization":"Bearer hidden-1","x-kept":"1"},"content":{"messages":[]}}"#
            let line = AtofLine(
                uuid: Run.uuid(run: 1, scope: 1).description, name: "openai", category: "llm", data: data
            ).text
            try await rig.collecting(try rig.configuration()) { collector in
                try await rig.publish([
                    OutgoingMessage(
                        subject: SkeinSubjects.events(tenant: "acme", key: "k"), payload: try packed([line]))
                ])
                try await rig.catchUp(collector)
            }
            let processed = try await Self.text(rig, of: SkeinSubjects.processedStream)
            #expect(!processed.contains("hidden-1") && processed.contains("x-kept"))
        }
    }
}
