import ATOF
import Collector
import Foundation
import NATSTransport
import Testing

@Suite("Configuration")
struct ConfigurationTests {
    struct Complaint: Sendable, CustomTestStringConvertible {
        let toml: String
        var environment: [String: String] = [:]
        /// `level code field` of every complaint, in any order.
        let complaints: [String]

        var testDescription: String { toml }
    }

    private static func traces(_ text: String, policy: String = "") -> String {
        """
        [[components]]
        kind = "observability"
        [components.config]
        version = 4
        \(policy)
        [components.config.opentelemetry]
        enabled = true
        [[components.config.opentelemetry.traces]]
        \(text)
        """
    }

    private static let endpoint = "type = \"full\"\nendpoint = \"http://127.0.0.1:4318\"\n"
    private static let trace = "components[0].config.opentelemetry.traces[0]"

    private static func second(_ type: String, _ url: String) -> String {
        "[[components.config.opentelemetry.traces]]\ntype = \"\(type)\"\nendpoint = \"\(url)\"\n"
    }

    private static func pricing(_ text: String, enabled: Bool = true) -> String {
        "[[components]]\nkind = \"pricing\"\nenabled = \(enabled)\n[[components.config.sources]]\n\(text)"
    }

    private static let source = "components[0].config.sources[0]"

