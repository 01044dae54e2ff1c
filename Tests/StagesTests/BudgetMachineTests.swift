import ATOF
import Stages
import Testing

@Suite("Budget machine")
struct BudgetMachineTests {
    private static let second: UInt64 = 1_000_000_000
    private static let demand = BudgetDemand(budget: "calls", subject: .tenant, limit: 3)

    private static func call(_ id: UInt64, deadline: UInt64 = .max) -> BudgetCall {
        BudgetCall(id: id, demands: [demand], deadline: deadline)
    }

    /// What an access wants to write.
    private static func snapshot(_ actions: BudgetMachine.Actions) throws -> [UInt8] {
        guard case .write(let bytes, _)? = actions.access else { throw Missing() }
        return bytes
    }

    private struct Missing: Error {}

    @Test("answers what it has counted only when it is written, and counts what came meanwhile together")
    func batch() throws {
        var machine = BudgetMachine(tenant: "acme")
        #expect(machine.asked(1, Self.call(1), now: 0) == .init(access: .load))
        #expect(machine.asked(2, Self.call(2), now: 0) == .init())
        let first = machine.loaded(nil, revision: nil, now: 0)
        #expect(first.answers.isEmpty)
        guard case .write(_, revision: nil)? = first.access else { throw Missing() }
        // While that is written.
        #expect(machine.asked(3, Self.call(3), now: 0) == .init())
        #expect(machine.asked(4, Self.call(4), now: 0) == .init())
        let second = machine.written(revision: 7, now: 0)
        #expect(second.answers == [.init(1, .counted), .init(2, .counted)])
        guard case .write(let bytes, revision: 7)? = second.access else { throw Missing() }
        #expect(try BudgetCounters(head: bytes).used(Self.demand, now: 0) == 3)
        let last = machine.written(revision: 8, now: 0)
        #expect(last == .init(answers: [.init(3, .counted), .init(4, .exhausted(Self.demand, used: 3))]))
        #expect(machine.isIdle)
        // With nothing to write it is answered at once: a call that was counted, and one for which there is no room.
        #expect(machine.asked(5, Self.call(2), now: 0) == .init(answers: [.init(5, .counted)]))
        #expect(machine.asked(6, Self.call(6), now: 0) == .init(answers: [.init(6, .exhausted(Self.demand, used: 3))]))
    }

    @Test("a stale owner is refused by the bucket, reads again, and lets no more through than the limit")
    func stale() throws {
        var (one, other) = (BudgetMachine(tenant: "acme"), BudgetMachine(tenant: "acme"))
        var bucket: (bytes: [UInt8]?, revision: UInt64?) = (nil, nil)
        var counted = 0
        func run(_ machine: inout BudgetMachine, _ actions: BudgetMachine.Actions) {
            var actions = actions
            while true {
                counted += actions.answers.count { $0.verdict == .counted }
                switch actions.access {
                case nil: return
                case .load?: actions = machine.loaded(bucket.bytes, revision: bucket.revision, now: 0)
                case .write(let bytes, let revision)?:
                    if revision == bucket.revision {
                        bucket = (bytes, (revision ?? 0) + 1)
                        actions = machine.written(revision: (revision ?? 0) + 1, now: 0)
                    } else {
                        actions = machine.writeRefused()
                    }
                }
            }
        }
        for id in 1...4 as ClosedRange<UInt64> {
            run(&one, one.asked(id, Self.call(id), now: 0))
            run(&other, other.asked(id, Self.call(100 + id), now: 0))
            // Asked again of the other: the bucket says that it was counted.
            if id == 1 {
                let before = counted
                run(&other, other.asked(id + 10, Self.call(1), now: 0))
                #expect(counted == before + 1)
                counted = before
            }
        }
        #expect(counted == 3)
    }

