import ATOF
import Testing
import Trajectories

@Suite("Trajectory assembler, in the reference's order")
struct TrajectoryAssemblerTests {
    private static let configuration = TrajectoryAssembler.Configuration(order: .reference)
    private static let agent = AgentDescription(name: "golden-agent", version: "9.9.9", modelName: "default-model")

    private static func run(
        _ fields: [EventFields], _ assembler: inout TrajectoryAssembler, tenants: [String] = []
    ) throws -> [FinishedTrajectory] {
        try Sample.events(fields).enumerated().flatMap { index, event in
            assembler.receive(
                event, at: EventReference(sequence: UInt64(index), index: 0),
                tenant: tenants.isEmpty ? "" : tenants[index])
        }
    }

    @Test(
        "writes the dispatcher's documents as recorded, in whatever mode",
        arguments: RecordedCase.names, [TrajectoryAssembler.Configuration.Order.reference, .tolerant])
    func recorded(name: String, order: TrajectoryAssembler.Configuration.Order) throws {
        let recorded = try RecordedCase(name)
        var assembler = TrajectoryAssembler(configuration: .init(order: order))
        var finished: [FinishedTrajectory] = []
        for (index, event) in recorded.events.enumerated() {
            finished += assembler.receive(event, at: EventReference(sequence: UInt64(index), index: 0))
        }
        #expect(assembler.finish().isEmpty)
        let documents = finished.map {
            ($0.id.description, $0.document(by: Self.agent, .strict, of: $0.heldEvents).document)
        }
        #expect(Dictionary(uniqueKeysWithValues: documents) == recorded.dispatched)
        #expect(finished.allSatisfy { $0.state == .complete && $0.revision == 1 })
    }

    @Test("opens trajectories for agents and turns whose parent is not known")
    func opening() throws {
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        let turn: JSONValue = ["nemo_relay_scope_role": "turn"]
        _ = try Self.run(
            [
                Sample.fields(.scopeStart, 1, in: 91, "agent"), Sample.fields(.scopeStart, 2, in: 1, "agent"),
                Sample.fields(.scopeStart, 3, in: 92, "custom", metadata: turn),
                Sample.fields(.scopeStart, 4, in: 92, "custom"),
                Sample.fields(.scopeStart, 5, in: 4, "agent"), Sample.fields(.scopeStart, 6, "agent"),
            ], &assembler)
        #expect(assembler.finish().map(\.id) == [1, 3, 6].map(Sample.uuid))
        #expect(assembler.counts.unowned == 2)
    }

    @Test("opens none for an agent that comes after its trajectory was closed, below a scope that had ended before")
    func lateAgent() throws {
        var late = Sample.fields(.scopeStart, 3, in: 2, "agent")
        late.propagationRootUUID = Sample.uuid(1)
        var other = Sample.fields(.scopeStart, 4, in: 5, "agent")
        other.propagationRootUUID = Sample.uuid(6)
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        let finished = try Self.run(
            [
                Sample.fields(.scopeStart, 1, in: 91, "agent"), Sample.fields(.scopeStart, 2, in: 1, "tool"),
                Sample.fields(.scopeEnd, 2, in: 1, "tool"), Sample.fields(.scopeEnd, 1, in: 91, "agent"), late, other,
            ], &assembler)
        #expect(finished.map(\.id) == [Sample.uuid(1)])
        #expect(assembler.counts.late == 1)
        #expect(assembler.finish().map(\.id) == [Sample.uuid(4)])
    }

    @Test("opens none for an agent below a scope of no trajectory, also when that has ended")
    func belowEndedScope() throws {
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        _ = try Self.run(
            [
                Sample.fields(.scopeStart, 1, in: 91, "function"), Sample.fields(.scopeEnd, 1, in: 91, "function"),
                Sample.fields(.scopeStart, 2, in: 1, "agent"), Sample.fields(.scopeEnd, 2, in: 1, "agent"),
            ], &assembler)
        #expect(assembler.finish().isEmpty)
        #expect(assembler.counts.unowned == 4)
    }

    @Test("opens none for an agent of another stack below a scope of a closed trajectory")
    func belowClosedTrajectory() throws {
        var other = Sample.fields(.scopeStart, 3, in: 2, "agent")
        other.propagationRootUUID = Sample.uuid(8)
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        let finished = try Self.run(
            [
                Sample.fields(.scopeStart, 1, in: 91, "agent"), Sample.fields(.scopeStart, 2, in: 1, "function"),
                Sample.fields(.scopeEnd, 2, in: 1, "function"), Sample.fields(.scopeEnd, 1, in: 91, "agent"), other,
            ], &assembler)
        #expect(finished.map(\.id) == [Sample.uuid(1)])
        #expect(assembler.finish().isEmpty)
    }

