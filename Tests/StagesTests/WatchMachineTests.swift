import ATOF
import LLMCodecs
import Middleware
import Testing

@testable import Stages

/// A machine with the events of a run, one a second.
struct WatchRig {
    static let second: UInt64 = 1_000_000_000

    var machine: WatchMachine
    private(set) var rules: GuardrailRules
    var output = WatchMachine.Output()
    var time: UInt64 = 1_000_000 * WatchRig.second

    init(_ rules: GuardrailRule..., limits: WatchMachine.Limits = .init(), partition: Int = 0) {
        self.rules = GuardrailRules(rules: rules)
        machine = WatchMachine(
            partition: partition, partitioning: Partitioning(count: 4), rules: self.rules, limits: limits)
    }

    mutating func pass(seconds: UInt64) {
        time += seconds * WatchRig.second
        machine.timeAdvanced(to: time, into: &output)
    }

    mutating func send(
        _ kind: Event.Kind, _ scope: UInt64, parent: UInt64?, _ category: String, _ name: String,
        data: JSONValue? = nil,
        tenant: String = "acme"
    ) throws {
        var fields = TestEvents.fields(kind, scope, parent: parent, category: category)
        fields.name = name
        if let data { fields.data = Array(data.compactText.utf8) }
        var writer = EventBatchWriter()
        fields.packed().withUnsafeBufferPointer { writer.append(packed: $0, root: TestEvents.uuid(1)) }
        machine.timeAdvanced(to: time, into: &output)
        machine.receive(try EventBatch(unpacking: writer.bytes).event(at: 0), tenant: tenant, into: &output)
    }

    mutating func open(_ name: String = "agent", tenant: String = "acme") throws {
        try send(.scopeStart, 1, parent: nil, "agent", name, tenant: tenant)
    }

    mutating func call(
        _ scope: UInt64, _ name: String = "search", parent: UInt64 = 1, category: String = "tool",
        arguments: JSONValue = [:], tenant: String = "acme"
    ) throws {
        try send(.scopeStart, scope, parent: parent, category, name, data: arguments, tenant: tenant)
        try send(.scopeEnd, scope, parent: parent, category, name, tenant: tenant)
    }

    mutating func receive(_ shares: WatchMachine.Shares) throws {
        try machine.receive(shares: shares.payload, into: &output)
    }

    /// Goes on as another owner of the task does.
    mutating func restart() throws {
        machine = try WatchMachine(
            partition: 0, partitioning: Partitioning(count: 4), rules: rules, snapshot: machine.snapshot())
    }

    /// Other rules, as a reload brings them.
    mutating func replace(_ rules: GuardrailRule..., pricing: PricingSources = PricingSources()) {
        self.rules = GuardrailRules(rules: rules)
        machine.replace(rules: self.rules, pricing: pricing)
    }

    var alerts: [PolicyAlert] { output.alerts }
    var isSilent: Bool { output.alerts.isEmpty && output.verdicts.isEmpty }
}

extension GuardrailRule {
    static func test(
        _ name: String, _ condition: Condition, _ actions: Set<Action> = [.alert, .verdict],
        _ change: (inout GuardrailRule) -> Void = { _ in }
    ) -> GuardrailRule {
        var rule = GuardrailRule(name: name, condition: condition, actions: actions, reason: "too much of \(name)")
        change(&rule)
        return rule
    }
}

@Suite("Watch machine")
struct WatchMachineTests {
    @Test("a budget is exceeded by the call after its last, once", arguments: [1, 2, 5, 100])
    func boundary(limit: UInt64) throws {
        var rig = WatchRig(.test("calls", .budget(.init(measure: .toolCalls, limit: limit))))
        try rig.open()
        for number in 0..<limit { try rig.call(10 + number) }
        #expect(rig.isSilent)
        for number in limit..<(limit + 5) { try rig.call(10 + number) }
        #expect(rig.alerts.map(\.counts) == [["tool_calls": limit + 1, "limit": limit]])
        #expect(rig.alerts.map(\.event) == [TestEvents.uuid(10 + limit)])
        #expect(rig.alerts.map(\.trajectory) == [TestEvents.uuid(1)])
        #expect(rig.output.verdicts.count == 1)
    }

