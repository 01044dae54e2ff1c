import ATOF
import Middleware
import Stages
import Testing

@Suite("Process machine: policy")
struct ProcessPolicyTests {
    /// Does to events what their names say.
    private struct NameStep: ChainStep {
        let name = "test"
        let priority: Int32 = 0
        struct Broken: Error {}

        func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) throws -> ChainDecision {
            switch draft.name {
            case "change": draft.data = "changed"
            case "grow": draft.data = .string(String(repeating: "x", count: 400))
            case "fail": throw Broken()
            case "drop": return .drop(rule: "test")
            case "alert":
                notes.alerts.append(.init(rule: "test", message: "seen", event: draft.event.uuid))
            case "inject": notes.injected.append(TestEvents.fields(.mark, 900).packed())
            default: break
            }
            return .pass
        }
    }

    private static func fields(_ kind: Event.Kind, _ scope: UInt64, _ name: String, parent: UInt64? = 5) -> EventFields
    {
        var fields = TestEvents.fields(kind, scope, parent: parent)
        fields.name = name
        fields.data = Array(#"{"secret":1}"#.utf8)
        fields.unknownFields = Array(#"{"more":2}"#.utf8)
        return fields
    }

    private static func message(_ events: [EventFields]) -> StageMessage {
        StageMessage(
            subject: "skein.v1.events.3.acme.key", sequence: 7, timeNanoseconds: 1, contentType: nil,
            payload: TestEvents.batch(events.map { $0.packed() }))
    }

    private static func machine(maximumEventBytes: Int = 1 << 20) -> ProcessMachine {
        ProcessMachine(
            partitioning: Partitioning(count: 8), maximumEventBytes: maximumEventBytes,
            policy: MiddlewareChain([NameStep()]))
    }

    private static func events(of outcome: ProcessMachine.Outcome) throws -> [Event] {
        try outcome.pieces.flatMap { piece in
            let batch = try EventBatch(unpacking: piece.frames.bytes)
            return try (0..<batch.count).map { try batch.event(at: $0) }
        }
    }

    @Test("passes what no step changes on as the bytes that came in, also behind one that is changed")
    func unchanged() throws {
        var machine = Self.machine()
        let kept = Self.fields(.mark, 11, "keep")
        let outcome = machine.receive(Self.message([Self.fields(.mark, 10, "change"), kept]))
        let events = try Self.events(of: outcome)
        #expect(events.map { $0.data?.value } == ["changed", ["secret": 1]])
        #expect(events[1].packed.array.starts(with: kept.packed()))
        #expect(events.allSatisfy { $0.rootUUID == TestEvents.uuid(5) && $0.parentUUID == TestEvents.uuid(5) })
        #expect(outcome.counts.processed == 2 && outcome.counts.changed == 1)
    }

    @Test("leaves an event whose step fails without its payloads, and says so")
    func fails() throws {
        var machine = Self.machine()
        let outcome = machine.receive(Self.message([Self.fields(.mark, 10, "fail")]))
        let event = try #require(try Self.events(of: outcome).first)
        #expect(event.data == nil && event.unknownFields == nil)
        #expect(event.uuid == TestEvents.uuid(10) && event.name == "fail")
        #expect(outcome.notes.failures.map(\.step) == ["test"])
    }

    @Test("takes the payloads of an event that the policy makes larger than allowed")
    func grows() throws {
        var machine = Self.machine(maximumEventBytes: 300)
        let outcome = machine.receive(Self.message([Self.fields(.mark, 10, "grow")]))
        #expect(try Self.events(of: outcome).map { $0.data == nil } == [true])
        #expect(outcome.notes.failures.map(\.step) == ["chain"])
        #expect(outcome.counts.processed == 1 && outcome.counts.deadLettered == 0)
    }

    @Test("drops a scope as a whole: its end too, after a restart too, and the children keep their parent")
    func dropsScope() throws {
        var machine = Self.machine()
        let first = machine.receive(
            Self.message([Self.fields(.scopeStart, 20, "drop"), Self.fields(.mark, 21, "keep", parent: 20)]))
        #expect(first.counts.dropped == 1 && first.counts.processed == 1)
        #expect(try Self.events(of: first).map(\.parentUUID) == [TestEvents.uuid(20)])
        machine = try ProcessMachine(
            partitioning: Partitioning(count: 8), policy: MiddlewareChain([NameStep()]), snapshot: machine.snapshot())
        let second = machine.receive(
            Self.message([Self.fields(.scopeEnd, 20, "another name"), Self.fields(.scopeEnd, 20, "drop")]))
        #expect(second.counts.dropped == 1 && second.counts.duplicates == 1 && second.counts.processed == 0)
        #expect(second.pieces.isEmpty)
        #expect(machine.openScopes == 0)
        let counts = try #require(machine.ledger[tenant: "acme", key: "key"])
        #expect(counts[.received] == 4 && counts[.dropped] == 2 && counts.pending == 0)
    }

    @Test("keeps the end of a scope that has begun, without what it says")
    func dropsEnd() throws {
        var machine = Self.machine()
        let outcome = machine.receive(
            Self.message([Self.fields(.scopeStart, 20, "keep"), Self.fields(.scopeEnd, 20, "drop")]))
        let events = try Self.events(of: outcome)
        #expect(events.map(\.kind) == [.scopeStart, .scopeEnd])
        #expect(events[1].data == nil)
        #expect(outcome.counts.dropped == 0 && outcome.counts.processed == 2)
    }

    @Test("puts what is injected behind its cause, under the cause's position, and balances the ledger")
    func injects() throws {
        var machine = Self.machine()
        let outcome = machine.receive(
            Self.message([Self.fields(.mark, 10, "inject"), Self.fields(.mark, 11, "keep")]))
        #expect(try Self.events(of: outcome).map(\.uuid) == [10, 900, 11].map { TestEvents.uuid($0) })
        #expect(outcome.pieces.map { $0.ends.map(\.index) } == [[0, 1]])
        #expect(outcome.notes.injected.isEmpty)
        let counts = try #require(machine.ledger[tenant: "acme", key: "key"])
        #expect(counts[.received] == 2 && counts[.injected] == 1 && counts[.processed] == 3 && counts.pending == 0)
    }

    @Test("asks no step about a duplicate, and tells alerts once")
    func duplicates() {
        var machine = Self.machine()
        let alert = Self.fields(.mark, 10, "alert")
        let told = machine.receive(Self.message([alert, alert])).notes.alerts
        #expect(told.map(\.event) == [TestEvents.uuid(10)])
        // The mark's own run: its parent is no scope that is known, and so is the root.
        #expect(told.map(\.root) == [TestEvents.uuid(5)])
        #expect(machine.receive(Self.message([alert])).notes.alerts.isEmpty)
    }

    @Test("follows another policy from the next message on")
    func replaced() throws {
        var machine = Self.machine()
        machine.replacePolicy(MiddlewareChain())
        let event = Self.fields(.mark, 10, "change")
        #expect(try Self.events(of: machine.receive(Self.message([event]))).map { $0.data?.value } == [["secret": 1]])
    }

    @Test("shows steps, and passes on, the repaired payload of a producer that wrote none")
    func repaired() throws {
        var machine = Self.machine()
        var broken = Self.fields(.mark, 10, "change")
        broken.metadata = Array("no json".utf8)
        let event = try #require(try Self.events(of: machine.receive(Self.message([broken]))).first)
        #expect(event.data?.value == "changed")
        #expect(event.metadata?.withBytes { String(decoding: $0, as: UTF8.self) } == #""no json""#)
    }
}
