import ATOF
import OTLP
import Testing

@testable import Projections

@Suite("Spans of scopes that never end")
struct AbandonedSpanTests {
    private static let second: UInt64 = 1_000_000_000
    private let parent = Events.uuid(1)
    private let child = Events.uuid(2)

    private static func configuration(
        _ projection: ProjectionConfiguration.Projection = .full
    ) -> ProjectionConfiguration {
        .init(projection: projection, idle: 30 * second, maximumAge: 100 * second)
    }

    /// A start, or whatever it is, at a log time in seconds.
    private func receive(_ run: inout Run, _ fields: EventFields, at seconds: UInt64) throws {
        try run.receive(packed: Events.packed(fields, root: parent), at: seconds * Self.second)
    }

    @Test(
        "are exported when nothing comes of their run for the idle time, or when the run is too old",
        arguments: [
            (events: [0], tick: 29, spans: 0, reason: ""),
            (events: [0], tick: 30, spans: 1, reason: "idle"),
            (events: [0, 20], tick: 49, spans: 0, reason: ""),
            (events: [0, 20], tick: 50, spans: 1, reason: "idle"),
            (events: [0, 25, 50, 75], tick: 99, spans: 0, reason: ""),
            (events: [0, 25, 50, 75], tick: 100, spans: 1, reason: "max_age"),
        ] as [(events: [UInt64], tick: UInt64, spans: Int, reason: String)])
    func due(_ sample: (events: [UInt64], tick: UInt64, spans: Int, reason: String)) throws {
        var run = Run(Self.configuration())
        for (index, time) in sample.events.enumerated() {
            let fields =
                index == 0
                ? Events.fields(.scopeStart, parent)
                : Events.fields(.mark, Events.uuid(100 + UInt64(index)), parent: Events.uuid(99))
            try receive(&run, fields, at: time)
        }
        let deadline = run.projector.nextDeadline()
        let due = try #require(deadline)
        #expect((due <= sample.tick * Self.second) == (sample.spans == 1))
        let spans = run.tick(sample.tick * Self.second)
        #expect(spans.count == sample.spans)
        #expect(spans.first?["skein.abandoned.reason"] == (sample.spans == 1 ? .string(sample.reason) : nil))
    }