    @Test(
        "measures count what they are about",
        arguments: [
            (GuardrailRule.Budget.Measure.calls, 6 as UInt64), (.toolCalls, 4), (.llmCalls, 2), (.tokens, 30),
            (.cost, 500_000_000), (.depth, 3), (.fanOut, 5),
        ])
    func measures(measure: GuardrailRule.Budget.Measure, expected: UInt64) throws {
        let usage: JSONValue = ["usage": ["prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.25]]
        for (limit, fires) in [(expected, false), (expected - 1, true)] {
            var rig = WatchRig(.test("budget", .budget(.init(measure: measure, limit: limit))))
            try rig.open()
            for number: UInt64 in 10..<13 { try rig.call(number) }
            try rig.send(.scopeStart, 20, parent: 1, "agent", "subagent")
            try rig.call(21, parent: 20)
            for number: UInt64 in 30..<31 {
                try rig.send(.scopeStart, number, parent: 1, "llm", "model")
                try rig.send(.scopeEnd, number, parent: 1, "llm", "model", data: usage)
            }
            try rig.send(.scopeStart, 40, parent: 20, "llm", "model")
            try rig.send(.scopeEnd, 40, parent: 20, "llm", "model", data: usage)
            #expect(rig.alerts.isEmpty != fires, "limit \(limit)")
        }
    }

    @Test("a trajectory may last as long as its budget, and not a nanosecond longer")
    func wallTime() throws {
        var rig = WatchRig(.test("slow", .budget(.init(measure: .wallTime, limit: 60 * WatchRig.second))))
        try rig.open()
        #expect(rig.machine.deadline == rig.time + 60 * WatchRig.second + 1)
        rig.pass(seconds: 60)
        #expect(rig.isSilent)
        try rig.restart()
        rig.time += 1
        rig.pass(seconds: 0)
        #expect(rig.alerts.map(\.message) == ["too much of slow (60.0 s, the budget is 60.0 s)"])
        #expect(rig.machine.deadline == nil)
        rig.pass(seconds: 600)
        #expect(rig.alerts.count == 1)
    }

    @Test("a trajectory that has ended lasts no longer")
    func ended() throws {
        var rig = WatchRig(.test("slow", .budget(.init(measure: .wallTime, limit: 60 * WatchRig.second))))
        try rig.open()
        rig.pass(seconds: 59)
        try rig.send(.scopeEnd, 1, parent: nil, "agent", "agent")
        rig.pass(seconds: 600)
        #expect(rig.isSilent)
    }

    @Test("with a window only what has just happened counts, and it fires once a window")
    func window() throws {
        var rig = WatchRig(.test("rate", .budget(.init(measure: .toolCalls, limit: 3, window: 60 * WatchRig.second))))
        try rig.open()
        for number: UInt64 in 0..<10 {
            try rig.call(10 + number)
            rig.pass(seconds: 25)
        }
        #expect(rig.isSilent)
        for number: UInt64 in 20..<30 { try rig.call(10 + number) }
        #expect(rig.alerts.count == 1)
        rig.pass(seconds: 60)
        for number: UInt64 in 30..<40 { try rig.call(10 + number) }
        #expect(rig.alerts.count == 2)
        #expect(Set(rig.alerts.map(\.id)).count == 2)
    }

    @Test("equal calls in a row are a loop, by name and arguments")
    func loops() throws {
        var rig = WatchRig(.test("loop", .loop(.init(repeats: 3))))
        try rig.open()
        try rig.call(10, arguments: ["a": 1, "b": 2])
        try rig.call(11, arguments: ["b": 2, "a": 1])
        try rig.call(12, arguments: ["a": 2, "b": 2])
        try rig.call(13, "other", arguments: ["a": 1, "b": 2])
        try rig.call(14, arguments: ["a": 1, "b": 2])
        try rig.call(15, arguments: ["a": 1, "b": 2])
        #expect(rig.isSilent)
        for number: UInt64 in 16..<26 { try rig.call(number, arguments: ["a": 1, "b": 2]) }
        #expect(rig.alerts.map(\.event) == [TestEvents.uuid(16)])
    }

    @Test("model calls with equal bodies are a loop, whatever their headers say")
    func loopOfModels() throws {
        var rig = WatchRig(.test("loop", .loop(.init(call: .llm, repeats: 3))))
        try rig.open()
        func request(_ number: UInt64, _ text: String = "again") -> JSONValue {
            [
                "headers": ["x-request-id": .string("\(number)")],
                "content": ["model": "m", "messages": [["role": "user", "content": .string(text)]]],
            ]
        }
        try rig.call(10, category: "llm", arguments: request(10))
        try rig.call(11, category: "llm", arguments: request(11))
        try rig.call(12, category: "llm", arguments: request(12, "something else"))
        #expect(rig.isSilent)
        for number: UInt64 in 13..<16 { try rig.call(number, category: "llm", arguments: request(number)) }
        #expect(rig.alerts.map(\.event) == [TestEvents.uuid(15)])
        // What a tool calls its headers may be what it is about.
        var tools = WatchRig(.test("loop", .loop(.init(repeats: 3))))
        try tools.open()
        for number: UInt64 in 10..<16 { try tools.call(number, arguments: request(number)) }
        #expect(tools.isSilent)
    }

    @Test("calls whose payload was dropped are no equal ones: nobody knows what they were")
    func loopOfDropped() throws {
        var rig = WatchRig(.test("loop", .loop(.init(repeats: 3))))
        try rig.open()
        for number: UInt64 in 10..<20 { try rig.send(.scopeStart, number, parent: 1, "tool", "search") }
        #expect(rig.isSilent)
        for number: UInt64 in 20..<23 { try rig.call(number) }
        #expect(rig.alerts.map(\.event) == [TestEvents.uuid(22)])
    }

    @Test("with a window equal calls are a loop whatever is between them")
    func loopInWindow() throws {
        var rig = WatchRig(.test("loop", .loop(.init(repeats: 3, window: 60 * WatchRig.second))))
        try rig.open()
        for number: UInt64 in 0..<3 {
            try rig.call(10 + number * 2)
            try rig.call(11 + number * 2, "other", arguments: ["n": .int(Int64(number))])
            rig.pass(seconds: 31)
        }
        #expect(rig.isSilent)
        for number: UInt64 in 0..<3 {
            try rig.call(20 + number * 2)
            try rig.call(21 + number * 2, "other", arguments: ["n": .int(Int64(number))])
            rig.pass(seconds: 10)
        }
        #expect(rig.alerts.map(\.event) == [TestEvents.uuid(22)])
    }

    @Test("a rule counts only for whom it is")
    func selection() throws {
        let budget = GuardrailRule.Condition.budget(.init(measure: .calls, limit: 1))
        var rig = WatchRig(
            .test("tenant", budget, [.alert]) { $0.selection.tenants = [NameGlob("other")] },
            .test("agent", budget, [.alert]) { $0.selection.agents = [NameGlob("sub*")] },
            .test("name", budget, [.alert]) { $0.selection.names = [NameGlob("write_*")] },
            .test("model", budget, [.alert]) { $0.selection.categories = ["llm"] })
        try rig.open()
        for number: UInt64 in 10..<15 { try rig.call(number) }
        #expect(rig.isSilent)
        try rig.send(.scopeStart, 20, parent: 1, "agent", "subagent")
        for number: UInt64 in 21..<23 { try rig.call(number, "write_file", parent: 20) }
        #expect(rig.alerts.map(\.rule) == ["agent", "name"])
        #expect(rig.alerts.map(\.agent) == ["subagent", "subagent"])
    }

    @Test("guardrails' scopes and marks count for nothing: a verdict never causes another one")
    func noFeedback() throws {
        var rig = WatchRig(
            .test("calls", .budget(.init(measure: .calls, limit: 1))),
            .test("wide", .budget(.init(measure: .fanOut, limit: 1))),
            .test("deep", .budget(.init(measure: .depth, limit: 2))))
        try rig.open()
        try rig.call(10)
        try rig.call(11)
        let events = rig.output.verdicts.flatMap(\.events)
        #expect(events.count == 6)
        rig.output = .init()
        for (number, packed) in events.enumerated() {
            let event = try EventBatch(unpacking: TestEvents.batch([packed])).event(at: 0)
            rig.machine.receive(event, tenant: "acme", into: &rig.output)
            #expect(event.isMark || event.category?.known == .guardrail, "event \(number)")
        }
        #expect(rig.isSilent)
    }

    @Test("a verdict is a guardrail's scope and a rejection mark beside the call")
    func shapes() throws {
        var rig = WatchRig(.test("calls", .budget(.init(measure: .toolCalls, limit: 1))))
        try rig.open()
        try rig.call(10)
        try rig.call(11, "delete_file")
        let verdict = try #require(rig.output.verdicts.first)
        let events = try verdict.events.map { try EventBatch(unpacking: TestEvents.batch([$0])).event(at: 0) }
        #expect(events.map(\.kind) == [.scopeStart, .scopeEnd, .mark])
        #expect(events.map(\.name) == ["calls", "calls", "delete_file"])
        #expect(events[0].uuid == events[1].uuid && events[0].uuid != events[2].uuid)
        #expect(
            events.allSatisfy { $0.parentUUID == TestEvents.uuid(1) && $0.propagationRootUUID == TestEvents.uuid(1) })
        #expect(events.map { $0.category?.raw } == ["guardrail", "guardrail", nil])
        #expect(events[0].data?.value == ["kind": "tool_conditional_execution", "target_name": "delete_file"])
        #expect(
            events[1].data?.value == ["allowed": false, "rejected": true, "rejection_reason": "too much of calls"])
        #expect(events[2].data?.value == ["rejected": true, "rejection_reason": "too much of calls"])
        #expect(events[2].metadata?.value["skein.guardrail.limit"] == 1)
        #expect(events[0].timestamp < events[1].timestamp && events[1].timestamp < events[2].timestamp)
        #expect(verdict.subject == "skein.v1.events.acme.\(TestEvents.uuid(1))")
    }

