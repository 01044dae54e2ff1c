import ATOF
import OTLP
import Testing

@testable import Projections

@Suite("Span projector snapshot")
struct SnapshotTests {
    @Test(
        "continues exactly, wherever it is taken", arguments: recordedCases, ProjectionConfiguration.Projection.allCases
    )
    func continuesExactly(_ name: String, _ projection: ProjectionConfiguration.Projection) throws {
        let configuration = ProjectionConfiguration(
            projection: projection, attributeMappings: [.init(key: "nemo_relay.uuid", alias: "id")],
            promoteMetadataPrefixes: ["session_id"])
        let events = try Events.ofCase(name)
        for cut in 0...events.count {
            var run = Run(configuration)
            for packed in events[..<cut] { try run.receive(packed: packed) }
            let snapshot = run.projector.snapshot()
            var restored = run
            restored.projector = try SpanProjector(configuration: configuration, snapshot: snapshot, event: run.read)
            #expect(restored.projector.snapshot() == snapshot)
            #expect(restored.projector.oldestReference == run.projector.oldestReference)
            for packed in events[cut...] {
                let expected = try run.receive(packed: packed)
                #expect(
                    try restored.receive(packed: packed).map(SpanEncoder.encode) == expected.map(SpanEncoder.encode))
            }
        }
    }

    @Test("keeps expired contexts expired and live ones live")
    func keepsContexts() throws {
        var run = Run()
        try run.scope(1, at: 0)
        try run.scope(2, at: 70)
        var restored = run
        restored.projector = try SpanProjector(
            configuration: run.projector.configuration, snapshot: run.projector.snapshot(), event: run.read)
        #expect(try restored.scope(3, parent: Events.uuid(1), at: 72).context.parentSpanID == nil)
        #expect(try restored.scope(4, parent: Events.uuid(2), at: 74).context.traceID == Events.uuid(2))
    }

    @Test("says what it could not read again")
    func unreadable() throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, Events.uuid(1)))
        try run.receive(Events.fields(.mark, Events.uuid(2), parent: Events.uuid(1)))
        let snapshot = run.projector.snapshot()
        let configuration = run.projector.configuration
        let empty = try SpanProjector(configuration: configuration, snapshot: snapshot) { _ in nil }
        #expect(empty.openSpanCount == 0 && empty.counters.unreadableReferences == 1)
        run.projector = try SpanProjector(configuration: configuration, snapshot: snapshot) {
            $0.sequence == 1 ? run.read($0) : nil
        }
        let span = try #require(try run.receive(Events.fields(.scopeEnd, Events.uuid(1))).first)
        #expect(span.events.isEmpty && span.droppedEvents == 1)
    }

    @Test("refuses bytes that are cut or of another version")
    func refuses() throws {
        var run = Run()
        try run.scope(1)
        try run.receive(Events.fields(.scopeStart, Events.uuid(2)))
        let snapshot = run.projector.snapshot()
        for count in 0..<snapshot.count {
            #expect(throws: SnapshotError.self) {
                try SpanProjector(
                    configuration: run.projector.configuration, snapshot: Array(snapshot[..<count]), event: run.read)
            }
        }
        #expect(throws: SnapshotError.self) {
            try SpanProjector(
                configuration: run.projector.configuration, snapshot: [99] + snapshot.dropFirst(), event: run.read)
        }
    }
}