    private static let table: [Complaint] = [
        .init(toml: "", complaints: []),
        .init(toml: "version = 2", complaints: ["error plugin.unsupported_config_version version"]),
        .init(toml: "[nats", complaints: ["error configuration.malformed test.toml:1:6"]),
        .init(toml: "[nat]", complaints: ["warning configuration.unknown_field nat"]),
        .init(
            toml: "[nat]\n[policy]\nunknown_field = \"error\"",
            complaints: ["error configuration.unknown_field nat"]),
        .init(toml: "[nats]\nurls = \"x\"", complaints: ["error configuration.unsupported_value nats.urls"]),
        .init(toml: "[nats]\nurls = []", complaints: ["error configuration.unsupported_value nats.urls"]),
        .init(
            toml: "[nats]\nurls = [\"http://x\"]", complaints: ["error configuration.unsupported_value nats.urls[0]"]),
        .init(
            toml: "[nats]\nurls = [\"nats://a:b@x\"]",
            complaints: ["error configuration.unsupported_value nats.urls[0]"]),
        // When runs are over, and how much is held.
        .init(
            toml:
                "[collector]\nmember_ttl_millis = 10\nlinger_millis = -1\nidle_seconds = 0\nmax_event_bytes = 1\nchunk_timeout_seconds = 59",
            complaints: [
                "error configuration.unsupported_value collector.member_ttl_millis",
                "error configuration.unsupported_value collector.linger_millis",
                "error configuration.unsupported_value collector.idle_seconds",
                "error configuration.unsupported_value collector.max_event_bytes",
                "error configuration.unsupported_value collector.chunk_timeout_seconds",
            ]),
        .init(
            toml: "[collector]\nmax_trajectory_events = 100000000\nheld_bytes = \"1\"\ncheckpoint_messages = 0",
            complaints: [
                "error configuration.unsupported_value collector.max_trajectory_events",
                "error configuration.unsupported_value collector.held_bytes",
                "error configuration.unsupported_value collector.checkpoint_messages",
            ]),
        .init(
            toml: "[collector]\nrevise_seconds = 7200",
            complaints: ["warning configuration.inconsistent collector.revise_seconds"]),
        .init(
            toml: "[collector]\nprocessed_keep_seconds = 900",
            complaints: ["warning configuration.inconsistent collector.idle_seconds"]),
        // Ways to authenticate.
        .init(toml: "[nats]\nnkey = \"U\"", complaints: ["error configuration.unsupported_value nats.nkey_seed_file"]),
        .init(toml: "[nats]\nuser = \"a\"", complaints: ["error configuration.unsupported_value nats.password_env"]),
        .init(
            toml: "[nats]\npassword_env = \"P\"", environment: ["P": "p"],
            complaints: ["error configuration.unsupported_value nats.user"]),
        .init(
            toml: "[nats]\nuser = \"a\"\npassword_env = \"P\"",
            complaints: ["error configuration.unsupported_value nats.password_env"]),
        .init(toml: "[nats]\nuser = \"a\"\npassword_env = \"P\"", environment: ["P": "p"], complaints: []),
        .init(
            toml: "[nats]\nuser = \"a\"\npassword_env = \"P\"\ntoken_env = \"P\"", environment: ["P": "p"],
            complaints: ["error configuration.unsupported_value nats.token_env"]),
        .init(
            toml: "[nats]\ncredentials_file = \"/none\"",
            complaints: ["error configuration.unsupported_value nats.credentials_file"]),
        .init(
            toml: "[nats]\nnkey_seed_file = \"/etc/hostname\"",
            complaints: ["error configuration.unsupported_value nats.nkey"]),
        .init(
            toml: "[nats.tls]\ncertificate_file = \"/etc/hostname\"",
            complaints: ["error configuration.unsupported_value nats.tls.certificate_file"]),
        // Skein's own sections.
        .init(
            toml: "[collector]\npartitions = 257",
            complaints: ["error configuration.unsupported_value collector.partitions"]),
        .init(
            toml: "[collector]\nreplicas = 2", complaints: ["error configuration.unsupported_value collector.replicas"]),
        .init(
            toml: "[collector]\npartitions = \"8\"",
            complaints: ["error configuration.unsupported_value collector.partitions"]),
        .init(toml: "[http]\nlisten = \"9464\"", complaints: ["error configuration.unsupported_value http.listen"]),
        // The plugins document.
        .init(toml: "[[components]]", complaints: ["error configuration.missing_kind components[0].kind"]),
        .init(
            toml: "[[components]]\nkind = \"x\"",
            complaints: ["warning plugin.unknown_component components[0].kind"]),
        .init(toml: "[policy]\nunknown_component = \"ignore\"\n[[components]]\nkind = \"x\"", complaints: []),
        .init(
            toml: "[policy]\nunknown_component = \"error\"\n[[components]]\nkind = \"x\"",
            complaints: ["error plugin.unknown_component components[0].kind"]),
        .init(
            toml: "[policy]\nunknown_field = \"no\"",
            complaints: ["error configuration.unsupported_value policy.unknown_field"]),
        // Prices.
        .init(toml: "[[components]]\nkind = \"pricing\"", complaints: []),
        .init(
            toml: "[[components]]\nkind = \"pricing\"\n[[components]]\nkind = \"pricing\"",
            complaints: ["error plugin.duplicate_component components[1].kind"]),
        .init(
            toml: pricing("type = \"inline\"\ncatalog = { version = 2, entries = [] }\n"),
            complaints: ["error pricing.invalid_config \(source).catalog.version"]),
        .init(
            toml: pricing("type = \"inline\"\ncatalog = { version = 1, entries = [{ provider = \"p\" }] }\n"),
            complaints: ["error pricing.invalid_config \(source).catalog.entries[0].prompt_cache"]),
        .init(
            toml: "policy.unknown_field = \"ignore\"\n"
                + pricing("type = \"inline\"\ncatalog = { version = 1, entries = [] }\nx = 1"),
            complaints: ["error pricing.invalid_config \(source).x"]),
        .init(toml: pricing("type = \"url\""), complaints: ["error pricing.invalid_config \(source).type"]),
        .init(toml: pricing("type = \"file\""), complaints: ["error pricing.invalid_config \(source).path"]),
        .init(
            toml: pricing("type = \"file\"\npath = \"/none\""),
            complaints: ["error pricing.invalid_config \(source).path"]),
        .init(
            toml: pricing("type = \"file\"\npath = \"/etc/hostname\""),
            complaints: ["error pricing.invalid_config \(source).path"]),
        .init(toml: pricing("type = \"file\"\npath = \"/none\"", enabled: false), complaints: []),
        .init(
            toml: "[[components]]\nkind = \"pricing\"\nconfig = { source = [], sources = 5 }",
            complaints: [
                "error pricing.invalid_config components[0].config.source",
                "error pricing.invalid_config components[0].config.sources",
            ]),
        .init(toml: traces(endpoint), complaints: []),
        .init(toml: traces(endpoint + "x = 1"), complaints: ["warning observability.unknown_field \(trace).x"]),
        .init(
            toml: traces(endpoint + "x = 1", policy: "[components.config.policy]\nunknown_field = \"error\""),
            complaints: ["error observability.unknown_field \(trace).x"]),
        .init(
            toml: traces(endpoint + "x = 1", policy: "[components.config.policy]\nunknown_field = \"ignore\""),
            complaints: []),
        .init(
            toml: traces(
                endpoint + "compression = \"zip\"", policy: "[components.config.policy]\nunsupported_value = \"warn\""),
            complaints: ["warning observability.unsupported_value \(trace).compression"]),
        .init(
            toml: traces("endpoint = \"http://x\""), complaints: ["error observability.unsupported_value \(trace).type"]
        ),
        .init(
            toml: traces("type = \"full\"\nendpoint = \"x\""),
            complaints: ["error observability.unsupported_value \(trace).endpoint"]),
        .init(
            toml: traces(endpoint + "transport = \"grpc\""),
            complaints: ["error observability.unsupported_value \(trace).transport"]),
        .init(
            toml: traces(endpoint + "name = \"A b\""),
            complaints: ["error observability.unsupported_value \(trace).name"]),
        .init(
            toml: traces(endpoint + "max_queue_bytes = 0"),
            complaints: ["error observability.unsupported_value \(trace).max_queue_bytes"]),
        .init(
            toml: traces(endpoint + "max_lag_seconds = 0"),
            complaints: ["error observability.unsupported_value \(trace).max_lag_seconds"]),
        .init(toml: traces(endpoint + "max_lag_seconds = 60\nmax_queue_bytes = 1000000"), complaints: []),
        .init(
            toml: traces(endpoint + second("openinference", "http://localhost/v1/traces/")), complaints: []),
        .init(
            toml: traces(endpoint + second("openinference", "http://localhost:4318/v1//traces/")),
            complaints: [
                "error observability.unsafe_otel_destination_collision components[0].config.opentelemetry.traces[1].endpoint"
            ]),
        .init(toml: traces(endpoint + second("full", "http://127.0.0.1:4318")), complaints: []),
        .init(
            toml: traces(endpoint + "max_queue_size = 1\nmax_export_batch_size = 2"),
            complaints: ["error observability.unsupported_value \(trace).max_export_batch_size"]),
        .init(
            toml: traces(endpoint + "header_env = { X-Key = \"NONE\" }"),
            complaints: ["error observability.unsupported_value \(trace).header_env.X-Key"]),
        .init(
            toml: traces(endpoint + "headers = { x-key = \"a\" }\nheader_env = { X-Key = \"K\" }"),
            environment: ["K": "k"],
            complaints: ["error observability.unsupported_value \(trace).header_env.X-Key"]),
        .init(
            toml: "version = 1\n\u{0}\n[[components]]\nkind = \"pii_redaction\"",
            complaints: ["error configuration.malformed test.toml:2"]),
    ]