    @Test("goes on from a snapshot at any event as if nothing had happened, with the same ids")
    func snapshots() throws {
        let rules: [GuardrailRule] = [
            .test("calls", .budget(.init(measure: .calls, limit: 7))), .test("loop", .loop(.init(repeats: 4))),
            .test("often", .loop(.init(repeats: 5, window: 8 * WatchRig.second))),
            .test("rate", .budget(.init(measure: .toolCalls, limit: 4, window: 5 * WatchRig.second))),
            .test("slow", .budget(.init(measure: .wallTime, limit: 9 * WatchRig.second))),
        ]
        func play(restartingBefore restart: UInt64?) throws -> WatchMachine.Output {
            var rig = WatchRig(rules[0], rules[1], rules[2], rules[3], rules[4])
            try rig.open()
            for number: UInt64 in 0..<20 {
                if number == restart { try rig.restart() }
                try rig.call(10 + number, number % 6 == 5 ? "other" : "search")
                rig.pass(seconds: 1)
            }
            return rig.output
        }
        let whole = try play(restartingBefore: nil)
        #expect(Set(whole.alerts.map(\.rule)) == ["calls", "loop", "often", "rate", "slow"])
        for restart: UInt64 in 0..<20 {
            let resumed = try play(restartingBefore: restart)
            #expect(resumed.alerts == whole.alerts, "before \(restart)")
            #expect(resumed.verdicts.map(\.id) == whole.verdicts.map(\.id), "before \(restart)")
            #expect(resumed.verdicts.map(\.payload) == whole.verdicts.map(\.payload), "before \(restart)")
        }
    }

