import ATOF
import Collector
import Foundation
import HTTPTransport
import NATSTestCluster
import NATSTransport
import Stages
import Synchronization
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A collector in a process of its own gets another policy while it runs.
@Suite("Reload of the policy", .timeLimit(.minutes(2)), .serialized)
struct PolicyReloadTests {
    private static let redaction = """
        [[components]]
        kind = "pii_redaction"
        [components.config.builtin]
        action = "redact"
        detector = "email"

        """

    private static func toml(_ rig: Rig, partitions: Int = 2, more: String = "", _ policy: String = "") throws -> String
    {
        """
        [nats]
        urls = ["\(rig.server.url)"]
        [collector]
        partitions = \(partitions)
        checkpoint_interval_millis = 50
        \(more)
        [http]
        listen = "127.0.0.1:\(try port(of: rig))"
        \(policy)
        """
    }

    private static let ports = Mutex<[String: UInt16]>([:])

    /// Of the probes: one for each broker.
    private static func port(of rig: Rig) throws -> UInt16 {
        try ports.withLock { ports in
            if let port = ports[rig.server.url] { return port }
            let port = try FreePorts.take()[0]
            ports[rig.server.url] = port
            return port
        }
    }

    private static let client = HTTPClient(maxThreads: 1)

    /// What the probes' server answers; empty while there is none.
    private static func get(_ path: String, _ rig: Rig) async throws -> String {
        let request = HTTPRequest(method: "GET", url: "http://127.0.0.1:\(try port(of: rig))\(path)")
        do throws(HTTPError) {
            let response = try await client.send(request)
            return "\(response.status) " + String(decoding: response.body, as: UTF8.self)
        } catch {
            return ""
        }
    }

    private static func wait(for metric: String, _ rig: Rig) async throws {
        try await eventually(metric) { try await get("/metrics", rig).contains("\n\(metric)\n") }
    }

    /// Publishes a mark with an address in it, and says whether the address is in what comes of it.
    private static func showsAddress(_ number: Int, _ rig: Rig) async throws -> Bool {
        let uuid = Run.uuid(run: number, scope: 1)
        let line = AtofLine(kind: "mark", uuid: uuid.description, data: "{\"to\":\"bob\(number)@example.org\"}").text
        let subject = SkeinSubjects.events(tenant: "acme", key: "k\(number)")
        try await rig.publish([OutgoingMessage(subject: subject, payload: try packed([line]))])
        var found: String?
        try await eventually("mark \(number) is processed") {
            for message in try await rig.contents(of: SkeinSubjects.processedStream) {
                let batch = try EventBatch(unpacking: message.payload)
                for index in 0..<batch.count {
                    let event = try batch.event(at: index)
                    if event.uuid == uuid { found = event.data?.value.compactText }
                }
            }
            return found != nil
        }
        return found?.contains("bob\(number)@example.org") == true
    }

    @Test(
        "SIGHUP takes the policy of the file, from the next event on; a wrong one is refused and the one before stays")
    func signal() async throws {
        try await Rig.with { rig in
            let file = try rig.file("skein.toml", try Self.toml(rig))
            let skein = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            try await Self.wait(for: "skein_policy_generation 1", rig)
            #expect(try await Self.showsAddress(1, rig))

            _ = try rig.file("skein.toml", try Self.toml(rig, Self.redaction))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_generation 2", rig)
            #expect(try await !Self.showsAddress(2, rig))

            _ = try rig.file("skein.toml", try Self.toml(rig, Self.redaction.replacing("email", with: "passport")))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 1", rig)
            #expect(skein.errors.contains("components[0].config.builtin.detector"))
            #expect(try await !Self.showsAddress(3, rig))

            // What is read at the start only: not even the policy beside it is taken.
            _ = try rig.file("skein.toml", try Self.toml(rig, partitions: 3))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 2", rig)
            #expect(skein.errors.contains("[collector] has changed, which needs a restart"))
            #expect(try await !Self.showsAddress(4, rig))

            // As a file is while an editor saves it.
            _ = try rig.file("skein.toml", "")
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 3", rig)
            #expect(try await !Self.showsAddress(6, rig))

            _ = try rig.file("skein.toml", try Self.toml(rig, Self.redaction))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_reloads_total{result=\"unchanged\"} 1", rig)
            #expect(try await Self.get("/metrics", rig).contains("\nskein_policy_generation 2\n"))
            try await eventually("ready") { try await Self.get("/readyz", rig).hasPrefix("200") }

            _ = try rig.file("skein.toml", try Self.toml(rig))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_generation 3", rig)
            #expect(try await Self.showsAddress(5, rig))
            #expect(try await skein.stop().code == 0)
        }
    }

