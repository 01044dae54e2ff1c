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
            var restored = try run.restored()
            #expect(restored.projector.snapshot() == run.projector.snapshot())
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
        var restored = try run.restored()
        #expect(try restored.scope(3, parent: Events.uuid(1), at: 72).context.parentSpanID == nil)
        #expect(try restored.scope(4, parent: Events.uuid(2), at: 74).context.traceID == Events.uuid(2))
    }

    @Test("says what it could not read again", arguments: [(1, 3, 0), (2, 1, 2)])
    func unreadable(_ gone: UInt64, _ notProjected: Int, _ inSpans: Int) throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, Events.uuid(1)))
        try run.receive(Events.fields(.mark, Events.uuid(2), parent: Events.uuid(1)))
        run = try run.restored()
        run.gone = [gone]
        let span = try run.receive(Events.fields(.scopeEnd, Events.uuid(1))).first
        #expect((span == nil) == (gone == 1))
        #expect(span.map { $0.events.isEmpty && $0.droppedEvents == 1 } ?? true)
        #expect(run.projector.counters.unreadableReferences == (gone == 1 ? 2 : 1))
        #expect(run.books.notProjected == notProjected && run.books.inSpans == inSpans)
    }

    @Test("a restored span that is given up can be unreadable, too")
    func unreadableAbandoned() throws {
        var run = Run(.init(projection: .full, idle: 10))
        try run.receive(Events.fields(.scopeStart, Events.uuid(1)))
        run = try run.restored()
        run.gone = [1]
        #expect(run.tick(10).isEmpty)
        #expect(run.books.notProjected == 1 && run.projector.openSpanCount == 0)
    }

    @Test("refuses bytes that are cut or of another version")
    func refuses() throws {
        var run = Run()
        try run.scope(1)
        try run.receive(Events.fields(.scopeStart, Events.uuid(2)))
        try run.receive(Events.fields(.scopeEnd, Events.uuid(3)))
        let snapshot = run.projector.snapshot()
        for count in 0..<snapshot.count {
            #expect(throws: SnapshotError.self) {
                try SpanProjector(
                    configuration: run.projector.configuration, snapshot: Array(snapshot[..<count]))
            }
        }
        #expect(throws: SnapshotError.self) {
            try SpanProjector(
                configuration: run.projector.configuration, snapshot: [99] + snapshot.dropFirst())
        }
    }
}
