import ATOF
import Middleware
import Testing

@Suite("Guardrails on single events")
struct GuardrailStepTests {
    /// An event as it goes through one rule.
    private struct Passage {
        let outcome: MiddlewareChain.Outcome
        let notes: ChainNotes
        let before: Event
        let after: Event

        init(
            _ rule: GuardrailRule, _ kind: Event.Kind = .scopeStart, category: String? = "tool", name: String = "shell",
            data: JSONValue? = nil, metadata: JSONValue? = nil, profile: JSONValue? = nil, tenant: String = "acme"
        ) throws {
            var fields = EventFields(
                kind: kind, uuid: EventUUID(high: 1, low: 2), timestamp: EventTime(epochMicroseconds: 0), name: name)
            fields.category = category
            func text(_ value: JSONValue?) -> [UInt8] { value.map { Array($0.compactText.utf8) } ?? [] }
            (fields.data, fields.metadata, fields.categoryProfile) = (text(data), text(metadata), text(profile))
            before = try Passage.event(fields.packed())
            var chain = MiddlewareChain(GuardrailRules(rules: [rule]).steps)
            var notes = ChainNotes()
            outcome = chain.apply(before, tenant: tenant, &notes)
            self.notes = notes
            if case .changed(let packed) = outcome { after = try Passage.event(packed) } else { after = before }
        }

        private static func event(_ packed: [UInt8]) throws -> Event {
            var writer = EventBatchWriter()
            writer.append(packed: packed)
            return try EventBatch(unpacking: writer.bytes).event(at: 0)
        }
    }

    private static func rule(
        _ condition: GuardrailRule.Condition, _ actions: Set<GuardrailRule.Action>,
        _ change: (inout GuardrailRule) -> Void = { _ in }
    ) -> GuardrailRule {
        var rule = GuardrailRule(name: "rule", condition: condition, actions: actions, reason: "not here")
        rule.annotation = .init(key: "policy", value: "rule")
        change(&rule)
        return rule
    }

    private static let deny = GuardrailRule.Condition.tools(.init(deny: [NameGlob("shell")]))

    private static func content(_ matchers: BuiltinRedaction.Matcher...) throws -> GuardrailRule.Condition {
        .content(try .init(matchers: matchers, replacement: "[GONE]"))
    }

    @Test("alerts once for a tool that is denied, at its start")
    func alert() throws {
        let start = try Passage(Self.rule(Self.deny, [.alert]))
        #expect(start.outcome == .unchanged)
        #expect(start.notes.alerts == [.init(rule: "rule", message: "not here", event: EventUUID(high: 1, low: 2))])
        #expect(try Passage(Self.rule(Self.deny, [.alert]), .scopeEnd).notes.alerts.isEmpty)
        #expect(try Passage(Self.rule(Self.deny, [.alert]), name: "ls").notes.alerts.isEmpty)
        #expect(try Passage(Self.rule(Self.deny, [.alert]), category: "agent").notes.alerts.isEmpty)
        #expect(try Passage(Self.rule(Self.deny, [.alert]), .mark, category: nil).notes.alerts.isEmpty)
    }

    @Test("alerts for arguments that violate a schema, and counts those that could not be checked")
    func schema() throws {
        let schema = try GuardrailRule.ArgumentSchema(["properties": ["n": ["type": "integer"]]])
        let rule = Self.rule(.arguments([.init(pointer: "", test: .violates(schema))]), [.alert, .dropPayload])
        #expect(try Passage(rule, data: ["n": 1]).outcome == .unchanged)
        let passage = try Passage(rule, data: ["n": "one"])
        #expect(passage.notes.alerts.map(\.message) == ["not here: type is violated at /n"])
        #expect(passage.notes.failures.isEmpty)
        #expect(passage.after.data == nil)
        let deep = try Passage(rule, data: (0..<100).reduce(JSONValue.null) { value, _ in [value] })
        #expect(deep.notes.failures == [.init(step: "guardrails.rule", reason: "too_deep")])
        #expect(deep.after.data == nil)
    }

    @Test("drops start and end of a tool that is denied", arguments: [Event.Kind.scopeStart, .scopeEnd])
    func drop(kind: Event.Kind) throws {
        #expect(try Passage(Self.rule(Self.deny, [.dropEvent, .alert]), kind).outcome == .dropped(rule: "rule"))
    }