    @Test("counts every event that goes nowhere by its reason")
    func counts() throws {
        var configuration = Self.configuration
        configuration.maximumEvents = 4
        var assembler = TrajectoryAssembler(configuration: configuration)
        let finished = try Self.run(
            [
                Sample.fields(.scopeStart, 1, in: 91, "agent"), Sample.fields(.scopeStart, 1, in: 91, "agent"),
                Sample.fields(.scopeStart, 2, in: 1, "tool"), Sample.fields(.scopeEnd, 2, in: 1, "tool"),
                Sample.fields(.scopeEnd, 2, in: 1, "tool"), Sample.fields(.mark, 3, in: 2),
                Sample.fields(.mark, 4, in: 1),
                Sample.fields(.mark, 5, in: 1), Sample.fields(.mark, 6, in: 77),
                Sample.fields(.scopeEnd, 1, in: 91, "agent"),
                Sample.fields(.mark, 7, in: 1), Sample.fields(.scopeStart, 8, in: 1, "agent"),
                Sample.fields(.scopeStart, 1, in: 91, "agent"),
            ], &assembler)
        #expect(finished.map(\.eventCount) == [5])
        let counts = assembler.counts
        #expect(counts.accepted == 5)
        #expect(counts.duplicate == 2)
        #expect(counts.endedParent == 1)
        #expect(counts.overLimit == 1)
        #expect(counts.unowned == 1)
        #expect(counts.late == 3)
        #expect(counts.completed == 1)
        #expect(assembler.openCount == 0)
    }

    @Test("closes the oldest trajectory as partial when too many are open")
    func eviction() throws {
        var configuration = Self.configuration
        configuration.maximumOpen = 2
        var assembler = TrajectoryAssembler(configuration: configuration)
        let finished = try Self.run(
            [
                Sample.fields(.scopeStart, 1, "agent", name: "first"), Sample.fields(.scopeStart, 2, in: 1, "function"),
                Sample.fields(.scopeStart, 3, "agent"), Sample.fields(.scopeStart, 4, "agent"),
                Sample.fields(.scopeStart, 5, in: 2, "agent"),
            ], &assembler)
        #expect(finished.map(\.agentName) == ["first"])
        #expect(finished.map(\.state) == [.abandoned(.maximumOpen)])
        #expect(assembler.counts.late == 1)
        #expect(assembler.oldestReference == EventReference(sequence: 2, index: 0))
    }

    @Test("lets no tenant write into another's trajectory")
    func tenants() throws {
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        let finished = try Self.run(
            [
                Sample.fields(.scopeStart, 1, in: 91, "agent"), Sample.fields(.mark, 2, in: 1),
                Sample.fields(.scopeEnd, 1, in: 91, "agent"), Sample.fields(.scopeEnd, 1, in: 91, "agent"),
            ], &assembler, tenants: ["a", "b", "b", "a"])
        #expect(finished.map(\.eventCount) == [2])
        #expect(finished.map(\.tenant) == ["a"])
        #expect(assembler.counts.unowned == 2)
    }

    @Test("forgets scopes outside of trajectories when there are too many")
    func outsideScopes() throws {
        var configuration = Self.configuration
        configuration.maximumOutsideScopes = 10
        var assembler = TrajectoryAssembler(configuration: configuration)
        _ = try Self.run((1...500).map { Sample.fields(.scopeStart, $0, "function") }, &assembler)
        _ = try Self.run(
            [
                Sample.fields(.scopeStart, 1001, in: 500, "agent"), Sample.fields(.scopeStart, 1002, in: 1, "agent"),
            ], &assembler)
        #expect(assembler.finish().map(\.id) == [Sample.uuid(1002)])
    }

    @Test("refuses snapshots that are cut off or of another version")
    func damagedSnapshots() throws {
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        let start = Sample.fields(.scopeStart, 1, "agent")
        _ = try Self.run([start, Sample.fields(.scopeStart, 2, in: 70)], &assembler, tenants: ["a", "a"])
        let snapshot = assembler.snapshot()
        for length in 0..<snapshot.count {
            #expect(throws: SnapshotError.self) {
                try TrajectoryAssembler(configuration: Self.configuration, snapshot: Array(snapshot[..<length]))
            }
        }
        #expect(throws: SnapshotError.self) {
            try TrajectoryAssembler(configuration: Self.configuration, snapshot: [1])
        }
    }
}