    @Test(
        "end with the run's last event, as an error that says so",
        arguments: ProjectionConfiguration.Projection.allCases)
    func content(_ projection: ProjectionConfiguration.Projection) throws {
        var run = Run(Self.configuration(projection))
        try receive(&run, Events.fields(.scopeStart, parent, at: 0, metadata: #"{"a":1}"#), at: 0)
        try receive(&run, Events.fields(.scopeStart, child, parent: parent, at: 9), at: 1)
        try receive(&run, Events.fields(.mark, Events.uuid(3), parent: parent, at: 4, name: "m"), at: 2)
        let spans = run.tick(40 * Self.second)
        #expect(spans.map(\.context.spanID) == [parent.low, child.low])
        let last = Events.time(9).epochNanoseconds ?? 0
        #expect(spans.map(\.endTime) == [last, last])
        for span in spans {
            #expect(span.status == .error(message: "scope did not end"))
            #expect(span["skein.abandoned"] == .bool(true) && span["skein.abandoned.reason"] == .string("idle"))
        }
        let hasMarks = projection != .genAI
        #expect(spans.first?.events.map(\.name) == (hasMarks ? ["m"] : []))
        switch projection {
        case .full: #expect(spans.first?["nemo_relay.start.metadata.a"] == .int(1))
        case .genAI: #expect(spans.first?["error.type"] == .string("_OTHER"))
        case .openinference: #expect(spans.first?["openinference.metadata.a"] == .int(1))
        }
        #expect(run.deadline == nil && run.projector.openSpanCount == 0)
        #expect(run.books == (received: 3, inSpans: hasMarks ? 3 : 2, notProjected: hasMarks ? 0 : 1, expired: 0))
    }

    @Test("are exported once: an end or a start that comes afterwards changes nothing")
    func late() throws {
        var run = Run(Self.configuration())
        try receive(&run, Events.fields(.scopeStart, parent), at: 0)
        #expect(run.tick(30 * Self.second).count == 1)
        try receive(&run, Events.fields(.scopeStart, parent), at: 31)
        try receive(&run, Events.fields(.scopeEnd, parent), at: 32)
        #expect(run.spans.count == 1 && run.projector.counters.lateEnds == 1)
        #expect(run.projector.counters.duplicateStarts == 1 && run.deadline == nil)
        #expect(run.books == (received: 3, inSpans: 1, notProjected: 2, expired: 0))
    }

    @Test("keep their place: a child that comes afterwards finds its parent")
    func childAfterwards() throws {
        var run = Run(Self.configuration())
        try receive(&run, Events.fields(.scopeStart, parent), at: 0)
        run.tick(30 * Self.second)
        #expect(try run.scope(2, parent: parent, at: 1).context.traceID == parent)
    }

    @Test("keep their place for as long as they are remembered, also over a restart: a run may go on after hours")
    func childLongAfterwards() throws {
        var run = Run(Self.configuration())
        try run.scope(7, at: 0)
        try receive(&run, Events.fields(.scopeStart, parent), at: 0)
        run.tick(30 * Self.second)
        try run.scope(8, at: 7200)
        for var run in [run, try run.restored()] {
            #expect(try run.scope(2, parent: parent, at: 7200).context.traceID == parent)
            #expect(try run.scope(3, parent: Events.uuid(7), at: 7200).context.parentSpanID == nil)
        }
    }

    @Test("that were exported before are not exported again with an end that nobody sent")
    func repeatedStart() throws {
        var run = Run(Self.configuration())
        try run.scope(1)
        try receive(&run, Events.fields(.scopeStart, parent), at: 0)
        #expect(run.tick(30 * Self.second).isEmpty)
        #expect(run.spans.count == 1 && run.books.notProjected == 1)
    }

    @Test("are given up by run: the other run of the same tenant goes on, and so does the same one of another tenant")
    func runs() throws {
        var run = Run(Self.configuration())
        let start = Events.fields(.scopeStart, parent)
        try run.receive(packed: Events.packed(start, root: parent), of: "a", at: 0)
        try run.receive(packed: Events.packed(start, root: parent), of: "b", at: 10 * Self.second)
        let other = Events.fields(.scopeStart, child)
        try run.receive(packed: Events.packed(other, root: child), of: "a", at: 20 * Self.second)
        #expect(run.tick(30 * Self.second).map(\.context.spanID) == [parent.low])
        #expect(run.outputs.last?.spans.first?.run == ScopeKey(tenant: "a", uuid: parent))
        #expect(run.tick(40 * Self.second).map(\.context.spanID) == [parent.low])
        #expect(run.tick(50 * Self.second).map(\.context.spanID) == [child.low])
    }

    @Test("are lost without an idle time, as in the reference")
    func reference() throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent))
        #expect(run.tick(.max).isEmpty && run.deadline == nil)
    }

    @Test("timers of many runs that came and went stay few")
    func manyRuns() throws {
        var run = Run(Self.configuration())
        for number in 0..<5000 { try run.scope(UInt64(number)) }
        #expect(run.projector.runs.count == 0 && run.deadline == nil)
    }
}

@Suite("Events out of order")
struct OrderTests {
    private let parent = Events.uuid(1)
    private let child = Events.uuid(2)

