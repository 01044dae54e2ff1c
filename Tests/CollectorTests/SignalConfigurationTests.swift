import Collector
import Projections
import Testing

@testable import Collector

@Suite("Configuration of logs and metrics")
struct SignalConfigurationTests {
    private static func document(_ signals: String, traces: String? = "http://127.0.0.1:4318", version: Int = 4)
        -> String
    {
        let endpoint = traces.map {
            "[[components.config.opentelemetry.traces]]\ntype = \"full\"\nendpoint = \"\($0)\"\nheaders = { a = \"1\" }\n"
        }
        return """
            [[components]]
            kind = "observability"
            [components.config]
            version = \(version)
            [components.config.opentelemetry]
            enabled = true
            \(endpoint ?? "")
            \(signals)
            """
    }

    private static func section(_ signal: String, _ text: String) -> String {
        "[components.config.opentelemetry.\(signal)]\nenabled = true\n\(text)\n"
    }

    private static func endpoint(_ signal: String, _ text: String) -> String {
        "[[components.config.opentelemetry.\(signal).endpoints]]\n\(text)\n"
    }

    private static func read(_ text: String) throws -> CollectorConfiguration {
        try ConfigurationReader.read(text: text, name: "", environment: ["T": " padded"]).0
    }

    /// What is wrong, as `level code field`.
    private static func complaints(_ text: String) -> [String] {
        let diagnostics: [Diagnostic]
        do throws(ConfigurationError) {
            diagnostics = try ConfigurationReader.read(text: text, name: "", environment: ["T": " padded"]).1
        } catch {
            diagnostics = error.diagnostics
        }
        let root = "components[0].config.opentelemetry."
        return diagnostics.map { "\($0.level.rawValue) \($0.code) \($0.field.replacing(root, with: ""))" }
    }

    @Test("takes every key of a section, and has its defaults")
    func keys() throws {
        let logs = Self.section(
            "logs",
            """
            minimum_severity = "warn"
            max_queue_size = 10
            max_export_batch_size = 5
            scheduled_delay_millis = 7
            completed_span_context_ttl_millis = 604800000

            """)
        let metrics = Self.section(
            "metrics",
            "export_interval_millis = 5\ntemporality = \"LowMemory\"\nmax_instruments = 3\ncardinality_limit = 4")
        let full = try Self.read(Self.document(logs + metrics))
        let log = try #require(full.logEndpoints.first)
        #expect(log.projection.completedLifetime == 604_800_000_000_000)
        #expect(log.projection.minimumSeverity == .warn && log.scheduledDelay == .milliseconds(7))
        #expect(log.maximumQueueItems == 10 && log.maximumBatchItems == 5)
        let metric = try #require(full.metricEndpoints.first)
        #expect(metric.projection.temporality == .lowMemory && metric.projection.exportInterval == 5_000_000)
        #expect(metric.projection.maximumInstruments == 3 && metric.projection.cardinalityLimit == 4)
        let plain = try Self.read(Self.document(Self.section("logs", "") + Self.section("metrics", "")))
        #expect(plain.logEndpoints.first?.projection == LogConfiguration())
        #expect(plain.logEndpoints.first?.maximumQueueItems == 2048)
        #expect(plain.metricEndpoints.first?.projection == MetricConfiguration())
        #expect(plain.logEndpoints.map(\.name) == ["logs"] && plain.metricEndpoints.map(\.name) == ["metrics"])
        // How the endpoint for traces is reached, theirs are too.
        #expect(plain.logEndpoints.first?.headers.map(\.name) == ["a"])
    }