    @Test(
        "annotates metadata that are an object or absent",
        arguments: [
            (nil, ["policy": "rule"]), (["a": 1], ["a": 1, "policy": "rule"]),
            (["policy": "theirs"], ["policy": "rule"]), ("text", "text"), ([1], [1]),
        ] as [(JSONValue?, JSONValue)])
    func annotate(before: JSONValue?, expected: JSONValue) throws {
        let passage = try Passage(Self.rule(Self.deny, [.annotate]), metadata: before)
        #expect(passage.after.metadata?.value == expected)
        #expect((passage.outcome == .unchanged) == (before == expected))
    }

    @Test("drops the payload and keeps what the scope is")
    func dropPayload() throws {
        let passage = try Passage(
            Self.rule(Self.deny, [.dropPayload]), .scopeEnd, data: ["secret": 1], metadata: ["kept": true],
            profile: ["tool_call_id": "c1", "tool_result_annotation": ["secret": 2]])
        #expect(passage.after.data == nil)
        #expect(passage.after.metadata?.value == ["kept": true])
        #expect(passage.after.categoryProfile?.value == ["tool_call_id": "c1"])
        #expect(passage.after.uuid == passage.before.uuid && passage.after.kind == .scopeEnd)
        #expect(passage.notes.changes == ["guardrails.rule": 1])
    }

    @Test(
        "tests arguments by pointer, and redacts what the pointers name",
        arguments: [
            (["path": "/etc/passwd", "n": 1], ["path": "[REDACTED]", "n": 1]), (["path": "/home/etc/"], nil),
            (["path": 1], nil),
            ([:], nil), (nil, nil),
        ] as [(JSONValue?, JSONValue?)])
    func arguments(before: JSONValue?, expected: JSONValue?) throws {
        let pattern = try GuardrailRule.ArgumentPattern("^/etc/")
        let rule = Self.rule(.arguments([.init(pointer: "/path", test: .pattern(pattern))]), [.redact, .alert])
        let passage = try Passage(rule, data: before)
        #expect(passage.after.data?.value == expected ?? before)
        #expect(passage.notes.alerts.count == (expected == nil ? 0 : 1))
        #expect(try Passage(rule, .scopeEnd, data: before).outcome == .unchanged)
        #expect(try Passage(rule, category: "function", data: before).outcome == .unchanged)
    }

