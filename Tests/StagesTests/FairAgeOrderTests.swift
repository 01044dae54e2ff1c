import ATOF
import Middleware
import Testing

@testable import Stages

@Suite("What tenants have of what is bounded")
struct FairAgeOrderTests {
    private struct Item: OfTenant {
        let tenant: String
        let number: Int
    }

    @Test("the tenant with the most gives its oldest, of several the first by name")
    func fair() {
        var order = FairAgeOrder<Item>()
        for number in 0..<2 { order.append(Item(tenant: "a", number: number)) }
        for number in 0..<3 { order.append(Item(tenant: "b", number: number)) }
        // It is the youngest now.
        order.append(Item(tenant: "b", number: 0))
        #expect(order.count == 5)
        #expect(order.removeFirst() == Item(tenant: "b", number: 1))
        #expect(order.removeFirst() == Item(tenant: "a", number: 0))
        order.remove(Item(tenant: "b", number: 2))
        order.remove(Item(tenant: "c", number: 2))
        #expect(order.inOrder == [Item(tenant: "a", number: 1), Item(tenant: "b", number: 0)])
        #expect(order.count == 2)
        _ = order.removeFirst()
        _ = order.removeFirst()
        #expect(order.removeFirst() == nil && order.count == 0)
    }

    @Test("a tenant with many runs pushes out none of another one's")
    func runs() throws {
        var limits = WatchMachine.Limits()
        limits.openRuns = 8
        limits.openScopes = 16
        var rig = WatchRig(.test("calls", .budget(.init(measure: .toolCalls, limit: 2))), limits: limits)
        try rig.open()
        for number: UInt64 in 10..<12 { try rig.call(number) }
        for run: UInt64 in 1000..<1100 {
            try rig.send(.scopeStart, run, parent: nil, "agent", "agent", tenant: "many")
        }
        #expect(rig.machine.openRunCount == 8)
        try rig.call(12)
        #expect(rig.alerts.map(\.tenant) == ["acme"])
        #expect(rig.machine.forgottenRuns == 93)
    }

    @Test("a worker is asked about no event that is too large to go on: another one of its UUID gets its own answer")
    func oversized() throws {
        var large = TestEvents.fields(.mark, 10)
        large.data = Array(#""\#(String(repeating: "x", count: 2000))""#.utf8)
        var small = TestEvents.fields(.mark, 10)
        small.data = Array("1".utf8)
        let message = StageMessage(
            subject: "skein.v1.events.3.acme.key", sequence: 7, timeNanoseconds: 1, contentType: nil,
            payload: TestEvents.batch([large.packed(), small.packed()]))
        let chain = MiddlewareChain(WorkerStep.steps(of: WorkerSettings(name: "w", surfaces: [.mark])))
        var exchange = WorkerExchange()
        chain.plan(message, maximumEventBytes: 1000, &exchange)
        #expect(exchange.questions.count == 1)
        guard case .event(let packed)? = exchange.questions.first?.item else { return #expect(Bool(false)) }
        #expect(packed.count < 1000)
    }
}
