import ATOF
import Adaptive
import Testing

@testable import Stages

@Suite("Runs that are learned from")
struct LearnMachineTests {
    /// A machine with events one second apart, and what it has finished.
    struct Rig {
        var machine: LearnMachine
        var finished: [LearnMachine.Finished] = []
        private var seconds: Int64 = 0

        init(limits: LearnMachine.Limits = .init()) { machine = LearnMachine(limits: limits) }

        mutating func start(
            _ scope: UInt64, below parent: UInt64? = nil, _ category: String = "llm", _ name: String? = nil,
            tenant: String = "acme"
        ) throws {
            try send(.scopeStart, scope, parent, category, name, nil, tenant)
        }

        mutating func end(
            _ scope: UInt64, below parent: UInt64? = nil, _ category: String = "llm", tokens: Int64? = nil,
            tenant: String = "acme"
        ) throws {
            try send(.scopeEnd, scope, parent, category, nil, tokens, tenant)
        }

        private mutating func send(
            _ kind: Event.Kind, _ scope: UInt64, _ parent: UInt64?, _ category: String, _ name: String?,
            _ tokens: Int64?, _ tenant: String
        ) throws {
            seconds += 1
            var fields = EventFields(
                kind: kind, uuid: TestEvents.uuid(scope), timestamp: EventTime(epochMicroseconds: seconds * 1_000_000),
                name: name ?? "scope \(scope)")
            fields.parentUUID = parent.map(TestEvents.uuid)
            fields.category = category
            if let tokens {
                let profile: JSONValue = ["annotated_response": ["usage": ["completion_tokens": .int(tokens)]]]
                fields.categoryProfile = Array(profile.compactText.utf8)
            }
            var writer = EventBatchWriter()
            writer.append(packed: fields.packed())
            let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
            if let run = machine.receive(event, tenant: tenant) { finished.append(run) }
        }

        /// Goes on as another owner of the task does.
        mutating func restart() throws {
            let snapshot = machine.snapshot()
            machine = try LearnMachine(snapshot: snapshot)
            #expect(machine.snapshot() == snapshot)
        }
    }

    private static func second(_ number: UInt64) -> UInt64 { number * 1_000_000_000 }

    @Test("calls of one name that overlap keep their own ends, also over a restart", arguments: [false, true])
    func overlapping(restarts: Bool) throws {
        var rig = Rig()
        try rig.start(1, "agent", "planner")
        try rig.start(2, below: 1, "llm", "plan")
        try rig.start(3, below: 1, "function", "f")
        try rig.start(4, below: 3, "llm", "search")
        try rig.start(5, below: 3, "llm", "search")
        if restarts { try rig.restart() }
        try rig.end(4, below: 3, tokens: 40)
        try rig.end(2, below: 1, tokens: 20)
        try rig.end(5, below: 3, tokens: 50)
        try rig.end(3, below: 1, "function")
        if restarts { try rig.restart() }
        #expect(rig.finished.isEmpty)
        try rig.end(1, "agent")
        let run = try #require(rig.finished.first)
        #expect((run.tenant, run.agent) == ("acme", "planner"))
        #expect((run.run.startedAt, run.run.endedAt) == (Self.second(1), Self.second(10)))
        #expect(
            run.run.calls == [
                .init(
                    name: "plan", scopePath: ["planner"], startedAt: Self.second(2), endedAt: Self.second(7),
                    outputTokens: 20),
                .init(
                    name: "search", scopePath: ["planner", "f"], startedAt: Self.second(4), endedAt: Self.second(6),
                    outputTokens: 40),
                .init(
                    name: "search", scopePath: ["planner", "f"], startedAt: Self.second(5), endedAt: Self.second(8),
                    outputTokens: 50),
            ])
        #expect(rig.machine.openRunCount == 0)
        #expect(rig.machine.snapshot() == LearnMachine().snapshot())
    }

    @Test("a nested agent is a run of its own, learned for the outermost one; calls below tools belong to the run")
    func nested() throws {
        var rig = Rig()
        try rig.start(1, "agent", "outer")
        try rig.start(2, below: 1, "agent", "inner")
        try rig.start(3, below: 2, "tool", "t")
        try rig.start(4, below: 3, "llm", "deep")
        try rig.end(4)
        try rig.start(5, below: 1, "llm", "own")
        // Its end never comes.
        try rig.end(2, "agent")
        try rig.end(1, "agent")
        #expect(rig.finished.map(\.agent) == ["outer", "outer"])
        #expect(rig.finished.map { $0.run.calls.map(\.name) } == [["deep"], ["own"]])
        #expect(rig.finished.first?.run.calls.first?.scopePath == ["outer", "inner"])
        #expect(rig.finished.last?.run.calls.first?.endedAt == nil)
    }

    @Test("marks, unknown parents, repeated starts and ends, and agents without calls are no runs")
    func ignored() throws {
        var rig = Rig()
        try rig.start(1, "agent", "a")
        try rig.start(2, below: 99)
        try rig.start(3, below: 1, "guardrail")
        try rig.start(4, below: 3)
        try rig.end(1, "agent")
        try rig.end(1, "agent")
        #expect(rig.finished.isEmpty)
        try rig.start(1, "agent", "a")
        try rig.start(5, below: 1)
        try rig.start(5, below: 1)
        try rig.end(5)
        try rig.end(5)
        try rig.end(1, "agent")
        #expect(rig.finished.map { $0.run.calls.count } == [1])
    }

    @Test(
        "bounds: the run that is silent for longest goes first, of the tenant with the most; too many calls are not learned"
    )
    func bounds() throws {
        var limits = LearnMachine.Limits()
        (limits.openRuns, limits.callsPerRun, limits.scopesPerRun) = (3, 2, 4)
        var rig = Rig(limits: limits)
        try rig.start(1, "agent", "a", tenant: "small")
        try rig.start(11, below: 1, tenant: "small")
        for scope: UInt64 in [2, 3, 4] { try rig.start(scope, "agent", "a", tenant: "large") }
        #expect(rig.machine.openRunCount == 3)
        #expect(rig.machine.forgottenRuns == 1)
        try rig.end(11, tenant: "small")
        try rig.end(1, "agent", tenant: "small")
        #expect(rig.finished.count == 1)
        for scope: UInt64 in [21, 22, 23] { try rig.start(scope, below: 3, tenant: "large") }
        try rig.end(3, "agent", tenant: "large")
        // What is below too many scopes has no known parent.
        for scope: UInt64 in [31, 32, 33, 34] { try rig.start(scope, below: 4, "tool", tenant: "large") }
        try rig.start(35, below: 34, tenant: "large")
        try rig.end(4, "agent", tenant: "large")
        #expect(rig.finished.count == 1)
        #expect(rig.machine.snapshot() == LearnMachine().snapshot())
    }

    @Test("a damaged snapshot is an error")
    func damage() throws {
        var rig = Rig()
        try rig.start(1, "agent", "a")
        try rig.start(2, below: 1)
        let snapshot = rig.machine.snapshot()
        for count in 0..<snapshot.count {
            #expect(throws: SnapshotError.self) { try LearnMachine(snapshot: Array(snapshot.prefix(count))) }
        }
    }
}