    @Test("finds content in every payload, in keys, in JSON inside of strings and in the name")
    func content() throws {
        let rule = Self.rule(try Self.content(.detector(.email), .pattern("hush[0-9]")), [.redact, .alert])
        let passage = try Passage(
            rule, .mark, category: nil, name: "to bob@example.com",
            data: ["a": [["b": "hush1"]], "eve@example.com": "x", "n": 5, "inner": "{\"k\":\"hush2\"}"],
            metadata: ["m": "bob@example.com"], profile: ["p": "hush3"])
        #expect(passage.after.name == "to [GONE]")
        #expect(
            passage.after.data?.value
                == ["a": [["b": "[GONE]"]], "[GONE]": "x", "n": 5, "inner": "{\"k\":\"[GONE]\"}"])
        #expect(passage.after.metadata?.value == ["m": "[GONE]"])
        #expect(passage.after.categoryProfile?.value == ["p": "[GONE]"])
        #expect(passage.notes.alerts.count == 1)
        #expect(try Passage(rule, data: ["a": "nothing here"]).outcome == .unchanged)
    }

    @Test("of content that is found nothing stays beside the payload that is dropped")
    func dropContent() throws {
        let rule = Self.rule(try Self.content(.detector(.email)), [.dropPayload])
        let passage = try Passage(
            rule, name: "to bob@example.com", data: ["kept": "nothing"],
            metadata: ["m": "bob@example.com", "n": 1],
            profile: ["p": "bob@example.com", "annotated_request": ["to": "bob@example.com"]])
        #expect(passage.after.data == nil)
        #expect(passage.after.name == "to [GONE]")
        #expect(passage.after.metadata?.value == ["m": "[GONE]", "n": 1])
        #expect(passage.after.categoryProfile?.value == ["p": "[GONE]"])
        #expect(passage.notes.changes == ["guardrails.rule": 1])
    }

    @Test("finds without redacting")
    func detect() throws {
        let rule = Self.rule(try Self.content(.detector(.email)), [.dropEvent])
        #expect(try Passage(rule, data: ["a": "bob@example.com"]).outcome == .dropped(rule: "rule"))
        #expect(try Passage(rule, data: ["a": "bob"]).outcome == .unchanged)
    }

    @Test("tenants, categories, names and models choose events")
    func selection() throws {
        let condition = try Self.content(.pattern("x"))
        func fires(
            _ change: (inout GuardrailRule) -> Void, category: String = "llm", name: String = "openai",
            profile: JSONValue? = ["model_name": "gpt-large"], tenant: String = "acme"
        ) throws -> Bool {
            let rule = Self.rule(condition, [.alert], change)
            return try !Passage(
                rule, category: category, name: name, data: "x", profile: profile, tenant: tenant
            ).notes.alerts.isEmpty
        }
        #expect(try fires { $0.selection.tenants = [NameGlob("ac*")] })
        #expect(try !fires({ $0.selection.tenants = [NameGlob("ac*")] }, tenant: "other"))
        #expect(try fires { $0.selection.categories = ["llm"] })
        #expect(try !fires { $0.selection.categories = ["tool"] })
        #expect(try fires { $0.selection.names = [NameGlob("open*")] })
        #expect(try fires { $0.selection.names = [NameGlob("gpt-*")] })
        #expect(try !fires { $0.selection.names = [NameGlob("claude-*")] })
        #expect(try !fires({ $0.selection.names = [NameGlob("gpt-*")] }, category: "tool"))
    }

    @Test("rules for agents, for runs and for requests alone are no steps")
    func noSteps() throws {
        let rules = GuardrailRules(rules: [
            Self.rule(Self.deny, [.reject]), Self.rule(.loop(.init(repeats: 3)), [.alert]),
            Self.rule(Self.deny, [.reject, .alert]) { $0.selection.agents = [NameGlob("a")] },
        ])
        #expect(rules.steps.isEmpty)
    }

    @Test("a request is redacted and refused by its content")
    func requests() throws {
        let redacting = Self.rule(try Self.content(.detector(.email)), [.redact])
        let refusing = Self.rule(try Self.content(.pattern("hush")), [.reject])
        let evaluator = GuardrailEvaluator(GuardrailRules(rules: [redacting, refusing]))
        let tool = GuardRequest(tenant: "acme", call: .tool(name: "mail", arguments: ["to": "bob@example.com"]))
        #expect(
            evaluator.decide(tool).decision
                == .transformed(GuardRequest(tenant: "acme", call: .tool(name: "mail", arguments: ["to": "[GONE]"]))))
        let model = GuardRequest(tenant: "acme", call: .llm(name: "planner", model: "m", request: ["content": "hush"]))
        #expect(evaluator.decide(model).decision == .reject(rule: "rule", reason: "not here"))
        let named = GuardRequest(tenant: "acme", call: .llm(name: "hush", model: "m", request: [:]))
        #expect(evaluator.decide(named).decision == .reject(rule: "rule", reason: "not here"))
    }

    /// Brings something in behind the rules.
    private struct Bringing: ChainStep {
        let name = "bringing"
        let priority: Int32 = 200
        var bringsContent: Bool { true }

        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
            draft.data = ["said": "hush"]
            return .pass
        }
    }

    @Test(
        "what a rule hides does not come in from behind it",
        arguments: [.redact, .dropPayload, .dropEvent] as [GuardrailRule.Action])
    func behind(_ action: GuardrailRule.Action) throws {
        let rule = Self.rule(try Self.content(.pattern("hush")), [action])
        let event = try Passage(rule, .mark, category: nil, name: "m", data: ["said": "nothing"]).before
        var chain = MiddlewareChain(GuardrailRules(rules: [rule]).steps + [Bringing()] as [any ChainStep])
        var notes = ChainNotes()
        guard case .changed(let packed) = chain.apply(event, tenant: "acme", &notes) else {
            Issue.record("nothing came in")
            return
        }
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        #expect(try EventBatch(unpacking: writer.bytes).event(at: 0).data?.value == ["said": "[GONE]"])
    }
}
