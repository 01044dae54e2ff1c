import ATOF
import Middleware
import Testing

@Suite("Guardrails before the act")
struct GuardrailEvaluatorTests {
    private static func rule(
        _ name: String, _ condition: GuardrailRule.Condition, _ actions: Set<GuardrailRule.Action> = [.reject],
        priority: Int32 = 100, _ change: (inout GuardrailRule) -> Void = { _ in }
    ) -> GuardrailRule {
        var rule = GuardrailRule(name: name, condition: condition, actions: actions, reason: "\(name) says no")
        rule.priority = priority
        change(&rule)
        return rule
    }

    private static func request(
        _ tool: String, _ arguments: JSONValue = [:], tenant: String = "acme", agent: String? = nil
    )
        -> GuardRequest
    {
        GuardRequest(tenant: tenant, agent: agent, call: .tool(name: tool, arguments: arguments))
    }

    private func rejects(_ rule: GuardrailRule, _ request: GuardRequest) -> Bool {
        GuardrailEvaluator(GuardrailRules(rules: [rule])).decide(request).decision
            == .reject(rule: rule.name, reason: rule.reason)
    }

    @Test(
        "globs match whole names",
        arguments: [
            ("*", "", true), ("*", "anything", true), ("read_*", "read_file", true), ("read_*", "bread_file", false),
            ("*_file", "read_file", true), ("*_file", "read_files", false), ("r?ad", "read", true),
            ("r?ad", "rad", false),
            ("?", "é", true), ("a*b*c", "aXbXbc", true), ("a*b*c", "aXbXb", false), ("", "", true), ("", "a", false),
            ("Read", "read", false), ("a**b", "ab", true),
        ])
    func globs(pattern: String, name: String, expected: Bool) {
        #expect(NameGlob(pattern).matches(name) == expected)
    }

    @Test("a glob of many stars takes no longer than its length and the name's allow")
    func globIsBounded() {
        let glob = NameGlob(String(repeating: "a*", count: 200) + "b")
        #expect(!glob.matches(String(repeating: "a", count: 20_000)))
    }

    @Test(
        "allow and deny lists",
        arguments: [
            (nil as [String]?, ["rm*"], "rm_rf", true), (nil, ["rm*"], "ls", false), (["ls", "cat"], [], "ls", false),
            (["ls", "cat"], [], "rm", true), (["*"], ["rm*"], "rm_rf", true), ([], [], "ls", true),
        ])
    func lists(allow: [String]?, deny: [String], tool: String, expected: Bool) {
        let lists = GuardrailRule.ToolLists(allow: allow?.map { NameGlob($0) }, deny: deny.map { NameGlob($0) })
        #expect(rejects(Self.rule("lists", .tools(lists)), Self.request(tool)) == expected)
    }

    @Test(
        "arguments by pointer",
        arguments: [
            ("/n", .equals(1), ["n": 1.0], true), ("/n", .equals(1), ["n": "1"], false), ("/n", .equals(1), [:], false),
            ("/a/0/b", .equals("x"), ["a": [["b": "x"]]], true), ("/a~1b", .equals(true), ["a/b": true], true),
            ("/a~0b", .equals(true), ["a~b": true], true), ("/a/00", .equals(1), ["a": [1]], false),
            ("", .equals("bare"), "bare", true), ("/n", .range(minimum: 1, maximum: 3), ["n": 3], true),
            ("/n", .range(minimum: 1, maximum: 3), ["n": 3.5], false),
            ("/n", .range(minimum: nil, maximum: 3), ["n": -1], true),
            ("/n", .equals(.int(9_007_199_254_740_993)), ["n": .int(9_007_199_254_740_992)], false),
        ] as [(String, GuardrailRule.ArgumentTest.Test, JSONValue, Bool)])
    func arguments(pointer: String, test: GuardrailRule.ArgumentTest.Test, value: JSONValue, expected: Bool) {
        let rule = Self.rule("arguments", .arguments([.init(pointer: pointer, test: test)]))
        #expect(rejects(rule, Self.request("tool", value)) == expected)
    }