    @Test("a damaged snapshot is an error")
    func damaged() throws {
        var rig = WatchRig(.test("rate", .budget(.init(measure: .toolCalls, limit: 4, window: 5))))
        try rig.open()
        try rig.call(10)
        let bytes = rig.machine.snapshot()
        for end in 0..<bytes.count {
            #expect(throws: SnapshotError.self) {
                _ = try WatchMachine(
                    partition: 0, partitioning: Partitioning(count: 4), rules: rig.rules,
                    snapshot: Array(bytes[..<end]))
            }
        }
    }

    @Test("forgets the trajectory of which nothing came for longest when there are too many")
    func bounds() throws {
        var limits = WatchMachine.Limits()
        limits.openRuns = 2
        var rig = WatchRig(.test("calls", .budget(.init(measure: .calls, limit: 1))), limits: limits)
        for run: UInt64 in [200, 100, 300] {
            try rig.send(.scopeStart, run, parent: nil, "agent", "agent")
            try rig.call(run + 1, parent: run)
            try rig.call(run + 500, parent: 200)
        }
        #expect(rig.machine.openRunCount == 2)
        #expect(rig.machine.forgottenRuns == 1)
        // The one that was forgotten begins anew, the other one had gone on.
        try rig.call(400, parent: 100)
        #expect(rig.alerts.map(\.trajectory) == [TestEvents.uuid(200)])
    }

    @Test("other rules count from where those of the same name and shape were", arguments: [false, true])
    func replacedRules(restarts: Bool) throws {
        func calls(_ limit: UInt64, measure: GuardrailRule.Budget.Measure = .toolCalls, window: UInt64? = nil)
            -> GuardrailRule
        { .test("calls", .budget(.init(measure: measure, limit: limit, window: window)), [.alert]) }
        var rig = WatchRig(calls(100))
        try rig.open()
        for number: UInt64 in 10..<15 { try rig.call(number) }
        rig.replace(calls(5))
        if restarts { try rig.restart() }
        #expect(rig.isSilent)
        try rig.call(15)
        #expect(rig.alerts.map(\.counts) == [["tool_calls": 6, "limit": 5]])
        // What fired stays so; another measure, or another window, is another count.
        rig.replace(calls(4))
        try rig.call(16)
        #expect(rig.alerts.count == 1)
        rig.replace(calls(1, measure: .calls))
        if restarts { try rig.restart() }
        try rig.call(17)
        #expect(rig.alerts.count == 1)
        rig.replace(calls(1, measure: .calls, window: 60 * WatchRig.second))
        if restarts { try rig.restart() }
        try rig.call(18)
        #expect(rig.alerts.count == 1)
        try rig.call(19)
        #expect(rig.alerts.last?.counts == ["calls": 2, "limit": 1])
    }

    @Test("a rule that is taken out and comes back begins anew")
    func returningRule() throws {
        let rule = GuardrailRule.test("calls", .budget(.init(measure: .toolCalls, limit: 2)), [.alert])
        var rig = WatchRig(rule)
        try rig.open()
        for number: UInt64 in 10..<12 { try rig.call(number) }
        rig.replace(.test("other", .loop(.init(repeats: 200))))
        rig.replace(rule)
        for number: UInt64 in 12..<14 { try rig.call(number) }
        #expect(rig.isSilent)
        try rig.call(14)
        #expect(rig.alerts.count == 1)
    }

    @Test("a loop that goes on while the rule gets stricter is one")
    func stricterLoop() throws {
        var rig = WatchRig(.test("loop", .loop(.init(repeats: 100)), [.alert]))
        try rig.open()
        for number: UInt64 in 10..<20 { try rig.call(number) }
        rig.replace(.test("loop", .loop(.init(repeats: 5)), [.alert]))
        try rig.call(20)
        try rig.call(21)
        #expect(rig.alerts.map(\.counts) == [["calls": 11, "limit": 4]])
        // Another loop of the same trajectory is told again.
        try rig.call(22, "other")
        for number: UInt64 in 30..<36 { try rig.call(number) }
        #expect(rig.alerts.map(\.counts) == [["calls": 11, "limit": 4], ["calls": 5, "limit": 4]])
    }

    @Test("how long a trajectory may last is looked at anew when the rule changes")
    func replacedWallTime() throws {
        func slow(_ seconds: UInt64) -> GuardrailRule {
            .test("slow", .budget(.init(measure: .wallTime, limit: seconds * WatchRig.second)), [.alert])
        }
        var rig = WatchRig(slow(3600))
        try rig.open()
        rig.pass(seconds: 120)
        rig.replace(slow(60))
        #expect(try #require(rig.machine.deadline) <= rig.time)
        rig.pass(seconds: 0)
        #expect(rig.alerts.count == 1)
        rig.replace(.test("calls", .budget(.init(measure: .calls, limit: 5))))
        #expect(rig.machine.deadline == nil)
    }

    @Test("a tenant's sum takes in only what was counted for the rule as it is now")
    func replacedSums() throws {
        func rule(_ measure: GuardrailRule.Budget.Measure, _ limit: UInt64) -> GuardrailRule {
            .test(
                "sum",
                .budget(.init(measure: measure, limit: limit, owner: .tenant, window: 3600 * WatchRig.second)), [.alert]
            )
        }
        var rig = WatchRig(rule(.toolCalls, 100))
        try rig.open()
        for number: UInt64 in 10..<20 { try rig.call(number) }
        let before = rig.machine.takeShares(now: true)
        #expect(!before.isEmpty)
        for shares in before { try rig.receive(shares) }
        // The same count with another limit goes on.
        rig.replace(rule(.toolCalls, 10))
        try rig.call(20)
        for shares in rig.machine.takeShares(now: true) { try rig.receive(shares) }
        #expect(rig.alerts.map(\.counts) == [["tool_calls": 11, "limit": 10]])
        // Of another measure, what a member that is behind tells of the old one does not count.
        rig.replace(rule(.calls, 3))
        for number: UInt64 in 21..<24 { try rig.call(number) }
        for shares in before { try rig.receive(shares) }
        for shares in rig.machine.takeShares(now: true) { try rig.receive(shares) }
        #expect(rig.alerts.count == 1)
        try rig.call(24)
        for shares in rig.machine.takeShares(now: true) { try rig.receive(shares) }
        #expect(rig.alerts.last?.counts == ["calls": 4, "limit": 3])
    }

    @Test("calls are priced by the prices that hold when they end")
    func replacedPrices() throws {
        let rule = GuardrailRule.test("spend", .budget(.init(measure: .cost, limit: 0)), [.alert])
        let answer: JSONValue = [
            "model": "m", "object": "chat.completion", "choices": [],
            "usage": ["prompt_tokens": 1_000_000, "completion_tokens": 0],
        ]
        var rig = WatchRig(rule)
        try rig.open()
        func ask(_ scope: UInt64, _ rig: inout WatchRig) throws {
            try rig.send(.scopeStart, scope, parent: 1, "llm", "openai")
            try rig.send(.scopeEnd, scope, parent: 1, "llm", "openai", data: answer)
        }
        try ask(10, &rig)
        #expect(rig.isSilent)
        rig.replace(
            rule,
            pricing: PricingSources([
                try PricingCatalog([
                    "version": 1,
                    "entries": [
                        [
                            "provider": "openai", "model_id": "m", "pricing_as_of": "2026-01-01",
                            "pricing_source": "list",
                            "rates": ["input_per_million": 2.0, "output_per_million": 2.0],
                            "prompt_cache": ["read_accounting": "included_in_prompt_tokens"],
                        ]
                    ],
                ])
            ]))
        try ask(11, &rig)
        #expect(rig.alerts.map(\.counts) == [["cost_nano_usd": 2_000_000_000, "limit": 0]])
    }
}
