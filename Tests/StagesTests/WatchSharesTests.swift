import ATOF
import Middleware
import Testing

@testable import Stages

@Suite("Sums over partitions")
struct WatchSharesTests {
    private static let window = 3600 * WatchRig.second

    private static func rule(_ owner: GuardrailRule.Budget.Owner, limit: UInt64) -> GuardrailRule {
        .test("sum", .budget(.init(measure: .toolCalls, limit: limit, owner: owner, window: window)), [.alert])
    }

    /// Tasks of all partitions; what one tells comes to whom it is for.
    private struct Tasks {
        var rigs: [WatchRig]

        init(_ rule: GuardrailRule) { rigs = (0..<4).map { WatchRig(rule, partition: $0) } }

        mutating func tell(copies: Int = 1) throws {
            for index in rigs.indices {
                for shares in rigs[index].machine.takeShares(now: true) {
                    for _ in 0..<copies {
                        try rigs[shares.partition].receive(shares)
                    }
                }
            }
        }

        var alerts: [PolicyAlert] { rigs.flatMap(\.alerts) }
    }

    @Test("a tenant's budget is the sum over partitions, exactly, and is told once", arguments: [1, 3])
    func tenant(copies: Int) throws {
        var tasks = Tasks(Self.rule(.tenant, limit: 20))
        for number in 0..<4 {
            try tasks.rigs[number].open()
            for call: UInt64 in 0..<5 { try tasks.rigs[number].call(10 + call) }
        }
        try tasks.tell(copies: copies)
        #expect(tasks.alerts.isEmpty)
        try tasks.rigs[2].call(100)
        try tasks.tell(copies: copies)
        try tasks.rigs[1].call(100)
        try tasks.tell(copies: copies)
        #expect(tasks.alerts.map(\.counts) == [["tool_calls": 21, "limit": 20]])
        #expect(tasks.alerts.map(\.trajectory) == [nil])
        #expect(tasks.rigs.allSatisfy { $0.output.verdicts.isEmpty })
    }

    @Test("agents and tenants have sums of their own")
    func owners() throws {
        var tasks = Tasks(Self.rule(.agent, limit: 3))
        for (number, agent) in ["a", "b", "a", "c"].enumerated() {
            try tasks.rigs[number].open(agent, tenant: number == 3 ? "other" : "acme")
            for call: UInt64 in 0..<2 {
                try tasks.rigs[number].call(10 + call, tenant: number == 3 ? "other" : "acme")
            }
        }
        try tasks.tell()
        #expect(tasks.alerts.map(\.agent) == ["a"])
        #expect(tasks.alerts.map(\.counts) == [["tool_calls": 4, "limit": 3]])
    }

    @Test("what was counted long ago counts no more")
    func window() throws {
        var tasks = Tasks(Self.rule(.tenant, limit: 3))
        for round in 0..<5 {
            for index in tasks.rigs.indices { tasks.rigs[index].pass(seconds: 3700) }
            if round == 0 { try tasks.rigs[0].open() }
            for call: UInt64 in 0..<3 { try tasks.rigs[0].call(100 * UInt64(round + 1) + call) }
            try tasks.tell()
        }
        #expect(tasks.alerts.isEmpty)
    }

    @Test("what could not be told is told later, also by the next owner")
    func takenBack() throws {
        var rig = WatchRig(Self.rule(.tenant, limit: 1))
        try rig.open()
        try rig.call(10)
        #expect(rig.machine.takeShares().isEmpty)
        let deadline = try #require(rig.machine.deadline)
        #expect(deadline == rig.time + WatchRig.second)
        rig.pass(seconds: 1)
        let first = rig.machine.takeShares()
        #expect(first.count == 1)
        #expect(rig.machine.takeShares(now: true).isEmpty)
        first.forEach { rig.machine.takeBack($0) }
        try rig.restart()
        #expect(rig.machine.takeShares(now: true).map(\.payload) == first.map(\.payload))
    }

    @Test("shares of somebody else's making are an error")
    func foreign() throws {
        var rig = WatchRig(Self.rule(.tenant, limit: 1))
        for payload in [[], [9], [1, 0, 5], Array("text".utf8)] as [[UInt8]] {
            #expect(throws: SnapshotError.self) { try rig.machine.receive(shares: payload, into: &rig.output) }
        }
    }
}
