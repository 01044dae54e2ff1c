import ATOF
import Testing
import Trajectories

@Suite("Trajectory assembler")
struct TrajectoryAssemblerTests {
    private static let configuration = TrajectoryAssembler.Configuration(
        agent: AgentDescription(name: "golden-agent", version: "9.9.9", modelName: "default-model"))

    private static func run(
        _ fields: [EventFields], _ assembler: inout TrajectoryAssembler, tenants: [String?] = []
    ) throws -> [FinishedTrajectory] {
        try Sample.events(fields).enumerated().compactMap { index, event in
            assembler.receive(
                event, at: EventReference(sequence: UInt64(index), index: 0),
                tenant: tenants.isEmpty ? nil : tenants[index])
        }
    }

    @Test("writes the dispatcher's documents as recorded", arguments: RecordedCase.names)
    func recorded(name: String) throws {
        let recorded = try RecordedCase(name)
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        var finished: [FinishedTrajectory] = []
        for (index, event) in recorded.events.enumerated() {
            let reference = EventReference(sequence: UInt64(index), index: 0)
            if let trajectory = assembler.receive(event, at: reference) { finished.append(trajectory) }
        }
        #expect(assembler.finish().isEmpty)
        let documents = finished.map { ($0.id.description, $0.document) }
        #expect(Dictionary(uniqueKeysWithValues: documents) == recorded.dispatched)
        #expect(!finished.contains { !$0.isComplete })
    }

    /// Events of all recorded cases, interleaved, with an unfinished trajectory, stray events and repeats.
    private static func mixedStream() throws -> [Event] {
        var queues = try RecordedCase.names.map { Array(try RecordedCase($0).events.reversed()) }
        queues.append(
            try Sample.events([
                Sample.fields(.scopeStart, 1, in: 99, "agent"), Sample.fields(.scopeStart, 2, in: 98, "function"),
                Sample.fields(.scopeStart, 3, in: 2, "agent"), Sample.fields(.scopeStart, 4, in: 1, "tool", data: [:]),
                Sample.fields(.scopeEnd, 4, in: 1, "tool", data: "x"),
                Sample.fields(.scopeEnd, 4, in: 1, "tool", data: "x"),
                Sample.fields(.mark, 5, in: 4), Sample.fields(.scopeEnd, 2, in: 98, "function"),
                Sample.fields(.mark, 6, in: 1), Sample.fields(.mark, 6, in: 1),
            ]).reversed())
        var stream: [Event] = []
        while !queues.allSatisfy(\.isEmpty) {
            for index in queues.indices {
                if let event = queues[index].popLast() { stream.append(event) }
            }
        }
        return stream
    }

    @Test("goes on from a snapshot taken after any event as if nothing had happened", arguments: [nil, 3])
    func restore(maximumOpen: Int?) throws {
        let stream = try Self.mixedStream()
        var configuration = Self.configuration
        configuration.maximumOpen = maximumOpen ?? configuration.maximumOpen
        func reference(_ index: Int) -> EventReference {
            EventReference(sequence: UInt64(index / 4), index: index % 4)
        }
        func results(restartingAt restart: Int?) throws -> ([JSONValue], AssemblerCounts, [UInt8]) {
            var assembler = TrajectoryAssembler(configuration: configuration)
            var documents: [JSONValue] = []
            for (index, event) in stream.enumerated() {
                if index == restart {
                    let snapshot = assembler.snapshot()
                    let oldest = assembler.oldestReference
                    assembler = try TrajectoryAssembler(configuration: configuration, snapshot: snapshot) { wanted in
                        guard let oldest, wanted >= oldest else { return nil }
                        return stream[Int(wanted.sequence) * 4 + Int(wanted.index)].packed.array
                    }
                    #expect(assembler.snapshot() == snapshot)
                }
                if let finished = assembler.receive(event, at: reference(index)) { documents.append(finished.document) }
            }
            documents += assembler.finish().map(\.document)
            return (documents, assembler.counts, assembler.snapshot())
        }
        let expected = try results(restartingAt: nil)
        #expect(
            expected.1.accepted + expected.1.duplicate + expected.1.unowned + expected.1.endedParent + expected.1.late
                == UInt64(stream.count))
        for index in stream.indices {
            let restarted = try results(restartingAt: index)
            #expect(restarted == expected, "restarted at \(index)")
        }
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
        #expect(finished.map(\.isComplete) == [false])
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

    @Test("goes on without payloads that are gone, and gives up a trajectory without its start")
    func unavailable() throws {
        let fields = [
            Sample.fields(.scopeStart, 1, "agent"), Sample.fields(.mark, 2, in: 1),
            Sample.fields(.scopeStart, 3, "agent"),
            Sample.fields(.mark, 4, in: 3),
        ]
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        _ = try Self.run(fields, &assembler)
        var restored = try TrajectoryAssembler(
            configuration: Self.configuration, snapshot: assembler.snapshot()
        ) { reference in
            [1, 2].contains(reference.sequence) ? nil : fields[Int(reference.sequence)].packed()
        }
        #expect(restored.counts.unavailable == 3)
        #expect(restored.finish().map(\.eventCount) == [1])
    }

    @Test("refuses snapshots that are cut off or of another version")
    func damagedSnapshots() throws {
        var assembler = TrajectoryAssembler(configuration: Self.configuration)
        let start = Sample.fields(.scopeStart, 1, "agent")
        _ = try Self.run([start, Sample.fields(.scopeStart, 2, in: 70)], &assembler, tenants: ["a", "a"])
        let snapshot = assembler.snapshot()
        for length in 0..<snapshot.count {
            #expect(throws: SnapshotError.self) {
                try TrajectoryAssembler(configuration: Self.configuration, snapshot: Array(snapshot[..<length])) { _ in
                    nil
                }
            }
        }
        #expect(throws: SnapshotError.self) {
            try TrajectoryAssembler(configuration: Self.configuration, snapshot: [9]) { _ in nil }
        }
    }
}