    @Test(
        "a write of which nothing is known is looked for: counted once, whether it was written or not",
        arguments: [true, false])
    func unknownOutcome(wasWritten: Bool) throws {
        var machine = BudgetMachine(tenant: "acme")
        _ = machine.asked(1, Self.call(1), now: 0)
        let bytes = try Self.snapshot(machine.loaded(nil, revision: nil, now: 0))
        #expect(machine.writeFailed("timeout") == .init(access: .load))
        let again = machine.loaded(wasWritten ? bytes : nil, revision: wasWritten ? 1 : nil, now: 0)
        if wasWritten {
            #expect(again == .init(answers: [.init(1, .counted)]))
        } else {
            #expect(try BudgetCounters(head: Self.snapshot(again)).used(Self.demand, now: 0) == 1)
        }
    }

    @Test("gives up after three writes that fail, and says why; the next call begins anew")
    func givesUp() throws {
        var machine = BudgetMachine(tenant: "acme")
        _ = machine.asked(1, Self.call(1), now: 0)
        for _ in 1...2 {
            _ = machine.loaded(nil, revision: nil, now: 0)
            #expect(machine.writeFailed("the stream is full") == .init(access: .load))
        }
        _ = machine.loaded(nil, revision: nil, now: 0)
        let end = machine.writeFailed("the stream is full")
        #expect(end.access == nil)
        guard case .unavailable(let reason)? = end.answers.first?.verdict else { throw Missing() }
        #expect(reason.contains("acme") && reason.contains("the stream is full"))
        #expect(machine.asked(2, Self.call(2), now: 0) == .init(access: .load))
    }

    @Test("a bucket that cannot be read, or holds something else, is an error for all that wait")
    func unreadable() throws {
        var machine = BudgetMachine(tenant: "acme")
        _ = machine.asked(1, Self.call(1), now: 0)
        guard case .unavailable? = machine.loadFailed("timeout").answers.first?.verdict else { throw Missing() }
        _ = machine.asked(2, Self.call(2), now: 0)
        let damaged = machine.loaded([9, 9, 9], revision: 4, now: 0)
        guard case .unavailable(let reason)? = damaged.answers.first?.verdict else { throw Missing() }
        #expect(reason.contains("guard.acme"))
        #expect(machine.isIdle)
    }

    @Test("a call behind its deadline is not counted")
    func deadline() throws {
        var machine = BudgetMachine(tenant: "acme")
        _ = machine.asked(1, Self.call(1, deadline: 5), now: 0)
        _ = machine.asked(2, Self.call(2, deadline: 50), now: 0)
        let actions = machine.loaded(nil, revision: nil, now: 5)
        #expect(try BudgetCounters(head: Self.snapshot(actions)).used(Self.demand, now: 0) == 1)
        #expect(machine.written(revision: 1, now: 6).answers == [.init(1, .expired), .init(2, .counted)])
    }

    @Test("turns away what is more than may wait")
    func bound() throws {
        var machine = BudgetMachine(tenant: "acme", waitingLimit: 2)
        _ = machine.asked(1, Self.call(1), now: 0)
        _ = machine.asked(2, Self.call(2), now: 0)
        let actions = machine.asked(3, Self.call(3), now: 0)
        guard case .unavailable? = actions.answers.first?.verdict else { throw Missing() }
        #expect(actions.answers.first?.token == 3)
    }
}

@Suite("Budget counters")
struct BudgetCountersTests {
    private static let minute: UInt64 = 60_000_000_000
    private static let run = EventUUID(high: 1, low: 2)

    private static func count(
        _ counters: inout BudgetCounters, _ id: UInt64, _ demands: [BudgetDemand], at now: UInt64
    ) -> BudgetVerdict {
        counters.count(BudgetCall(id: id, demands: demands, deadline: .max), now: now)
    }