    @Test("an end that comes before its start waits for it", arguments: [false, true])
    func earlyEnd(_ restarts: Bool) throws {
        var ordered = Run()
        let start = Events.fields(.scopeStart, parent, at: 0, data: #"{"q":1}"#)
        let end = Events.fields(.scopeEnd, parent, at: 1, data: #"{"a":2}"#)
        try ordered.receive(start)
        let expected = try ordered.receive(end).map(SpanEncoder.encode)
        var run = Run()
        #expect(try run.receive(end).isEmpty)
        #expect(run.projector.oldestReference == EventReference(sequence: 1, index: 0))
        if restarts { run = try run.restored() }
        #expect(try run.receive(start).map(SpanEncoder.encode) == expected)
        #expect(run.books == (received: 2, inSpans: 2, notProjected: 0, expired: 0))
        #expect(run.projector.oldestReference == nil)
    }

    @Test("an early end that cannot be read again leaves its scope open")
    func unreadableEnd() throws {
        var run = Run()
        run.gone = [1]
        try run.receive(Events.fields(.scopeEnd, parent))
        #expect(try run.receive(Events.fields(.scopeStart, parent)).isEmpty)
        #expect(run.projector.openSpanCount == 1 && run.books.notProjected == 1)
    }

    @Test("early ends are bounded in number and time")
    func bounds() throws {
        var configuration = ProjectionConfiguration(projection: .full)
        configuration.maximumEarlyEnds = 2
        configuration.earlyEndLinger = 10
        var run = Run(configuration)
        for number in 1...3 { try run.receive(Events.fields(.scopeEnd, Events.uuid(UInt64(number)))) }
        #expect(run.projector.earlyEnds.count == 2 && run.books.notProjected == 1)
        #expect(run.deadline == 10)
        run.tick(9)
        #expect(run.projector.earlyEnds.count == 2)
        run.tick(10)
        #expect(run.projector.earlyEnds.count == 0 && run.books.notProjected == 3 && run.deadline == nil)
    }

    @Test("a child that comes before its parent is in the trace of its run's root", arguments: [false, true])
    func childFirst(_ rootEnded: Bool) throws {
        var run = Run()
        let root = Events.uuid(9)
        func receive(_ kind: Event.Kind, _ uuid: EventUUID, _ parent: EventUUID?) throws -> ProjectedSpan? {
            let fields = Events.fields(kind, uuid, parent: parent, propagationRoot: root)
            return try run.receive(packed: Events.packed(fields, root: root)).first
        }
        _ = try receive(.scopeStart, root, nil)
        if rootEnded { _ = try receive(.scopeEnd, root, nil) }
        _ = try receive(.scopeStart, child, parent)
        let span = try #require(try receive(.scopeEnd, child, parent))
        #expect(span.context == SpanContext(traceID: root, spanID: child.low, parentSpanID: parent.low))
        _ = try receive(.scopeStart, parent, root)
        #expect(try receive(.scopeEnd, parent, root)?.context.traceID == root)
    }

    @Test(
        "what comes before the root that is its parent moves to the root's trace, with what is below it",
        arguments: [false, true])
    func rootLast(_ restarts: Bool) throws {
        var run = Run()
        let (root, grandchild, ended, late) = (Events.uuid(9), Events.uuid(3), Events.uuid(4), Events.uuid(5))
        func receive(_ kind: Event.Kind, _ uuid: EventUUID, _ parent: EventUUID) throws -> ProjectedSpan? {
            let fields = Events.fields(kind, uuid, parent: parent, metadata: #"{"session_id":"s"}"#)
            return try run.receive(packed: Events.packed(fields, root: root)).first
        }
        _ = try receive(.scopeStart, child, root)
        _ = try receive(.scopeStart, grandchild, child)
        _ = try receive(.scopeStart, ended, child)
        // What ended before keeps the trace that it was exported in.
        #expect(try receive(.scopeEnd, ended, child)?.context.traceID == child)
        if restarts { run = try run.restored() }
        _ = try receive(.scopeStart, root, Events.uuid(8))
        if restarts { run = try run.restored() }
        _ = try receive(.scopeStart, late, ended)
        for (uuid, parent) in [(late, ended), (grandchild, child), (child, root)] {
            let span = try #require(try receive(.scopeEnd, uuid, parent))
            #expect(span.context == SpanContext(traceID: root, spanID: uuid.low, parentSpanID: parent.low))
            // Only roots of traces have it.
            #expect(span["session.id"] == nil)
        }
        let span = try #require(try receive(.scopeEnd, root, Events.uuid(8)))
        #expect(span.context.traceID == root && span["session.id"] == .string("s"))
        #expect(run.books == (received: 10, inSpans: 10, notProjected: 0, expired: 0))
    }

    @Test("a scope below the implicit root, which has no events, is the root of its trace")
    func implicitRoot() throws {
        var run = Run()
        let fields = Events.fields(.scopeStart, child, parent: parent)
        try run.receive(packed: Events.packed(fields, root: parent))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, child, parent: parent)).first)
        #expect(span.context.traceID == child && span.context.parentSpanID == nil)
    }
}

@Suite("Expired events")
struct ExpiredEventTests {
    private let parent = Events.uuid(1)
    private let child = Events.uuid(2)

    @Test(
        "are in no span, and neither is what belongs to them",
        arguments: [
            (expired: Set([0]), notProjected: 2, lost: 1), (expired: [1], notProjected: 0, lost: 1),
            (expired: [2], notProjected: 0, lost: 3), (expired: [0, 1, 2], notProjected: 1, lost: 2),
            (expired: [], notProjected: 0, lost: 0),
        ] as [(expired: Set<Int>, notProjected: Int, lost: Int)])
    func books(_ sample: (expired: Set<Int>, notProjected: Int, lost: Int)) throws {
        var run = Run()
        let events = [
            Events.fields(.scopeStart, parent), Events.fields(.mark, child, parent: parent),
            Events.fields(.scopeEnd, parent),
        ]
        for (index, event) in events.enumerated() {
            try run.receive(packed: event.packed(), isExpired: sample.expired.contains(index))
        }
        let books = run.books
        #expect(books.received == 3 && books.notProjected == sample.notProjected && books.expired == sample.lost)
        #expect(books.inSpans == 3 - sample.notProjected - sample.lost)
        #expect(run.projector.openSpanCount == 0)
    }

    @Test("still say who is whose child")
    func contexts() throws {
        var run = Run()
        try run.receive(packed: Events.fields(.scopeStart, parent).packed(), isExpired: true)
        #expect(run.projector.oldestReference == nil)
        run = try run.restored()
        #expect(try run.scope(2, parent: parent).context.traceID == parent)
    }
}
