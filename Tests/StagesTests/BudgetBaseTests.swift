import ATOF
import Stages
import Testing

@Suite("Budget machine, its bases")
struct BudgetBaseTests {
    private struct Missing: Error {}

    /// The keys of a tenant, and a collector that counts for it: writes go through at once, those of bases when the test lets them.
    private struct Bucket {
        var revision: UInt64 = 0
        var head: BudgetMachine.Stored?
        var bases: [BudgetMachine.Stored?] = [nil, nil]
        var largestHead = 0
        var baseCount = 0

        mutating func store(_ bytes: [UInt8]) -> BudgetMachine.Stored {
            revision += 1
            return BudgetMachine.Stored(bytes, revision: revision)
        }

        /// Carries the actions out, and returns the answers and the base that is to be written.
        mutating func run(
            _ machine: inout BudgetMachine, _ first: BudgetMachine.Actions, now: UInt64 = 0
        ) -> ([BudgetMachine.Answer], BudgetMachine.Actions.BaseWrite?) {
            var (actions, base) = (first, first.base)
            var answers = actions.answers
            while let access = actions.access {
                switch access {
                case .load: actions = machine.loaded(head?.bytes, revision: head?.revision, bases: bases, now: now)
                case .write(let bytes, let expected):
                    if expected == head?.revision {
                        head = store(bytes)
                        largestHead = max(largestHead, bytes.count)
                        actions = machine.written(revision: revision, now: now)
                    } else {
                        actions = machine.writeRefused()
                    }
                }
                answers += actions.answers
                base = actions.base ?? base
            }
            return (answers, base)
        }

        mutating func finish(_ write: BudgetMachine.Actions.BaseWrite, of machine: inout BudgetMachine) {
            guard write.revision == bases[write.base.slot]?.revision else { return machine.baseFailed(write.base) }
            let stored = store(write.bytes)
            bases[write.base.slot] = stored
            baseCount += 1
            machine.baseWritten(write.base, revision: stored.revision)
        }
    }

    private static func call(_ id: UInt64, run: UInt64 = 0, limit: UInt64 = .max) -> BudgetCall {
        BudgetCall(
            id: id &* 0x9E37_79B9_7F4A_7C15,
            demands: [
                BudgetDemand(budget: "all", subject: .tenant, limit: limit),
                BudgetDemand(budget: "run", subject: .trajectory(EventUUID(high: 7, low: run)), limit: .max),
            ], deadline: .max)
    }

    @Test("writes stay small however much is remembered, and another owner finds all of it")
    func small() throws {
        var (bucket, machine) = (Bucket(), BudgetMachine(tenant: "acme"))
        for id in 1...5000 as ClosedRange<UInt64> {
            let (answers, base) = bucket.run(&machine, machine.asked(id, Self.call(id, run: id % 1000), now: 0))
            #expect(answers == [.init(id, .counted)])
            if let base { bucket.finish(base, of: &machine) }
        }
        #expect(bucket.baseCount > 2)
        #expect(bucket.largestHead < 8192)
        var other = BudgetMachine(tenant: "acme")
        let (answers, _) = bucket.run(&other, other.asked(1, Self.call(5000, run: 0), now: 0))
        #expect(answers == [.init(1, .counted)])
        #expect(other.counters?.counters == machine.counters?.counters)
        #expect(other.counters?.used(Self.call(1).demands[0], now: 0) == 5000)
        // Of the last 2,048 calls each is known, so it is not counted again.
        for id in 4000...5000 as ClosedRange<UInt64> {
            _ = bucket.run(&other, other.asked(id, Self.call(id, run: id % 1000), now: 0))
        }
        #expect(other.counters?.used(Self.call(1).demands[0], now: 0) == 5000)
    }