    @Test("the document in the bucket is the highest layer, at the start and whenever it changes")
    func bucket() async throws {
        try await Rig.with { rig in
            let file = try rig.file("skein.toml", try Self.toml(rig, more: "shared_policy = true"))
            let bucket = try await KeyValueBucket.open(rig.jetStream, name: "skein_config")
            try await bucket.put("policy", Array(Self.redaction.utf8))
            let skein = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            try await Self.wait(for: "skein_policy_generation 1", rig)
            #expect(try await !Self.showsAddress(1, rig))

            try await bucket.put("policy", Array(Self.redaction.replacing("email", with: "passport").utf8))
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 1", rig)
            #expect(skein.errors.contains("skein_config/policy: components[0].config.builtin.detector"))
            #expect(try await !Self.showsAddress(2, rig))
            try await bucket.put("policy", [0xFF])
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 2", rig)
            try await bucket.put("policy", Array("[nats]\nurls = [\"nats://x:1\"]".utf8))
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 3", rig)
            // What a mistyped path of a file writes.
            try await bucket.put("policy", Array("\n".utf8))
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 4", rig)
            #expect(try await !Self.showsAddress(3, rig))

            try await bucket.delete("policy")
            try await Self.wait(for: "skein_policy_generation 2", rig)
            #expect(try await Self.showsAddress(4, rig))
            #expect(try await skein.stop().code == 0)

            // Without the policy that it is given none starts.
            try await bucket.put("policy", Array(Self.redaction.replacing("email", with: "passport").utf8))
            let outcome = try await SkeinProcess.run(["collect", "--config", file], directory: rig.directory)
            #expect(outcome.code == 2)
            #expect(outcome.errors.contains("skein_config/policy: components[0].config.builtin.detector"))
        }
    }

    /// Two rules on runs, and perhaps prices.
    private static func runRules(calls: Int, prices: Bool = false) -> String {
        """
        [[components]]
        kind = "guardrails"
        [[components.config.rules]]
        name = "calls"
        budget = { measure = "tool_calls", limit = \(calls) }
        actions = ["alert"]
        [[components.config.rules]]
        name = "spend"
        budget = { measure = "cost", limit = 1.5 }
        actions = ["alert"]

        """
            + (prices
                ? """
                [[components]]
                kind = "pricing"
                [[components.config.sources]]
                type = "inline"
                [components.config.sources.catalog]
                version = 1
                [[components.config.sources.catalog.entries]]
                provider = "openai"
                model_id = "m"
                rates = { input_per_million = 2.0, output_per_million = 2.0 }
                prompt_cache = { read_accounting = "included_in_prompt_tokens" }
                pricing_as_of = "2026-01-01"
                pricing_source = "list"

                """ : "")
    }

    private static let run = Run.uuid(run: 1, scope: 0)

    private static func publish(_ lines: [String], _ rig: Rig) async throws {
        let subject = SkeinSubjects.events(tenant: "acme", key: run.description)
        try await rig.publish([OutgoingMessage(subject: subject, payload: try packed(lines))])
    }

    private static func call(_ scope: Int, _ category: String = "tool", data: String = "{}") -> [String] {
        ["start", "end"].map { phase in
            AtofLine(
                phase: phase, uuid: Run.uuid(run: 1, scope: scope).description, parent: run.description,
                name: category == "llm" ? "openai" : "search", category: category, data: phase == "end" ? data : "{}"
            ).text
        }
    }

    private static func alerts(_ rig: Rig) async throws -> [JSONValue] {
        try await rig.contents(of: SkeinSubjects.alertsStream).map { try JSONParser.parse($0.payload) }
    }

    @Test("rules on runs and prices are taken over while a run is under way, and what was counted goes on")
    func runs() async throws {
        let answer = """
            {"object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1000000,"completion_tokens":0}}
            """
        try await Rig.with { rig in
            let file = try rig.file("skein.toml", try Self.toml(rig, Self.runRules(calls: 1000)))
            let skein = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            try await Self.wait(for: "skein_policy_generation 1", rig)
            let opening = AtofLine(
                phase: "start", uuid: Self.run.description, name: "agent", category: "agent", data: "{}")
            try await Self.publish([opening.text] + (1...5).flatMap { Self.call($0) }, rig)
            try await Self.publish(Self.call(6, "llm", data: answer), rig)
            try await Self.wait(for: "skein_events_received_total{stage=\"watch\"} 13", rig)
            #expect(try await Self.alerts(rig).isEmpty)

            _ = try rig.file("skein.toml", try Self.toml(rig, Self.runRules(calls: 5, prices: true)))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_generation 2", rig)
            try await Self.publish(Self.call(7) + Self.call(8, "llm", data: answer), rig)
            try await eventually("both rules have fired") { try await Self.alerts(rig).count == 2 }
            let alerts = try await Self.alerts(rig)
            #expect(
                alerts.first { $0["rule"] == "calls" }?["counts"] == ["tool_calls": 6, "limit": 5], "\(alerts)")
            // What was counted before there were prices cost nothing.
            #expect(alerts.contains { $0["rule"] == "spend" })

            // Nothing comes any more, and the run has lasted too long by a rule that is new.
            let slow = """

                [[components.config.rules]]
                name = "slow"
                budget = { measure = "wall_time", limit = 0.001 }
                actions = ["alert"]
                """
            _ = try rig.file("skein.toml", try Self.toml(rig, Self.runRules(calls: 5) + slow))
            skein.signal(SIGHUP)
            try await eventually("the new rule has fired") {
                try await Self.alerts(rig).contains { $0["rule"] == "slow" }
            }
            #expect(try await Self.alerts(rig).count == 3)

            // Whether there is a stage for runs is no policy.
            let onEvents = """
                [[components]]
                kind = "guardrails"
                [[components.config.rules]]
                name = "no-shell"
                tools = { deny = ["shell"] }
                actions = ["alert"]
                """
            _ = try rig.file("skein.toml", try Self.toml(rig, onEvents))
            skein.signal(SIGHUP)
            try await Self.wait(for: "skein_policy_reloads_total{result=\"refused\"} 1", rig)
            #expect(skein.errors.contains("whether there are guardrails, and rules on runs among them, has changed"))
            #expect(try await skein.stop().code == 0)
        }
    }
}