    @Test(
        "derives endpoints from those of traces",
        arguments: [
            ("http://h:1", "http://h:1/v1/logs"), ("http://h:1/", "http://h:1/v1/logs"),
            ("http://h:1/v1/traces", "http://h:1/v1/logs"), ("https://h/a/v1/traces?k=v", "https://h/a/v1/logs?k=v"),
            ("http://h:1/other", nil), ("http://h:1/v1/traces/", nil),
        ] as [(String, String?)])
    func derived(_ traces: String, _ expected: String?) throws {
        let text = Self.document(Self.section("logs", ""), traces: traces)
        if let expected {
            #expect(try Self.read(text).logEndpoints.map(\.url) == [expected])
        } else {
            #expect(
                Self.complaints(text) == [
                    "warning observability.invalid_otel_endpoint logs.endpoints",
                    "error observability.unsupported_value logs.endpoints",
                ])
        }
    }

    @Test("takes endpoints that are listed, with names that no other has")
    func listed() throws {
        let text =
            Self.section("logs", "") + Self.endpoint("logs", "endpoint = \"http://a\"\nservice_name = \"s\"")
            + Self.endpoint("logs", "endpoint = \"http://b/x\"\nname = \"own\"")
            + Self.endpoint("logs", "endpoint = \"http://c/\"")
        let endpoints = try Self.read(Self.document(text)).logEndpoints
        #expect(endpoints.map(\.url) == ["http://a/v1/logs", "http://b/x", "http://c/"])
        #expect(endpoints.map(\.name) == ["logs", "own", "logs-2"])
        #expect(endpoints.map(\.resource.serviceName) == ["s", "unknown_service", "unknown_service"])
        #expect(endpoints.allSatisfy { $0.headers.isEmpty })
    }

    /// A section for logs with one endpoint, the rest of which is given.
    private static func logEndpoint(_ text: String) -> String {
        section("logs", "") + endpoint("logs", text)
    }

    private static let http = "endpoint = \"http://h\"\n"

    /// The text, and the key that is complained about.
    private static let wrong: [(String, String)] = [
        (section("logs", "minimum_severity = \"fatal\""), "logs.minimum_severity"),
        (section("logs", "max_queue_size = 0"), "logs.max_queue_size"),
        (section("logs", "max_queue_size = 2\nmax_export_batch_size = 3"), "logs.max_export_batch_size"),
        (section("logs", "endpoints = []"), "logs.endpoints"),
        (section("metrics", "temporality = \"deltas\""), "metrics.temporality"),
        (section("metrics", "export_interval_millis = 0"), "metrics.export_interval_millis"),
        (section("metrics", "max_instruments = 0"), "metrics.max_instruments"),
        (section("metrics", "cardinality_limit = 9223372036854775807"), "metrics.cardinality_limit"),
        (logEndpoint("endpoint = \" \""), "logs.endpoints[0].endpoint"),
        (logEndpoint("endpoint = \"http://h/v1/metrics\""), "logs.endpoints[0].endpoint"),
        (logEndpoint(http + "timeout_millis = 0"), "logs.endpoints[0].timeout_millis"),
        (logEndpoint(http + "transport = \"grpc\""), "logs.endpoints[0].transport"),
        (logEndpoint(http + "headers = { b = \" \" }"), "logs.endpoints[0].headers.b"),
        (logEndpoint(http + "header_env = { b = \"T\" }"), "logs.endpoints[0].headers.b"),
        (logEndpoint(http + "type = \"full\""), "logs.endpoints[0].type"),
        (logEndpoint(http + "name = \"full\""), "logs.endpoints[0].name"),
    ]

    @Test("complains about each mistake, and about nothing else", arguments: wrong)
    func mistakes(_ signals: String, _ field: String) {
        #expect(Self.complaints(Self.document(signals)) == ["error observability.unsupported_value \(field)"])
    }

    @Test("refuses the sections in version 3, and sections without anything to send to")
    func nothing() {
        let logs = Self.section("logs", "")
        #expect(
            Self.complaints(Self.document(logs, version: 3)) == ["error observability.unsupported_value logs"])
        #expect(
            Self.complaints(Self.document(logs, traces: nil)) == [
                "error observability.unsupported_value logs.endpoints"
            ])
        #expect(Self.complaints(Self.document("[components.config.opentelemetry.logs]", traces: nil)).isEmpty)
        #expect(
            Self.complaints(Self.document(logs + "unknown = 1"))
                == ["warning observability.unknown_field logs.unknown"])
    }

    @Test(
        "refuses two endpoints of a signal that lead to the same place",
        arguments: [
            ("http://h", "http://H:80/v1/logs/", true), ("https://h/a//b", "https://h:443/a/b", true),
            ("http://localhost:1", "http://127.9.0.1:1", true), ("http://a.localhost:1", "http://[::1]:1", true),
            ("http://h", "https://h", false), ("http://h/a?x=1", "http://h/a?x=2", false),
            ("http://h:1", "http://h:2", false),
            ("http://h/a", "http://h/A", false),
        ])
    func collision(_ first: String, _ second: String, _ collides: Bool) {
        let text =
            Self.section("logs", "") + Self.endpoint("logs", "endpoint = \"\(first)\"")
            + Self.endpoint("logs", "endpoint = \"\(second)\"")
        #expect(
            Self.complaints(Self.document(text))
                == (collides ? ["error observability.unsafe_otel_destination_collision logs.endpoints[1]"] : []))
    }
}