    @Test(
        "arguments that are JSON text are read as what it holds",
        arguments: [
            ("/path", .equals("/etc"), #"{"path":"/etc"}"#, true),
            ("/path", .equals("/etc"), #" {"path": "/tmp"}"#, false),
            // Of a member that is there twice the last one counts, as everywhere.
            ("/path", .equals("/etc"), #"{"path":"/tmp","path":"/etc"}"#, true),
            // What our parser alone cannot hold hides nothing.
            ("/path", .equals("/etc"), #"{"path":"/etc","n":1e999}"#, true),
            ("/0/path", .equals("/etc"), #"[{"path":"/etc"}]"#, true),
            ("/path", .equals("/etc"), #"{"path":"/etc""#, false), ("/path", .equals("/etc"), "path", false),
            // Also where the text is one member of several.
            ("/arguments/path", .equals("/etc"), ["name": "rm", "arguments": #"{"path":"/etc"}"#], true),
            ("/arguments", .equals(#"{"a":1}"#), ["arguments": #"{"a":1}"#], true),
            // As a whole they are the text and what it holds.
            ("", .equals(["a": 1]), #"{"a":1}"#, true), ("", .equals(#"{"a":1}"#), #"{"a":1}"#, true),
            ("", .equals([:]), .null, true), ("", .equals([:]), " ", true), ("", .equals(" "), " ", true),
        ] as [(String, GuardrailRule.ArgumentTest.Test, JSONValue, Bool)])
    func textArguments(pointer: String, test: GuardrailRule.ArgumentTest.Test, value: JSONValue, expected: Bool) {
        let rule = Self.rule("arguments", .arguments([.init(pointer: pointer, test: test)]))
        #expect(rejects(rule, Self.request("tool", value)) == expected)
    }

    @Test(
        "a pattern over all of the arguments searches text, also such that is JSON",
        arguments: ["rm -rf /", #"{"command":"rm -rf /"}"#])
    func textPattern(arguments: String) throws {
        let pattern = try GuardrailRule.ArgumentPattern("rm -rf")
        let rule = Self.rule("arguments", .arguments([.init(pointer: "", test: .pattern(pattern))]))
        #expect(rejects(rule, Self.request("shell", .string(arguments))))
    }

    @Test(
        "a schema reads JSON text as what it holds, and no arguments as none of those that it requires",
        arguments: [
            (["to": "bob"], true), (#"{"to":"bob"}"#, true), (#"{"to":"bob-and-more"}"#, false),
            (#"{"cc":"bob"}"#, false),
            ("{}", false), ([:], false), (.null, false), ("", false),
            // Of what is no object nothing is required; a type says that it must be one.
            ("bob", true), (7, true),
        ] as [(JSONValue, Bool)])
    func textSchema(value: JSONValue, conforms: Bool) throws {
        let schema = try GuardrailRule.ArgumentSchema(["required": ["to"], "properties": ["to": ["maxLength": 5]]])
        let rule = Self.rule("mail", .arguments([.init(pointer: "", test: .violates(schema))]))
        let answer = GuardrailEvaluator(GuardrailRules(rules: [rule])).decide(Self.request("mail", value))
        #expect((answer.decision == .allow) == conforms)
        let typed = try GuardrailRule.ArgumentSchema(["type": "object", "required": ["to"]])
        let strict = Self.rule("mail", .arguments([.init(pointer: "", test: .violates(typed))]))
        // What is too deep for us may not be for a tool.
        let deep = String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000)
        for text in [deep, #"{"to":"bob","x":\#(deep)}"#] {
            #expect(!rejects(rule, Self.request("mail", .string(text))))
            let answer = GuardrailEvaluator(GuardrailRules(rules: [rule])).decide(Self.request("mail", .string(text)))
            #expect(
                answer.decision == .reject(rule: "mail", reason: "mail says no: nested too deeply to be checked"))
        }
        for value in ["bob", 7, ["bob"]] as [JSONValue] {
            let answer = GuardrailEvaluator(GuardrailRules(rules: [strict])).decide(Self.request("mail", value))
            #expect(answer.decision != .allow)
        }
    }

    @Test("what is redacted inside of JSON text leaves text")
    func textRedacted() {
        let rule = Self.rule("hide", .arguments([.init(pointer: "/to", test: .equals("bob"))]), [.redact])
        let answer = GuardrailEvaluator(GuardrailRules(rules: [rule])).decide(
            Self.request("mail", #"{"to": "bob", "n": 1}"#))
        #expect(answer.decision == .transformed(Self.request("mail", #"{"n":1,"to":"[REDACTED]"}"#)))
    }

    @Test("tenants, agents and names choose whom a rule is for")
    func selection() {
        let rule = Self.rule("all", .tools(.init(allow: []))) {
            $0.selection.tenants = [NameGlob("acme")]
            $0.selection.agents = [NameGlob("research*")]
            $0.selection.names = [NameGlob("web_*")]
        }
        #expect(rejects(rule, Self.request("web_get", agent: "researcher")))
        #expect(!rejects(rule, Self.request("web_get", tenant: "other", agent: "researcher")))
        #expect(!rejects(rule, Self.request("web_get", agent: "writer")))
        #expect(!rejects(rule, Self.request("web_get")))
        #expect(!rejects(rule, Self.request("shell", agent: "researcher")))
    }

    @Test("the first rule by priority and name that rejects ends it, and says which were asked")
    func order() {
        let deny = GuardrailRule.Condition.tools(.init(deny: [NameGlob("rm")]))
        let evaluator = GuardrailEvaluator(
            GuardrailRules(rules: [
                Self.rule("c", deny, priority: 1), Self.rule("b", deny, [.reject, .alert], priority: 1),
                Self.rule("z", .tools(.init(deny: [NameGlob("mv")])), priority: -5), Self.rule("a", deny, priority: 2),
                Self.rule("stream-only", deny, [.alert], priority: -10),
            ]))
        let answer = evaluator.decide(Self.request("rm"))
        #expect(answer.decision == .reject(rule: "b", reason: "b says no"))
        #expect(answer.evaluated == ["z", "b"])
        #expect(answer.alerts == [.init(rule: "b", message: "b says no")])
    }

    @Test("who has nothing to say of a call of its kind was not asked")
    func kinds() throws {
        let pattern = try GuardrailRule.ArgumentPattern("x")
        let evaluator = GuardrailEvaluator(
            GuardrailRules(rules: [
                Self.rule("tools", .tools(.init(deny: [NameGlob("rm")]))),
                Self.rule("arguments", .arguments([.init(pointer: "/a", test: .pattern(pattern))])),
                Self.rule("content", .content(try .init(matchers: [.pattern("secret")], replacement: "-"))),
            ]))
        #expect(evaluator.decide(Self.request("ls")).evaluated == ["arguments", "content", "tools"])
        let model = GuardRequest(tenant: "acme", call: .llm(name: "planner", model: "m", request: [:]))
        #expect(evaluator.decide(model).evaluated == ["content"])
    }

    @Test("what a rule redacts the next ones see redacted")
    func transformed() {
        let evaluator = GuardrailEvaluator(
            GuardrailRules(rules: [
                Self.rule("hide", .arguments([.init(pointer: "/to", test: .equals("bob"))]), [.redact], priority: 1),
                Self.rule("no-bob", .arguments([.init(pointer: "/to", test: .equals("bob"))]), priority: 2),
            ]))
        let answer = evaluator.decide(Self.request("mail", ["to": "bob", "n": 1]))
        #expect(answer.decision == .transformed(Self.request("mail", ["to": "[REDACTED]", "n": 1])))
        #expect(answer.evaluated == ["hide", "no-bob"])
    }

    @Test("a request counts for the budgets of its kind, under its owner")
    func budgets() {
        let evaluator = GuardrailEvaluator(
            GuardrailRules(rules: [
                Self.rule(
                    "calls", .budget(.init(measure: .calls, limit: 100, owner: .tenant, window: 60)), [.reject, .alert]),
                Self.rule("tools", .budget(.init(measure: .toolCalls, limit: 5, owner: .agent, window: 60))),
                Self.rule("tokens", .budget(.init(measure: .tokens, limit: 5, owner: .agent, window: 60))),
                Self.rule("seen-only", .budget(.init(measure: .calls, limit: 5)), [.verdict]),
                Self.rule("deep", .budget(.init(measure: .depth, limit: 5))),
            ]))
        let tool = evaluator.budgets(for: Self.request("ls", agent: "a"))
        #expect(tool.map(\.rule) == ["calls", "tools"])
        #expect(tool.map(\.key.owner) == ["", "a"])
        #expect(tool.map(\.alerts) == [true, false])
        let model = evaluator.budgets(
            for: GuardRequest(tenant: "acme", call: .llm(name: "planner", model: "m", request: [:])))
        #expect(model.map(\.rule) == ["calls", "tokens"])
        #expect(model.map(\.key.owner) == ["", ""])
    }
}
