import ATOF
import Middleware
import Stages
import Testing

@Suite("Process machine: what is stored already")
struct StoredDecisionTests {
    private struct DropStep: ChainStep {
        let name = "drop"
        let priority: Int32 = 0

        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) throws -> ChainDecision {
            .drop(rule: "drop")
        }
    }

    private static let partitioning = Partitioning(count: 1)
    private static let root = TestEvents.uuid(5)

    private static func machine(drops: Bool, _ decisions: StoredDecisions) -> ProcessMachine {
        var machine = ProcessMachine(
            partitioning: partitioning, policy: drops ? MiddlewareChain([DropStep()]) : MiddlewareChain())
        machine.follow(decisions)
        return machine
    }

    private static func message(_ sequence: UInt64, _ kind: Event.Kind, _ scope: UInt64) -> StageMessage {
        StageMessage(
            subject: "skein.v1.events.3.acme.key", sequence: sequence, timeNanoseconds: 1, contentType: nil,
            payload: TestEvents.batch([TestEvents.fields(kind, scope, parent: 5).packed()]))
    }

    /// Positions 3 to 7 are covered; of them the start of scope 10 is stored.
    private static func decisions() throws -> StoredDecisions {
        var decisions = StoredDecisions()
        decisions.keep(try TestEvents.event(.scopeStart, 10, parent: 5), tenant: "acme")
        decisions.know(
            tenant: "acme", partition: 0, after: EventReference(sequence: 2, index: .max),
            through: EventReference(sequence: 7, index: 0))
        return decisions
    }

    @Test("a start that is stored stays, one that was dropped stays dropped, and both take their ends along")
    func decided() throws {
        var dropping = Self.machine(drops: true, try Self.decisions())
        #expect(dropping.receive(Self.message(3, .scopeStart, 10)).counts.processed == 1)
        #expect(dropping.receive(Self.message(8, .scopeEnd, 10)).counts.processed == 1)
        var keeping = Self.machine(drops: false, try Self.decisions())
        #expect(keeping.receive(Self.message(4, .scopeStart, 11)).counts.dropped == 1)
        #expect(keeping.receive(Self.message(8, .scopeEnd, 11)).counts.dropped == 1)
    }

    @Test("behind what is covered, before it, and of other tenants the policy decides, whatever the event is called")
    func undecided() throws {
        var machine = Self.machine(drops: true, try Self.decisions())
        #expect(machine.receive(Self.message(8, .scopeStart, 10)).counts.dropped == 1)
        machine = Self.machine(drops: false, try Self.decisions())
        #expect(machine.receive(Self.message(2, .scopeStart, 12)).counts.processed == 1)
        #expect(machine.receive(Self.message(9, .scopeStart, 13)).counts.processed == 1)
    }
}