    @Test("counts for all budgets or for none")
    func together() {
        var counters = BudgetCounters()
        let wide = BudgetDemand(budget: "tenant", subject: .tenant, limit: 10)
        let narrow = BudgetDemand(budget: "run", subject: .trajectory(Self.run), limit: 1)
        #expect(Self.count(&counters, 1, [wide, narrow], at: 0) == .counted)
        #expect(Self.count(&counters, 2, [wide, narrow], at: 0) == .exhausted(narrow, used: 1))
        #expect(counters.used(wide, now: 0) == 1)
    }

    @Test("a window ends with its minute, and an owner whose clock is behind does not begin it again")
    func windows() {
        var counters = BudgetCounters()
        let demand = BudgetDemand(budget: "b", subject: .agent("a"), limit: 1, window: Self.minute)
        let start = 100 * Self.minute
        #expect(Self.count(&counters, 1, [demand], at: start) == .counted)
        #expect(Self.count(&counters, 2, [demand], at: start + Self.minute - 1) == .exhausted(demand, used: 1))
        #expect(Self.count(&counters, 3, [demand], at: start + Self.minute) == .counted)
        #expect(Self.count(&counters, 4, [demand], at: start + Self.minute - 1) == .exhausted(demand, used: 1))
    }

    @Test("amounts that would overflow do not fit")
    func overflow() {
        var counters = BudgetCounters()
        let demand = BudgetDemand(budget: "b", subject: .tenant, limit: .max, amount: .max)
        #expect(Self.count(&counters, 1, [demand], at: 0) == .counted)
        #expect(Self.count(&counters, 2, [demand], at: 0) == .exhausted(demand, used: .max))
    }

    @Test("knows a bounded number of calls for a bounded time")
    func calls() {
        var limits = BudgetCounters.Limits()
        limits.calls = 2
        limits.callLife = 10
        var counters = BudgetCounters(limits: limits)
        let demand = BudgetDemand(budget: "b", subject: .tenant, limit: 100)
        for id in [1, 2, 3, 3, 2] as [UInt64] { _ = Self.count(&counters, id, [demand], at: 0) }
        #expect(counters.used(demand, now: 0) == 3)
        // The first was forgotten; the second too when its time is over.
        _ = Self.count(&counters, 1, [demand], at: 0)
        _ = Self.count(&counters, 4, [demand], at: 11)
        _ = Self.count(&counters, 3, [demand], at: 11)
        #expect(counters.used(demand, now: 11) == 6)
    }

    @Test("of too many subjects those used longest ago go, the tenant's own stays")
    func eviction() {
        var limits = BudgetCounters.Limits()
        limits.counters = 32
        var counters = BudgetCounters(limits: limits)
        let own = BudgetDemand(budget: "tenant", subject: .tenant, limit: 1000)
        for number in 0..<100 as Range<UInt64> {
            let run = BudgetDemand(
                budget: "run", subject: .trajectory(EventUUID(high: 0, low: number)), limit: 5)
            _ = Self.count(&counters, number, [own, run], at: number)
            #expect(counters.counters.count <= 32)
        }
        #expect(counters.used(own, now: 100) == 100)
        #expect(counters.evicted > 60)
        let newest = BudgetDemand(budget: "run", subject: .trajectory(EventUUID(high: 0, low: 99)), limit: 5)
        #expect(counters.used(newest, now: 100) == 1)
    }

    @Test("comes back from its snapshot, and damage is an error, never a crash")
    func snapshot() throws {
        var counters = BudgetCounters()
        let demands = [
            BudgetDemand(budget: "a", subject: .tenant, limit: 9),
            BudgetDemand(budget: "ü", subject: .agent("x.y"), limit: 9, window: Self.minute),
            BudgetDemand(budget: "a", subject: .trajectory(Self.run), limit: 9, amount: 2),
        ]
        for id in 1...3 as ClosedRange<UInt64> { _ = Self.count(&counters, id, demands, at: 5 * Self.minute) }
        let bytes = counters.head(nil)
        var again = try BudgetCounters(head: bytes)
        #expect(again.counters == counters.counters)
        // Known calls are known again.
        #expect(Self.count(&again, 2, demands, at: 5 * Self.minute) == .counted)
        #expect(again.counters == counters.counters)
        for index in bytes.indices {
            #expect(throws: SnapshotError.self) { try BudgetCounters(head: Array(bytes[..<index])) }
            for byte: UInt8 in [0, 0x7F, 0xFF] {
                var changed = bytes
                changed[index] = byte
                if var counters = try? BudgetCounters(head: changed) {
                    counters.expire(now: 6 * Self.minute)
                    _ = Self.count(&counters, 99, demands, at: 6 * Self.minute)
                }
            }
        }
    }

