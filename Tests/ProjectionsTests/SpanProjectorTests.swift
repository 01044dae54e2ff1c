import ATOF
import Testing

@testable import Projections

@Suite("Span projector")
struct SpanProjectorTests {
    private let parent = Events.uuid(1)
    private let child = Events.uuid(2)

    // MARK: Identity

    @Test("takes the ids of a root from its own UUID")
    func rootIdentity() throws {
        var run = Run()
        let context = try run.scope(1, parent: Events.uuid(99)).context
        #expect(context == SpanContext(traceID: Events.uuid(1), spanID: Events.uuid(1).low, parentSpanID: nil))
        #expect(context.flags == 0x101)
    }

    @Test("puts a child into the trace of its open or ended parent", arguments: [false, true])
    func childIdentity(_ ended: Bool) throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent, at: 0))
        if ended { try run.receive(Events.fields(.scopeEnd, parent, at: 1)) }
        #expect(
            try run.scope(2, parent: parent, at: 2).context
                == SpanContext(traceID: parent, spanID: child.low, parentSpanID: parent.low))
    }

    @Test(
        "finds a remote parent only behind a root that is neither the event nor its parent",
        arguments: [(Events.uuid(7), true), (Events.uuid(1), false), (Events.uuid(2), false)])
    func remoteParent(_ propagated: EventUUID, _ isRemote: Bool) throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, child, parent: parent, propagationRoot: propagated))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, child, parent: parent)).first)
        #expect(span.context.isRemote == isRemote && span.context.flags == (isRemote ? 0x301 : 0x101))
        #expect(span.context.traceID == (isRemote ? propagated : child))
        #expect(span.context.parentSpanID == (isRemote ? parent.low : nil))
        #expect((span["nemo_relay.session.instance_id"] == nil) == isRemote)
    }

    @Test(
        "finds an agent's parent behind a root that is it: outermost agents are their own",
        arguments: Compatibility.allCases)
    func remoteRoot(_ compatibility: Compatibility) throws {
        var configuration = ProjectionConfiguration(projection: .full)
        configuration.compatibility = compatibility
        var run = Run(configuration)
        try run.receive(Events.fields(.scopeStart, child, parent: parent, category: "agent", propagationRoot: parent))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, child, parent: parent)).first)
        #expect(
            span.context
                == SpanContext(traceID: parent, spanID: child.low, parentSpanID: parent.low, isRemote: true))
    }

    @Test("have ids that OTLP allows, whatever the UUIDs are")
    func identifiers() throws {
        var run = Run()
        let (nothing, half) = (EventUUID(high: 0, low: 0), EventUUID(high: 7, low: 0))
        try run.receive(Events.fields(.scopeStart, nothing))
        try run.receive(Events.fields(.scopeStart, half, parent: nothing))
        let trace = EventUUID(high: 0, low: 1)
        let span = try #require(try run.receive(Events.fields(.scopeEnd, half, parent: nothing)).first)
        #expect(span.context == SpanContext(traceID: trace, spanID: 7, parentSpanID: 1))
        run = try run.restored()
        let root = try #require(try run.receive(Events.fields(.scopeEnd, nothing)).first)
        #expect(root.context == SpanContext(traceID: trace, spanID: 1, parentSpanID: nil))
    }

    @Test("takes what is below an implicit root for a root, whatever else is open", arguments: Compatibility.allCases)
    func implicitRoot(_ compatibility: Compatibility) throws {
        var configuration = ProjectionConfiguration(projection: .full)
        configuration.compatibility = compatibility
        var run = Run(configuration)
        try run.receive(Events.fields(.scopeStart, Events.uuid(7), parent: parent, propagationRoot: parent))
        try run.receive(Events.fields(.scopeStart, child, parent: parent, propagationRoot: parent))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, child, parent: parent)).first)
        #expect(span.context == SpanContext(traceID: child, spanID: child.low, parentSpanID: nil))
        #expect(span["nemo_relay.session.instance_id"] == .string(parent.description))
    }

    @Test("forgets an ended parent a minute of event time later", arguments: [(60.0, true), (60.001, false)])
    func expiry(_ seconds: Double, _ found: Bool) throws {
        var run = Run()
        try run.scope(1, at: -1)
        // Any event moves the time, a metric mark too, and time does not come back.
        var metric = Events.fields(.mark, Events.uuid(50), at: seconds)
        metric.dataSchema = .init(name: "nemo.relay.metric_measurements", version: "1")
        #expect(try run.receive(metric).isEmpty)
        let root = Events.uuid(9)
        try run.receive(Events.fields(.scopeStart, child, parent: parent, at: 5, propagationRoot: root))
        let context = try #require(try run.receive(Events.fields(.scopeEnd, child, at: 6)).first).context
        #expect(context.traceID == (found ? parent : child) && !context.isRemote)
    }

    @Test(
        "takes a parent that ended long ago for a remote one while the outermost agent goes on",
        arguments: [(nil, true), (1_000_000_000 as UInt64, true), (100_000_000_000, false)])
    func expiryInRun(lifetime: UInt64?, isRemote: Bool) throws {
        var configuration = ProjectionConfiguration(projection: .full)
        if let lifetime { configuration.completedLifetime = lifetime }
        var run = Run(configuration)
        let agent = Events.uuid(7)
        try run.receive(Events.fields(.scopeStart, agent, category: "agent", propagationRoot: agent))
        try run.receive(Events.fields(.scopeStart, parent, parent: agent, propagationRoot: agent))
        try run.receive(Events.fields(.scopeEnd, parent, parent: agent, at: 1, propagationRoot: agent))
        run = try run.restored()
        try run.receive(Events.fields(.scopeStart, child, parent: parent, at: 82, propagationRoot: agent))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, child, parent: parent, at: 83)).first)
        #expect(span.context.traceID == agent && span.context.parentSpanID == parent.low)
        #expect(span.context.isRemote == isRemote)
        #expect(span["nemo_relay.session.instance_id"] == nil)
    }

    @Test("remembers 4096 ended scopes, and drops the one that ended first")
    func eviction() throws {
        var run = Run()
        for number in 0...4096 { try run.scope(UInt64(number)) }
        #expect(run.projector.completed.count == 4096)
        #expect(try run.scope(10_000, parent: Events.uuid(0)).context.parentSpanID == nil)
        #expect(try run.scope(10_001, parent: Events.uuid(4096)).context.parentSpanID == Events.uuid(4096).low)
    }

    // MARK: Lifecycle

    @Test("a start that is seen again changes nothing")
    func duplicateStart() throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent, at: 0, name: "first"))
        try run.receive(Events.fields(.mark, child, parent: parent, at: 1))
        #expect(try run.receive(Events.fields(.scopeStart, parent, at: 2, name: "again")).isEmpty)
        let span = try #require(try run.receive(Events.fields(.scopeEnd, parent, at: 3)).first)
        #expect(span.name == "first" && span.events.count == 1)
        #expect(run.projector.counters.duplicateStarts == 1)
    }

    @Test("an end that is seen again, or without a start, changes nothing")
    func unmatchedEnd() throws {
        var run = Run()
        try run.scope(1)
        #expect(try run.receive(Events.fields(.scopeEnd, parent)).isEmpty)
        #expect(try run.receive(Events.fields(.scopeEnd, child)).isEmpty)
        // The second one may be early: it waits for its start, not for ever.
        #expect(run.projector.counters.unmatchedEnds == 1)
        #expect(run.tick(60_000_000_000).isEmpty)
        #expect(run.projector.counters.unmatchedEnds == 2 && run.projector.oldestReference == nil)
    }

    @Test("a scope may start again after its end")
    func startAgain() throws {
        var run = Run()
        try run.scope(1)
        try run.scope(1, at: 5)
        #expect(run.spans.map(\.context.spanID) == [parent.low, parent.low])
    }

    @Test("drops events before 1970")
    func outOfRange() throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent, at: -1_000_001))
        #expect(try run.receive(Events.fields(.scopeEnd, parent)).isEmpty)
        #expect(run.projector.counters.timestampsOutOfRange == 1)
        #expect(run.projector.diagnostics.entries["otel.timestamp_out_of_range"]?.count == 1)
    }

    @Test("an end before its start is exported as it is")
    func negativeDuration() throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent, at: 9))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, parent, at: 4)).first)
        #expect(span.startTime - span.endTime == 5_000_000_000)
    }

    @Test("bounds open spans by giving up the oldest run, and knows which event it still needs")
    func bound() throws {
        var run = Run(.init(projection: .full, maximumOpenSpans: 2))
        for number in 1...3 { try run.receive(Events.fields(.scopeStart, Events.uuid(UInt64(number)))) }
        #expect(run.projector.openSpanCount == 2 && run.projector.counters.abandoned == [.maximumOpen: 1])
        #expect(run.spans.map(\.context.spanID) == [Events.uuid(1).low])
        #expect(run.projector.oldestReference == EventReference(sequence: 2, index: 0))
        try run.receive(Events.fields(.scopeEnd, Events.uuid(2)))
        #expect(run.projector.oldestReference == EventReference(sequence: 3, index: 0))
        try run.receive(Events.fields(.scopeEnd, Events.uuid(3)))
        #expect(run.projector.oldestReference == nil)
    }

    @Test("gives up a run that has most of the open spans, not the older one of somebody else")
    func largeRun() throws {
        var run = Run(.init(projection: .full, maximumOpenSpans: 4))
        try run.receive(Events.fields(.scopeStart, Events.uuid(90)))
        for number in 1...4 as ClosedRange<UInt64> {
            let fields = Events.fields(.scopeStart, Events.uuid(number), parent: number == 1 ? nil : Events.uuid(1))
            try run.receive(fields)
        }
        #expect(run.spans.map(\.context.spanID) == (1...4).map { Events.uuid($0).low })
        #expect(run.projector.openSpanCount == 1)
    }

    @Test("a parent that makes room for its child is still its parent")
    func evictedParent() throws {
        var run = Run(.init(projection: .full, maximumOpenSpans: 2))
        try run.receive(Events.fields(.scopeStart, parent))
        for number in [8, 9] as [UInt64] { try run.receive(Events.fields(.scopeStart, Events.uuid(number))) }
        #expect(run.spans.map(\.context.spanID) == [parent.low])
        let span = try run.scope(2, parent: parent)
        #expect(span.context.traceID == parent && span.context.parentSpanID == parent.low)
    }

    // MARK: Errors

    @Test(
        "reads the status of the end",
        arguments: [
            (#"{"otel.status_code":"OK"}"#, ProjectedSpan.Status.ok, nil),
            (#"{"otel.status_code":"ERROR"}"#, .error(message: ""), "_OTHER"),
            (
                #"{"otel.status_code":"ERROR","otel.status_description":"d","error.type":"t"}"#, .error(message: "d"),
                "t"
            ),
            (
                #"{"otel.status_code":"ERROR","error_type":"t","otel.status_description":1}"#, .error(message: ""),
                "_OTHER"
            ),
            (#"{"otel.status_code":"UNSET"}"#, .unset, nil),
            (#"{"otel.status_code":"error","error.type":"t"}"#, .unset, nil),
            (#"{"otel.status_code":2}"#, .unset, nil),
        ] as [(String, ProjectedSpan.Status, String?)])
    func status(_ metadata: String, _ status: ProjectedSpan.Status, _ type: String?) throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent, metadata: #"{"otel.status_code":"ERROR"}"#))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, parent, metadata: metadata)).first)
        #expect(span.status == status)
        #expect(span["error.type"] == type.map { .string($0) })
    }

    @Test("a failed parent inherits each classification from the first child that has it")
    func inheritance() throws {
        var run = Run()
        try run.receive(Events.fields(.scopeStart, parent))
        let ends = [
            #"{"otel.status_code":"ERROR"}"#,
            #"{"otel.status_code":"ERROR","error.type":"timeout","exception.type":"Late"}"#,
        ]
        for (index, metadata) in ends.enumerated() {
            let uuid = Events.uuid(UInt64(10 + index))
            try run.receive(Events.fields(.scopeStart, uuid, parent: parent))
            try run.receive(Events.fields(.scopeEnd, uuid, parent: parent, metadata: metadata))
        }
        let span = try #require(
            try run.receive(Events.fields(.scopeEnd, parent, at: 3, metadata: #"{"otel.status_code":"ERROR"}"#)).first)
        #expect(span["error.type"] == .string("_OTHER"))
        let exception = ProjectedSpan.Event(
            name: "exception", time: span.endTime, attributes: [Attribute("exception.type", .string("Late"))])
        #expect(span.events == [exception])
    }

    // MARK: Session

    @Test("names the session on trace roots only")
    func session() throws {
        var run = Run()
        let metadata = #"{"session_id":"s","user_id":"u","agent_kind":7}"#
        try run.receive(Events.fields(.scopeStart, parent, metadata: metadata))
        try run.receive(Events.fields(.scopeStart, child, parent: parent, metadata: metadata))
        let inner = try #require(try run.receive(Events.fields(.scopeEnd, child, parent: parent)).first)
        let root = try #require(try run.receive(Events.fields(.scopeEnd, parent)).first)
        #expect(inner["session.id"] == nil && inner["nemo_relay.session.instance_id"] == nil)
        #expect(root["session.id"] == .string("s") && root["user.id"] == .string("u"))
        #expect(root["nemo_relay.agent.kind"] == nil)
        #expect(root["nemo_relay.session.instance_id"] == .string(parent.description))
    }
}