    @Test(
        "with several owners at once, bases that are late and ones that are lost, no more is let through than the limit"
    )
    func several() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<6 {
            var bucket = Bucket()
            var machines = (0..<3).map { _ in BudgetMachine(tenant: "acme") }
            var open: [(machine: Int, write: BudgetMachine.Actions.BaseWrite)] = []
            var counted: Set<UInt64> = []
            for id in 1...1500 as ClosedRange<UInt64> {
                let chosen = Int.random(in: 0..<3, using: &random)
                // Now and then an owner dies, and with it what it knew.
                if Int.random(in: 0..<200, using: &random) == 0 { machines[chosen] = BudgetMachine(tenant: "acme") }
                let (answers, base) = bucket.run(
                    &machines[chosen], machines[chosen].asked(id, Self.call(id, limit: 1000), now: 0))
                #expect(answers.map(\.token) == [id])
                if answers.first?.verdict == .counted { counted.insert(id) }
                if let base { open.append((chosen, base)) }
                if !open.isEmpty, Int.random(in: 0..<5, using: &random) == 0 {
                    let (machine, write) = open.remove(at: Int.random(in: open.indices, using: &random))
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: machines[machine].baseFailed(write.base)
                    default: bucket.finish(write, of: &machines[machine])
                    }
                }
            }
            #expect(counted.count == 1000)
        }
    }

    @Test("a base that was stored though its answer was lost is written over, not believed")
    func lostAnswer() {
        var (bucket, machine) = (Bucket(), BudgetMachine(tenant: "acme"))
        var id: UInt64 = 0
        var writes = 0
        while writes < 3 {
            id += 1
            let (_, base) = bucket.run(&machine, machine.asked(id, Self.call(id), now: 0))
            guard let base else { continue }
            writes += 1
            if base.revision == bucket.bases[base.base.slot]?.revision {
                bucket.bases[base.base.slot] = bucket.store(base.bytes)
            }
            machine.baseFailed(base.base)
        }
        var other = BudgetMachine(tenant: "acme")
        _ = bucket.run(&other, other.asked(1, Self.call(1), now: 0))
        #expect(other.counters?.used(Self.call(1).demands[0], now: 0) == id)
    }

    @Test("a head whose base is not there is read again, and then an error")
    func torn() throws {
        var counters = BudgetCounters()
        _ = counters.count(Self.call(1), now: 0)
        let base = counters.base(id: 5)
        let head = try {
            var copy = try BudgetCounters(head: counters.head(nil))
            _ = copy.count(Self.call(2), now: 0)
            return copy.head(BudgetBase(slot: 1, id: 5))
        }()
        var machine = BudgetMachine(tenant: "acme")
        _ = machine.asked(1, Self.call(3), now: 0)
        let other = BudgetMachine.Stored(counters.base(id: 6), revision: 3)
        for _ in 0..<2 {
            #expect(machine.loaded(head, revision: 9, bases: [nil, other], now: 0) == .init(access: .load))
        }
        guard
            case .unavailable(let reason)? = machine.loaded(head, revision: 9, bases: [nil, nil], now: 0).answers.first?
                .verdict
        else { throw Missing() }
        #expect(reason.contains("guard.acme"))
        _ = machine.asked(2, Self.call(3), now: 0)
        let found = machine.loaded(head, revision: 9, bases: [nil, .init(base, revision: 3)], now: 0)
        guard case .write(let bytes, revision: 9)? = found.access else { throw Missing() }
        #expect(BudgetCounters.holds(base, try #require(try BudgetCounters.base(ofHead: bytes))))
    }

    @Test("a key that is deleted begins anew: within a second for those who are turned away, at once for the others")
    func reset() {
        let second: UInt64 = 1_000_000_000
        var (bucket, machine) = (Bucket(), BudgetMachine(tenant: "acme"))
        func ask(_ id: UInt64, _ now: UInt64) -> BudgetVerdict? {
            bucket.run(&machine, machine.asked(id, Self.call(id, limit: 2), now: now), now: now).0.first?.verdict
        }
        #expect(ask(1, 0) == .counted)
        bucket.head = nil
        // The write is refused, and it is counted anew.
        #expect(ask(2, 1) == .counted)
        #expect(ask(3, 2) == .counted)
        guard case .exhausted? = ask(4, 3) else { return #expect(Bool(false)) }
        bucket.head = nil
        guard case .exhausted? = ask(5, 4) else { return #expect(Bool(false)) }
        #expect(ask(6, second + 10) == .counted)
    }

    @Test("agents with long names take no more room than there is, and the tenant's own counter stays")
    func bytes() throws {
        var limits = BudgetCounters.Limits()
        limits.bytes = 64 << 10
        var counters = BudgetCounters(limits: limits)
        let own = BudgetDemand(budget: "own", subject: .tenant, limit: .max)
        for number in 0..<4000 as Range<UInt64> {
            let name = String(repeating: "n", count: 250) + String(number)
            let demand = BudgetDemand(budget: "agent", subject: .agent(name), limit: 5)
            #expect(
                counters.count(BudgetCall(id: number, demands: [own, demand], deadline: .max), now: number) == .counted)
            #expect(counters.bytes <= limits.bytes)
        }
        #expect(counters.used(own, now: 4000) == 4000)
        #expect(counters.evicted > 3000)
        // Beside the counters there are 2,048 calls.
        #expect(counters.base(id: 1).count < limits.bytes + 2048 * 20)
        // Those whose windows run are not forgotten.
        var windows = BudgetCounters(limits: limits)
        var refused = 0
        for number in 0..<300 as Range<UInt64> {
            let name = String(repeating: "n", count: 250) + String(number)
            let demand = BudgetDemand(budget: "agent", subject: .agent(name), limit: 5, window: 1000)
            let verdict = windows.count(BudgetCall(id: number, demands: [demand], deadline: .max), now: 0)
            if case .unavailable = verdict { refused += 1 }
        }
        #expect(refused > 0 && refused < 300)
    }
}
