import ATOF
import Collector
import Middleware
import Testing

@Suite("Configuration of guardrails")
struct GuardrailsConfigurationTests {
    private static func read(_ rule: String, component: String = "") -> (rules: [GuardrailRule]?, [Diagnostic]) {
        read(
            document: """
                [[components]]
                kind = "guardrails"
                [components.config]
                \(component)
                [[components.config.rules]]
                \(rule)
                """)
    }

    private static func read(document: String) -> (rules: [GuardrailRule]?, [Diagnostic]) {
        do throws(ConfigurationError) {
            let (configuration, diagnostics) = try ConfigurationReader.read(
                text: document, name: "skein.toml", environment: [:])
            return (configuration.middleware.guardrails?.rules, diagnostics)
        } catch {
            return (nil, error.diagnostics)
        }
    }

    @Test("reads what a rule may have")
    func everything() throws {
        let (rules, diagnostics) = Self.read(
            document: """
                [[components]]
                kind = "guardrails"

                [[components.config.rules]]
                name = "no-shell"
                priority = -5
                tenants = ["acme-*"]
                names = ["*"]
                categories = ["tool"]
                tools = { allow = ["read_*"], deny = ["rm*", "shell"] }
                actions = ["alert", "annotate", "drop_payload", "reject"]
                annotation = { key = "policy", value = "shell" }
                reason = "no shells here"

                [[components.config.rules]]
                name = "small"
                agents = ["writer"]
                arguments = [
                    { pointer = "/to", equals = "bob" },
                    { pointer = "/n", minimum = 1, maximum = 2.5 },
                ]
                actions = ["reject"]

                [[components.config.rules]]
                name = "keys"
                content = { detectors = ["api_key"], patterns = ["(?i)password"] }
                replacement = "[KEY]"
                actions = ["redact", "drop_event"]

                [[components.config.rules]]
                name = "spend"
                budget = { measure = "cost", limit = 2.5, per = "tenant", window_seconds = 3600 }
                actions = ["alert"]

                [[components.config.rules]]
                name = "slow"
                budget = { measure = "wall_time", limit = 90 }
                actions = ["verdict"]

                [[components.config.rules]]
                name = "loop"
                loop = { repeats = 5, window_seconds = 60, call = "llm" }
                actions = ["verdict"]

                [[components.config.rules]]
                name = "off"
                enabled = false
                loop = { repeats = 5 }
                actions = ["verdict"]
                """)
        #expect(diagnostics.isEmpty, "\(diagnostics)")
        let found = try #require(rules)
        #expect(found.map(\.name) == ["no-shell", "small", "keys", "spend", "slow", "loop"])
        #expect(found[0].priority == -5)
        #expect(found[0].selection.tenants == [NameGlob("acme-*")])
        #expect(
            found[0].condition
                == .tools(.init(allow: [NameGlob("read_*")], deny: [NameGlob("rm*"), NameGlob("shell")])))
        #expect(found[0].annotation == .init(key: "policy", value: "shell"))
        #expect(found[0].reason == "no shells here")
        #expect(
            found[1].condition
                == .arguments([
                    .init(pointer: "/to", test: .equals("bob")),
                    .init(pointer: "/n", test: .range(minimum: 1, maximum: 2.5)),
                ]))
        #expect(
            found[2].condition
                == .content(
                    try .init(
                        matchers: [.detector(.apiKey), .pattern("(?i)password")], replacement: "[KEY]")))
        #expect(
            found[3].condition
                == .budget(
                    .init(measure: .cost, limit: 2_500_000_000, owner: .tenant, window: 3_600_000_000_000)))
        #expect(found[4].condition == .budget(.init(measure: .wallTime, limit: 90_000_000_000)))
        #expect(found[5].condition == .loop(.init(call: .llm, repeats: 5, window: 60_000_000_000)))
    }

    @Test("a component that is off is checked and has no effect")
    func off() {
        let document = """
            [[components]]
            kind = "guardrails"
            enabled = false
            [[components.config.rules]]
            name = "loop"
            loop = { repeats = 5 }
            actions = ["verdict"]
            """
        #expect(Self.read(document: document).rules == nil)
        #expect(Self.read(document: document).1.isEmpty)
        #expect(
            Self.read(document: document.replacing("repeats = 5", with: "repeats = 1")).1.map(\.code)
                == ["guardrails.unsupported_value"])
    }

    static let mistakes: [(rule: String, code: String, field: String)] = [
        ("", "unsupported_value", "name"),
        ("name = \"No Shell\"", "unsupported_value", "name"),
        ("name = \"\"", "unsupported_value", "name"),
        ("name = \"a.b\"", "unsupported_value", "name"),
        ("name = 5", "invalid_plugin_config", "name"),
        ("name = \"a\"\nactions = [\"alert\"]", "unsupported_value", "tools"),
        ("name = \"a\"\nloop = { repeats = 3 }", "unsupported_value", "actions"),
        ("name = \"a\"\nloop = { repeats = 3 }\nactions = []", "unsupported_value", "actions"),
        ("name = \"a\"\nloop = { repeats = 3 }\nactions = [\"explode\"]", "unsupported_value", "actions"),
        ("name = \"a\"\nloop = { repeats = 3 }\nactions = [\"redact\"]", "unsupported_value", "actions"),
        ("name = \"a\"\nloop = { repeats = 3 }\nactions = [\"reject\"]", "unsupported_value", "actions"),
        ("name = \"a\"\nloop = { repeats = 3 }\nactions = \"alert\"", "invalid_plugin_config", "actions"),
        ("name = \"a\"\nloop = { repeats = 1 }\nactions = [\"alert\"]", "unsupported_value", "loop.repeats"),
        ("name = \"a\"\nloop = { repeats = 257 }\nactions = [\"alert\"]", "unsupported_value", "loop.repeats"),
        ("name = \"a\"\nloop = { }\nactions = [\"alert\"]", "unsupported_value", "loop.repeats"),
        (
            "name = \"a\"\nloop = { repeats = 3, call = \"agent\" }\nactions = [\"alert\"]", "unsupported_value",
            "loop.call"
        ),
        (
            "name = \"a\"\nloop = { repeats = 3, window_seconds = 0 }\nactions = [\"alert\"]", "unsupported_value",
            "loop.window_seconds"
        ),
        ("name = \"a\"\nloop = { repeats = 3, often = 1 }\nactions = [\"alert\"]", "unknown_field", "loop.often"),
        (
            "name = \"a\"\nloop = { repeats = 3 }\ntools = { deny = [\"x\"] }\nactions = [\"alert\"]",
            "unsupported_value", "loop"
        ),
        ("name = \"a\"\ntools = { }\nactions = [\"alert\"]", "unsupported_value", "tools.deny"),
        ("name = \"a\"\ntools = { deny = [\"\"] }\nactions = [\"alert\"]", "unsupported_value", "tools.deny"),
        (
            "name = \"a\"\ntools = { allow = [\"x\", \"\"] }\nactions = [\"alert\"]", "unsupported_value",
            "tools.allow"
        ),
        (
            "name = \"a\"\ncontent = { patterns = [\"a\", \"\"] }\nactions = [\"alert\"]", "unsupported_value",
            "content.patterns[1]"
        ),
        ("name = \"a\"\ntools = { deny = [\"x\"] }\nactions = [\"verdict\"]", "unsupported_value", "actions"),
        (
            "name = \"a\"\ntools = { deny = [\"x\"] }\nagents = [\"y\"]\nactions = [\"drop_event\"]",
            "unsupported_value", "agents"
        ),
        (
            "name = \"a\"\ntools = { deny = [\"x\"] }\ncategories = [\"llm\"]\nactions = [\"alert\"]",
            "unsupported_value", "categories"
        ),
        (
            "name = \"a\"\ncategories = [\"tools\"]\nloop = { repeats = 3 }\nactions = [\"alert\"]",
            "unsupported_value", "categories"
        ),
        ("name = \"a\"\nnames = [\"\"]\nloop = { repeats = 3 }\nactions = [\"alert\"]", "unsupported_value", "names"),
        ("name = \"a\"\narguments = []\nactions = [\"alert\"]", "unsupported_value", "arguments"),
        (
            "name = \"a\"\narguments = [{ equals = 1 }]\nactions = [\"alert\"]", "unsupported_value",
            "arguments[0].pointer"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"x\", equals = 1 }]\nactions = [\"alert\"]", "unsupported_value",
            "arguments[0].pointer"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x~2\", equals = 1 }]\nactions = [\"alert\"]",
            "unsupported_value",
            "arguments[0].pointer"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x\" }]\nactions = [\"alert\"]", "unsupported_value",
            "arguments[0].equals"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x\", equals = 1, minimum = 1 }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].equals"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x\", minimum = 2, maximum = 1 }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].minimum"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x\", pattern = \"(\" }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].pattern"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x\", pattern = 1 }]\nactions = [\"alert\"]",
            "invalid_plugin_config", "arguments[0].pattern"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"\", violates = \"{\" }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].violates"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"\", violates = { type = \"text\" } }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].violates"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"\", violates = 1 }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].violates"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"\", violates = {}, equals = 1 }]\nactions = [\"alert\"]",
            "unsupported_value", "arguments[0].equals"
        ),
        ("name = \"a\"\ncontent = { }\nactions = [\"alert\"]", "unsupported_value", "content.detectors"),
        ("name = \"a\"\ncontent = { detectors = [] }\nactions = [\"alert\"]", "unsupported_value", "content.detectors"),
        (
            "name = \"a\"\ncontent = { detectors = [\"mail\"] }\nactions = [\"alert\"]", "unsupported_value",
            "content.detectors"
        ),
        (
            "name = \"a\"\ncontent = { patterns = [\"a\", \"[\"] }\nactions = [\"alert\"]", "unsupported_value",
            "content.patterns[1]"
        ),
        (
            "name = \"a\"\ncontent = { patterns = [\"a\"] }\nactions = [\"verdict\"]", "unsupported_value", "actions"
        ),
        ("name = \"a\"\nbudget = { limit = 1 }\nactions = [\"alert\"]", "unsupported_value", "budget.measure"),
        ("name = \"a\"\nbudget = { measure = \"calls\" }\nactions = [\"alert\"]", "unsupported_value", "budget.limit"),
        (
            "name = \"a\"\nbudget = { measure = \"calls\", limit = 1.5 }\nactions = [\"alert\"]", "unsupported_value",
            "budget.limit"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"calls\", limit = -1 }\nactions = [\"alert\"]", "unsupported_value",
            "budget.limit"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"cost\", limit = 1e12 }\nactions = [\"alert\"]", "unsupported_value",
            "budget.limit"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"calls\", limit = \"1\" }\nactions = [\"alert\"]",
            "invalid_plugin_config", "budget.limit"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"calls\", limit = 1, per = \"tenant\" }\nactions = [\"alert\"]",
            "unsupported_value", "budget.window_seconds"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"depth\", limit = 1, per = \"agent\" }\nactions = [\"alert\"]",
            "unsupported_value", "budget.per"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"depth\", limit = 1, window_seconds = 5 }\nactions = [\"alert\"]",
            "unsupported_value", "budget.window_seconds"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"calls\", limit = 1, per = \"tenant\", window_seconds = 5 }\nactions = [\"verdict\"]",
            "unsupported_value", "actions"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"depth\", limit = 1 }\nactions = [\"reject\"]", "unsupported_value",
            "actions"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"cost\", limit = 1 }\nactions = [\"reject\", \"alert\"]",
            "unsupported_value", "actions"
        ),
        (
            "name = \"a\"\nbudget = { measure = \"tokens\", limit = 1 }\nactions = [\"reject\"]", "unsupported_value",
            "actions"
        ),
        (
            "name = \"a\"\ntools = { deny = [\"x\"] }\nannotation = { key = \"k\", value = [] }\nactions = [\"annotate\"]",
            "unsupported_value", "annotation.value"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"\", violates = {} }]\nactions = [\"reject\"]",
            "unsupported_value", "arguments[0].violates"
        ),
        (
            "name = \"a\"\narguments = [{ pointer = \"/x\", violates = { title = \"x\" } }]\nactions = [\"reject\"]",
            "unsupported_value", "arguments[0].violates"
        ),
        (
            "name = \"a\"\ntools = { deny = [\"x\"] }\nannotation = { key = \"k\" }\nactions = [\"alert\"]",
            "unsupported_value", "annotation"
        ),
        (
            "name = \"a\"\ntools = { deny = [\"x\"] }\nreplacement = \"x\"\nactions = [\"alert\"]",
            "unsupported_value", "replacement"
        ),
        (
            "name = \"a\"\ntenants = [\"Acme*\"]\nloop = { repeats = 3 }\nactions = [\"alert\"]", "unsupported_value",
            "tenants"
        ),
        (
            "name = \"a\"\ntenants = [\"_\"]\nloop = { repeats = 3 }\nactions = [\"alert\"]", "unsupported_value",
            "tenants"
        ),
        (
            "name = \"a\"\ncategories = [\"tool\"]\nloop = { repeats = 3, call = \"llm\" }\nactions = [\"alert\"]",
            "unsupported_value", "categories"
        ),
        (
            "name = \"a\"\ncategories = [\"tool\"]\nbudget = { measure = \"tokens\", limit = 3 }\nactions = [\"alert\"]",
            "unsupported_value", "categories"
        ),
        (
            "name = \"a\"\npriority = 3000000000\nloop = { repeats = 3 }\nactions = [\"alert\"]",
            "invalid_plugin_config", "priority"
        ),
    ]

    @Test("a mistake is one sentence that names its key", arguments: mistakes)
    func mistake(rule: String, code: String, field: String) {
        let (_, diagnostics) = Self.read(rule)
        #expect(
            diagnostics.contains {
                $0.code == "guardrails.\(code)" && $0.field == "components[0].config.rules[0].\(field)"
            }, "\(diagnostics)")
    }

    @Test("a schema is a table, or the text of one")
    func schema() throws {
        let forms = [
            #"{ required = ["a"], properties.a = { maximum = 1.5 } }"#,
            #"""
            '''{"required": ["a"], "properties": {"a": {"maximum": 1.5}}}'''
            """#,
        ]
        let schema = try GuardrailRule.ArgumentSchema(["required": ["a"], "properties": ["a": ["maximum": 1.5]]])
        for form in forms {
            let (rules, diagnostics) = Self.read(
                "name = \"a\"\narguments = [{ pointer = \"\", violates = \(form) }]\nactions = [\"reject\"]")
            #expect(diagnostics.isEmpty, "\(diagnostics)")
            #expect(rules?.map(\.condition) == [.arguments([.init(pointer: "", test: .violates(schema))])])
        }
        let (_, diagnostics) = Self.read(
            "name = \"a\"\narguments = [{ pointer = \"\", violates = { properties.a.format = \"date\" } }]\nactions = [\"reject\"]"
        )
        #expect(
            diagnostics.map(\.message) == [
                "is no JSON Schema that can be used: /properties/a/format cannot be checked; give a pattern, or leave it out"
            ])
    }

    @Test("a number out of range is told, and one that JSON does not have is named by its key")
    func numbers() {
        let priority = "name = \"a\"\npriority = -3000000000\nloop = { repeats = 3 }\nactions = [\"alert\"]"
        #expect(
            Self.read(priority).1.map(\.message) == [
                "must be an integer from -2147483648 to 2147483647, is -3000000000"
            ])
        for word in ["nan", "inf", "-inf"] {
            let (_, diagnostics) = Self.read(
                "name = \"a\"\nbudget = { measure = \"cost\", limit = \(word) }\nactions = [\"alert\"]")
            #expect(diagnostics.map(\.field) == ["skein.toml: components[0].config.rules[0].budget.limit"])
            #expect(diagnostics.map(\.code) == ["configuration.malformed"])
        }
        #expect(Self.read(document: "x = [[1.5, nan]]").1.map(\.field) == ["skein.toml: x[0][1]"])
    }

    @Test("what a configuration comes to names its rules before the act and on runs too, in their order")
    func explanation() throws {
        let (configuration, diagnostics) = try ConfigurationReader.read(
            text: """
                [[components]]
                kind = "guardrails"
                [[components.config.rules]]
                name = "b"
                tools = { deny = ["x"] }
                actions = ["reject", "drop_event"]
                [[components.config.rules]]
                name = "calls"
                priority = 1
                budget = { measure = "calls", limit = 5 }
                actions = ["reject", "alert"]
                [[components.config.rules]]
                name = "loop"
                loop = { repeats = 3 }
                actions = ["verdict"]
                [[components.config.rules]]
                name = "only-before"
                priority = 2
                budget = { measure = "calls", limit = 7 }
                actions = ["reject"]
                [[components]]
                kind = "workers"
                [[components.config.workers]]
                name = "w"
                surfaces = ["tool_conditional"]
                priority = 50
                """, name: "skein.toml", environment: [:])
        #expect(diagnostics.isEmpty, "\(diagnostics)")
        let explanation = try ConfigurationExplanation(configuration)
        #expect(explanation.chain.map(\.name).filter { $0.hasPrefix("guardrails") } == ["guardrails.b"])
        #expect(
            explanation.beforeAct.map(\.name)
                == ["workers/w", "guardrails.b", "guardrails.calls", "guardrails.only-before"])
        #expect(explanation.onRuns.map(\.name) == ["guardrails.calls", "guardrails.loop"])
        #expect(explanation.onRuns.map(\.field) == [1, 2].map { "components[0].config.rules[\($0)]" })
        #expect(explanation.beforeAct.first?.field == "components[1].config.workers[0]")
    }

    @Test("names are a rule's own, and the version is 1")
    func component() {
        let loop = "name = \"a\"\nloop = { repeats = 3 }\nactions = [\"alert\"]"
        #expect(
            Self.read("\(loop)\n[[components.config.rules]]\n\(loop)").1.map(\.field)
                == ["components[0].config.rules[1].name"])
        #expect(Self.read(loop, component: "version = 2").1.map(\.code) == ["guardrails.unsupported_config_version"])
        let empty = Self.read(document: "[[components]]\nkind = \"guardrails\"\nconfig = { rules = [] }").1
        #expect(empty.map(\.field) == ["components[0].config.rules"])
        #expect(Self.read(loop, component: "rule = 2").1.map(\.code) == ["guardrails.unknown_field"])
    }
}
