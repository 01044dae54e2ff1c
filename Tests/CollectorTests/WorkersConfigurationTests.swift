import ATOF
import Collector
import Middleware
import Testing

@Suite("Configuration of workers and nemo_guardrails")
struct WorkersConfigurationTests {
    private static func read(
        _ text: String, environment: [String: String] = [:]
    ) -> (configuration: CollectorConfiguration?, diagnostics: [Diagnostic]) {
        do throws(ConfigurationError) {
            let (configuration, diagnostics) = try ConfigurationReader.read(
                text: text, name: "skein.toml", environment: environment)
            return (configuration, diagnostics)
        } catch {
            return (nil, error.diagnostics)
        }
    }

    private static func workers(_ lines: String) -> String {
        """
        version = 1
        [[components]]
        kind = "workers"
        [[components.config.workers]]
        name = "redactor"
        surfaces = ["mark", "tool_request"]
        \(lines)
        """
    }

    @Test("every key of a worker is read")
    func worker() throws {
        let (configuration, diagnostics) = Self.read(
            Self.workers(
                """
                priority = -5
                deadline_millis = 250
                max_in_flight = 4
                max_result_bytes = 1000
                on_conflict = "newest"
                config_digest = "v1"
                tenants = ["acme"]
                on_failure = { mark = "open" }
                [[components.config.workers]]
                name = "judge"
                surfaces = ["tool_conditional"]
                """))
        #expect(diagnostics.isEmpty)
        let workers = try #require(configuration).middleware.workers
        var expected = WorkerSettings(name: "redactor", surfaces: [.mark, .toolRequest])
        expected.priority = -5
        expected.deadline = .milliseconds(250)
        expected.maximumInFlight = 4
        expected.maximumResultBytes = 1000
        expected.onConflict = .newest
        expected.configDigest = "v1"
        expected.tenants = ["acme"]
        expected.onFailure = [.mark: .open]
        #expect(workers == [expected, WorkerSettings(name: "judge", surfaces: [.toolConditional])])
        #expect(expected.policy(of: .toolRequest) == .closed && expected.policy(of: .mark) == .open)
    }

