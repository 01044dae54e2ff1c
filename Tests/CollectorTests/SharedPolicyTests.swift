import Collector
import Foundation
import NATSTransport
import Stages
import Testing

@Suite("Shared policy", .timeLimit(.minutes(2)))
struct SharedPolicyTests {
    private static let redaction = """
        [[components]]
        kind = "pii_redaction"
        [components.config.builtin]
        action = "redact"
        detector = "email"
        """

    private static func collector(_ rig: Rig, _ log: LogLines) throws -> Collector {
        let file = try rig.file(
            "skein.toml",
            """
            [nats]
            urls = ["\(rig.server.url)"]
            [collector]
            partitions = 2
            shared_policy = true
            [http]
            enabled = false
            """)
        let source = ConfigurationSource(files: [file], inherits: false, environment: [:])
        return Collector(try source.read().0, source: source, logger: log.logger)
    }

    private static func running(_ collector: Collector, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await collector.run() }
            defer { group.cancelAll() }
            try await eventually("its tasks run") { await !collector.tasks().isEmpty }
            try await body()
            await collector.stop()
            try await group.waitForAll()
        }
    }

    private static func shows(_ collector: Collector, _ metric: String) async throws {
        try await eventually(metric) { collector.metrics.prometheusText().contains("\(metric)\n") }
    }

    @Test("a collector that starts takes from it what only a start can take: workers, rules on runs, prices")
    func start() async throws {
        try await Rig.with { rig in
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: "skein_config")
            try await bucket.put(
                "policy",
                Array(
                    """
                    [[components]]
                    kind = "workers"
                    [[components.config.workers]]
                    name = "somebody"
                    surfaces = ["tool_conditional"]
                    [[components]]
                    kind = "guardrails"
                    [[components.config.rules]]
                    name = "depth"
                    budget = { measure = "depth", limit = 5 }
                    actions = ["alert"]
                    """.utf8))
            let collector = try Self.collector(rig, LogLines())
            try await Self.running(collector) {
                try await eventually("watch runs") { await collector.tasks().contains { $0.stage == "watch" } }
                try await eventually("agents are answered") { try await rig.guardMembers().count == 1 }
                try await Self.shows(collector, "skein_policy_is_shared 1")
            }
        }
    }

    @Test("what is no policy is refused at the start, with what to do", arguments: ["observability", "nats"])
    func noPolicy(_ kind: String) async throws {
        try await Rig.with { rig in
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: "skein_config")
            let text =
                kind == "nats"
                ? "[nats]\nurls = [\"nats://127.0.0.1:1\"]"
                : "[[components]]\nkind = \"observability\"\n[components.config.opentelemetry]\nenabled = true\nendpoint = \"http://127.0.0.1:1\""
            try await bucket.put("policy", Array(text.utf8))
            let collector = try Self.collector(rig, LogLines())
            let error = await #expect(throws: ConfigurationError.self) { try await collector.run() }
            let text2 = error?.diagnostics.map(\.sentence).joined() ?? ""
            #expect(text2.contains(kind) && text2.contains("skein_config/policy"), "\(text2)")
        }
    }

    @Test("a bucket that was lost takes nobody's policy away and is told; a key that is deleted does")
    func lost() async throws {
        try await Rig.with { rig in
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: "skein_config")
            try await bucket.put("policy", Array(Self.redaction.utf8))
            let log = LogLines()
            let collector = try Self.collector(rig, log)
            try await Self.running(collector) {
                try await Self.shows(collector, "skein_policy_generation 1")
                try await rig.jetStream.deleteStream("KV_skein_config")
                collector.reload()
                try await Self.shows(collector, #"skein_policy_reloads_total{result="failed"} 1"#)
                // As another member that starts creates it.
                let again = try await KeyValueBucket.open(rig.jetStream, name: "skein_config")
                collector.reload()
                try await Self.shows(collector, #"skein_policy_reloads_total{result="failed"} 2"#)
                #expect(log.all.contains { $0.contains("was lost and is empty") })
                try await again.put("policy", Array(Self.redaction.utf8))
                try await Self.shows(collector, #"skein_policy_reloads_total{result="unchanged"} 1"#)
                try await again.delete("policy")
                try await Self.shows(collector, "skein_policy_generation 2")
            }
        }
    }

    @Test("a collector that finds none says so")
    func none() async throws {
        try await Rig.with { rig in
            let log = LogLines()
            let collector = try Self.collector(rig, log)
            try await Self.running(collector) {
                try await Self.shows(collector, "skein_policy_is_shared 0")
                #expect(log.all.contains { $0.contains("there is no shared policy") })
            }
        }
    }

    @Test("an inherited layer that goes, or is emptied, takes nobody's policy away")
    func inheritedLayer() async throws {
        try await Rig.with { rig in
            let home = "\(rig.directory)/home"
            let folder = "\(home)/nemo-relay"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let own = "\(folder)/plugins.toml"
            try Self.redaction.write(toFile: own, atomically: true, encoding: .utf8)
            let file = try rig.file(
                "skein.toml",
                "[nats]\nurls = [\"\(rig.server.url)\"]\n[collector]\npartitions = 2\n[http]\nenabled = false\n")
            let source = ConfigurationSource(files: [file], inherits: true, environment: ["XDG_CONFIG_HOME": home])
            let log = LogLines()
            let collector = Collector(try source.read().0, source: source, logger: log.logger)
            try await Self.running(collector) {
                try await Self.shows(collector, "skein_policy_generation 1")
                try "".write(toFile: own, atomically: true, encoding: .utf8)
                collector.reload()
                try await Self.shows(collector, #"skein_policy_reloads_total{result="refused"} 1"#)
                try FileManager.default.removeItem(atPath: own)
                collector.reload()
                try await Self.shows(collector, #"skein_policy_reloads_total{result="refused"} 2"#)
                #expect(log.all.contains { $0.contains("configuration.missing_layer") && $0.contains(own) })
                try "# Nothing any more.\n".write(toFile: own, atomically: true, encoding: .utf8)
                collector.reload()
                try await Self.shows(collector, "skein_policy_generation 2")
            }
        }
    }
}