    @Test(
        "the environment's compatibility wins over the file's, and an empty one is none",
        arguments: [(nil, .strict), ("", .strict), ("skein", .skein)] as [(String?, Compatibility)])
    func compatibility(word: String?, expected: Compatibility) throws {
        let configuration = try ConfigurationReader.read(
            text: "[collector]\ncompatibility = \"strict\"", name: "",
            environment: word.map { ["SKEIN_COMPATIBILITY": $0] } ?? [:]
        ).0
        #expect(configuration.compatibility == expected)
    }

    @Test("complains about each mistake with its code and key, and about nothing else", arguments: table)
    func complaints(expected: Complaint) {
        let diagnostics: [Diagnostic]
        do throws(ConfigurationError) {
            diagnostics = try ConfigurationReader.read(
                text: expected.toml, name: "test.toml", environment: expected.environment
            ).1
            #expect(!diagnostics.contains { $0.level == .error })
        } catch {
            diagnostics = error.diagnostics
            #expect(diagnostics.contains { $0.level == .error })
        }
        #expect(
            diagnostics.map { "\($0.level.rawValue) \($0.code) \($0.field)" }.sorted() == expected.complaints.sorted())
        #expect(diagnostics.allSatisfy { !$0.message.isEmpty })
    }

    /// Of recorded cases of NeMo Relay; copies of `config.toml` in the conformance corpus.
    @Test(
        "takes the documents of NeMo Relay as they are",
        arguments: ["01-simple-agent-tool-llm", "49-metadata-promotion", "70-metrics-delta"])
    func recorded(name: String) throws {
        let file = try #require(Bundle.module.path(forResource: "Configurations/\(name)", ofType: "toml"))
        let (configuration, diagnostics) = try ConfigurationReader.read(file: file, environment: [:])
        #expect(!diagnostics.contains { $0.code.hasSuffix("unknown_field") }, "\(diagnostics)")
        #expect(configuration.trajectories?.agentName == "golden-agent")
        #expect(configuration.endpoints.map(\.name).sorted() == ["full", "gen_ai", "openinference"])
    }

    @Test("takes the bounds of an endpoint, which has none of its own otherwise")
    func endpointBounds() throws {
        let bounded = Self.endpoint + "max_lag_seconds = 60\nmax_queue_bytes = 1000000"
        for (text, lag, bytes) in [(bounded, Duration.seconds(60), 1_000_000), (Self.endpoint, nil, nil)] {
            let (configuration, _) = try ConfigurationReader.read(
                text: Self.traces(text), name: "", environment: [:])
            #expect(configuration.endpoints.first?.maximumLag == lag)
            #expect(configuration.endpoints.first?.maximumQueueBytes == bytes)
        }
    }

    @Test("takes secrets and the server's URL from the environment")
    func secrets() throws {
        let toml =
            "[nats]\ntoken_env = \"T\"\n"
            + Self.traces(Self.endpoint + "headers = { a = \"1\" }\nheader_env = { Authorization = \"A\" }")
        let (configuration, _) = try ConfigurationReader.read(
            text: toml, name: "", environment: ["T": "t", "A": "Bearer b", "SKEIN_NATS_URL": "nats://elsewhere:1"])
        #expect(configuration.nats.urls == ["nats://elsewhere:1"])
        guard case .token(let token) = configuration.nats.authentication, token == "t" else {
            Issue.record("no token")
            return
        }
        let headers = configuration.endpoints.first?.headers.map { "\($0.name): \($0.value)" }
        #expect(headers == ["a: 1", "Authorization: Bearer b"])
        #expect(configuration.endpoints.first?.url == "http://127.0.0.1:4318/v1/traces")
    }

    @Test("prices of files and of the document itself reach spans and steps, in their order")
    func prices() throws {
        func catalog(_ rate: Int) -> String {
            """
            {"version": 1, "entries": [{"provider": "p", "model_id": "m", "pricing_as_of": "x", "pricing_source": "x",
            "prompt_cache": {"read_accounting": "separate"},
            "rates": {"input_per_million": \(rate), "output_per_million": 0}}]}
            """
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "prices-\(UUID()).json")
        try catalog(2).write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let inline = catalog(5).replacing("\n", with: " ").replacing(": ", with: " = ").replacing(
            "\"version\"", with: "version")
        let toml = """
            [[components]]
            kind = "pricing"
            [[components.config.sources]]
            type = "file"
            path = "\(file.path())"
            [[components.config.sources]]
            type = "inline"
            catalog = \(inline)
            """
        let (priced, _) = try ConfigurationReader.read(text: toml, name: "", environment: [:])
        for (output, cost) in [
            (OfflineProjection.Output.full, "nemo_relay.llm.cost.total"), (.openinference, "llm.cost.total"),
            (.atif, "\"cost_usd\":2.0"), (.trajectories, "\"cost_usd\":2.0"),
        ] {
            #expect(try Self.project(output, priced).contains(cost))
            #expect(try !Self.project(output, CollectorConfiguration()).contains(cost))
        }
    }

    /// A model call of a million tokens below an agent, projected.
    private static func project(
        _ output: OfflineProjection.Output, _ configuration: CollectorConfiguration
    ) throws -> String {
        let agent = "01900000-0000-7000-8000-000000000001"
        let call = "01900000-0000-7000-8000-000000000002"
        var projection = try OfflineProjection(
            output, configuration: configuration, sessionID: nil, markProjection: nil)
        for (second, (uuid, category, phase, data)) in [
            (agent, "agent", "start", "null"), (call, "llm", "start", "null"),
            (call, "llm", "end", #"{"model":"m","usage":{"input":1000000}}"#), (agent, "agent", "end", "null"),
        ].enumerated() {
            let parent = uuid == agent ? "null" : "\"\(agent)\""
            let line = """
                {"atof_version":"0.1","attributes":[],"kind":"scope","category":"\(category)","scope_category":"\(phase)","name":"p",\
                "uuid":"\(uuid)","parent_uuid":\(parent),"timestamp":"2026-01-01T00:00:0\(second)Z","data":\(data)}
                """
            try projection.add(line: Array(line.utf8))
        }
        return try projection.finish().map { String(decoding: $0, as: UTF8.self) }.joined()
    }
}