    @Test(
        "a wrong worker is an error that names its key",
        arguments: [
            (#"priority = "x""#, "workers[0].priority", "invalid_plugin_config"),
            ("deadline_millis = 0", "workers[0].deadline_millis", "unsupported_value"),
            ("deadline_millis = 100000", "workers[0].deadline_millis", "unsupported_value"),
            ("max_in_flight = 5000", "workers[0].max_in_flight", "unsupported_value"),
            (#"on_conflict = "both""#, "workers[0].on_conflict", "unsupported_value"),
            (#"config_digest = "a.b""#, "workers[0].config_digest", "unsupported_value"),
            (#"tenants = ["Acme"]"#, "workers[0].tenants[0]", "unsupported_value"),
            ("tenants = []", "workers[0].tenants", "unsupported_value"),
            (#"on_failure = { mark = "shut" }"#, "workers[0].on_failure.mark", "unsupported_value"),
            (#"on_failure = { scope_end = "open" }"#, "workers[0].on_failure.scope_end", "unsupported_value"),
            (
                "[[components.config.workers]]\nname = \"redactor\"\nsurfaces = [\"mark\"]", "workers[1].name",
                "unsupported_value"
            ),
            ("[[components.config.workers]]\nsurfaces = [\"mark\"]", "workers[1].name", "unsupported_value"),
            (
                "[[components.config.workers]]\nname = \"a.b\"\nsurfaces = [\"mark\"]", "workers[1].name",
                "unsupported_value"
            ),
            (
                "[[components.config.workers]]\nname = \"nemo_guardrails\"\nsurfaces = [\"mark\"]", "workers[1].name",
                "unsupported_value"
            ),
            ("[[components.config.workers]]\nname = \"x\"", "workers[1].surfaces", "unsupported_value"),
            ("[[components.config.workers]]\nname = \"x\"\nsurfaces = []", "workers[1].surfaces", "unsupported_value"),
            (
                "[[components.config.workers]]\nname = \"x\"\nsurfaces = [\"mark\", \"mark\"]",
                "workers[1].surfaces[1]",
                "unsupported_value"
            ),
            (
                "[[components.config.workers]]\nname = \"x\"\nsurfaces = [\"execution\"]", "workers[1].surfaces[0]",
                "unsupported_value"
            ),
        ])
    func wrongWorkers(_ lines: String, _ field: String, _ code: String) {
        let (configuration, diagnostics) = Self.read(Self.workers(lines))
        #expect(configuration == nil)
        #expect(
            diagnostics.contains {
                $0.level == .error && $0.code == "workers.\(code)" && $0.field.hasSuffix("config.\(field)")
            }, "\(diagnostics)")
    }

    @Test("no workers at all, or too many, are an error")
    func counts() {
        let none = Self.read("version = 1\n[[components]]\nkind = \"workers\"")
        #expect(none.diagnostics.map(\.code) == ["workers.unsupported_value"])
        let more = (0..<32).map { "[[components.config.workers]]\nname = \"w\($0)\"\nsurfaces = [\"mark\"]" }
        #expect(Self.read(Self.workers(more.joined(separator: "\n"))).configuration == nil)
    }

    private static func document(_ config: String = "", remote: String = "", more: String = "") -> String {
        """
        version = 1
        [[components]]
        kind = "nemo_guardrails"
        [components.config]
        codec = "openai_chat"
        \(config)
        [components.config.remote]
        endpoint = "http://127.0.0.1:8000//"
        config_id = "plain"
        \(remote)
        \(more)
        """
    }

    @Test("every key of nemo_guardrails is read, and it is deprecated")
    func guardrails() throws {
        let text = Self.document(
            "mode = \"remote\"\ninput = false\ntool_output = true\npriority = 7\non_failure = \"open\"\nmax_in_flight = 2",
            remote: "timeout_millis = 500\nheaders = { x-a = \"1\" }\nheader_env = { authorization = \"TOKEN\" }",
            more: """
                [components.config.request_defaults]
                thread_id = "0123456789abcdef"
                context = { team = "x" }
                state = { events = [] }
                output_vars = ["a"]
                llm_params = { temperature = 0.5 }
                log = { llm_calls = true }
                [components.config.request_defaults.rails]
                input = ["one"]
                dialog = false
                """)
        let (configuration, diagnostics) = Self.read(text, environment: ["TOKEN": "Bearer secret"])
        #expect(diagnostics.map { "\($0.level) \($0.code)" } == ["warning nemo_guardrails.deprecated"])
        let settings = try #require(configuration?.middleware.nemoGuardrails)
        #expect(configuration?.obstacles.isEmpty == true)
        #expect(settings.url == "http://127.0.0.1:8000/v1/chat/completions" && settings.configuration == .one("plain"))
        #expect(!settings.checksInput && settings.checksOutput && settings.checksToolOutput && settings.priority == 7)
        #expect(settings.timeout == .milliseconds(500) && settings.onFailure == .open && settings.maximumInFlight == 2)
        #expect(
            settings.headers == [
                .init(name: "x-a", value: "1"), .init(name: "authorization", value: "Bearer secret"),
            ])
        #expect(
            settings.defaults.threadID == "0123456789abcdef" && settings.defaults.context == JSONObject([("team", "x")])
        )
        #expect(settings.defaults.rails == JSONObject([("input", ["one"]), ("dialog", false)]))
        #expect(settings.defaults.outputVars == ["a"])
    }

    @Test(
        "a wrong nemo_guardrails is an error that names its key",
        arguments: [
            (document("tool_input = true"), "tool_input", "unsupported_value"),
            (document().replacing("codec = \"openai_chat\"", with: ""), "codec", "unsupported_value"),
            (document().replacing("openai_chat", with: "anthropic_messages"), "codec", "unsupported_value"),
            (document("version = 2"), "version", "unsupported_config_version"),
            (document("mode = \"both\""), "mode", "unsupported_value"),
            (document("input = false\noutput = false"), "input", "unsupported_value"),
            (document("input = 1"), "input", "invalid_plugin_config"),
            (document("config_path = \"x\""), "config_path", "invalid_config_source"),
            (document(remote: "config_ids = [\"a\"]"), "remote.config_ids", "invalid_config_source"),
            (document().replacing("config_id = \"plain\"", with: ""), "remote.config_id", "invalid_config_source"),
            (
                document().replacing("config_id = \"plain\"", with: "config_ids = []"), "remote.config_ids",
                "invalid_config_source"
            ),
            (
                document().replacing("endpoint = \"http://127.0.0.1:8000//\"", with: ""), "remote.endpoint",
                "unsupported_value"
            ),
            (document(remote: "header_env = { a = \"MISSING\" }"), "remote.header_env.a", "unsupported_value"),
            (
                document(more: "[components.config.request_defaults]\nthread_id = \"  short  \""),
                "request_defaults.thread_id", "unsupported_value"
            ),
            (
                document(more: "[components.config.request_defaults]\nstate = { other = 1 }"),
                "request_defaults.state.other", "unsupported_value"
            ),
            (
                document(more: "[components.config.request_defaults]\noutput_vars = [\"\"]"),
                "request_defaults.output_vars", "unsupported_value"
            ),
            (
                document(more: "[components.config.request_defaults]\ncontext = 1"), "request_defaults.context",
                "invalid_plugin_config"
            ),
            (
                document(more: "[components.config.request_defaults.rails]\ndialog = [\"a\"]"),
                "request_defaults.rails.dialog", "unsupported_value"
            ),
            (
                document(more: "[components.config.request_defaults.rails]\ninput = [1]"),
                "request_defaults.rails.input", "unsupported_value"
            ),
            (
                document(more: "[components.config.request_defaults.rails]\ninput = false"),
                "request_defaults.rails.input", "unsupported_value"
            ),
            (
                document("input = false", more: "[components.config.request_defaults.rails]\ninput = []\noutput = []"),
                "request_defaults.rails.output", "unsupported_value"
            ),
            (
                document("tool_output = true", more: "[components.config.request_defaults.rails]\ntool_output = false"),
                "request_defaults.rails.tool_output", "unsupported_value"
            ),
        ])
    func wrongGuardrails(_ text: String, _ field: String, _ code: String) {
        let (configuration, diagnostics) = Self.read(text)
        #expect(configuration == nil)
        #expect(
            diagnostics.contains {
                $0.level == .error && $0.code == "nemo_guardrails.\(code)" && $0.field.hasSuffix("config.\(field)")
            }, "\(diagnostics)")
    }

    @Test(
        "what the reference lets pass and cannot work keeps a collector from running",
        arguments: [
            (document().replacing("http://127", with: "ftp://127"), "remote.endpoint"),
            (document(remote: "timeout_millis = 0"), "remote.timeout_millis"),
            (document(remote: "headers = { \"a b\" = \"1\" }"), "remote.headers.a b"),
            (document(remote: "headers = { \"Content-Length\" = \"0\" }"), "remote.headers.Content-Length"),
            (document(remote: "headers = { host = \"secret\" }"), "remote.headers.host"),
            (document(remote: "headers = { Transfer-Encoding = \"chunked\" }"), "remote.headers.Transfer-Encoding"),
            (
                "version = 1\n[[components]]\nkind = \"nemo_guardrails\"\n[components.config]\nmode = \"local\"\n"
                    + "codec = \"anthropic_messages\"\nconfig_path = \"rails\"", "mode"
            ),
        ])
    func obstacles(_ text: String, _ field: String) throws {
        let (configuration, diagnostics) = Self.read(text)
        #expect(diagnostics.map(\.code) == ["nemo_guardrails.deprecated"])
        let obstacles = try #require(configuration).obstacles
        #expect(obstacles.map(\.field) == ["components[0].config.\(field)"], "\(obstacles)")
        #expect(!obstacles.map(\.message).joined().contains("secret"))
    }
}