    @Test("what members tell each other comes back as it was, with the time that is left")
    func messages() throws {
        let demand = BudgetDemand(budget: "b", subject: .agent("a"), limit: 7, window: Self.minute, amount: 2)
        let message = BudgetMessage(tenant: "acme", call: BudgetCall(id: .max, demands: [demand], deadline: 1500))
        let received = try BudgetMessage(message.bytes(now: 1000), now: 90_000)
        #expect(received.tenant == "acme")
        #expect(received.call == BudgetCall(id: .max, demands: [demand], deadline: 90_500))
        for verdict: BudgetVerdict in [.counted, .exhausted(demand, used: 7), .expired, .unavailable("because")] {
            #expect(try BudgetVerdict(verdict.bytes) == verdict)
            #expect(throws: SnapshotError.self) { try BudgetVerdict(verdict.bytes.dropLast()) }
        }
    }

    @Test("ids of calls differ where their parts do, wherever these are divided")
    func ids() {
        #expect(BudgetCall.id("a", "bc") == BudgetCall.id("a", "bc"))
        #expect(BudgetCall.id("a", "bc") != BudgetCall.id("ab", "c"))
        #expect(BudgetCall.id("a", "") != BudgetCall.id("", "a"))
    }

    @Test("a message with two demands on one counter is none; what is not a member's ends nobody")
    func repeatedDemands() throws {
        let half = BudgetDemand(budget: "b", subject: .tenant, limit: .max, amount: 1 << 63)
        let repeated = BudgetCall(id: 1, demands: [half, half], deadline: 1500)
        let message = BudgetMessage(tenant: "acme", call: repeated).bytes(now: 1000)
        #expect(throws: SnapshotError.self) { try BudgetMessage(message, now: 1000) }
        var counters = BudgetCounters()
        #expect(Self.count(&counters, 1, repeated.demands, at: 0) == .counted)
        #expect(counters.used(half, now: 0) == .max)
        // Of other windows and subjects they are other counters.
        let others = [
            half, BudgetDemand(budget: "b", subject: .tenant, limit: 1, window: Self.minute),
            BudgetDemand(budget: "b", subject: .agent("a"), limit: 1),
        ]
        let call = BudgetCall(id: 1, demands: others, deadline: 1500)
        let received = try BudgetMessage(BudgetMessage(tenant: "acme", call: call).bytes(now: 1000), now: 1000)
        #expect(received.call == call)
    }

    @Test("subjects that were forgotten for new ones are told of")
    func forgottenSubjects() {
        var limits = BudgetCounters.Limits()
        limits.counters = 2
        var machine = BudgetMachine(tenant: "acme", limits: limits)
        func call(_ id: UInt64) -> BudgetCall {
            BudgetCall(
                id: id, demands: [BudgetDemand(budget: "b", subject: .agent("\(id)"), limit: 9)], deadline: .max)
        }
        _ = machine.asked(1, call(1), now: 1)
        let first = machine.loaded(nil, revision: nil, now: 1)
        _ = machine.written(revision: 1, now: 1)
        let second = machine.asked(2, call(2), now: 2)
        _ = machine.written(revision: 2, now: 2)
        let third = machine.asked(3, call(3), now: 3)
        #expect(first.forgotten == 0 && second.forgotten == 0 && third.forgotten == 1)
    }
}
