import ATOF
import Projections
import Testing

@Suite("Marks")
struct MarkTests {
    private let parent = Events.uuid(1)
    private let mark = Events.uuid(2)

    @Test("become events of an open parent", arguments: [ProjectionConfiguration.MarkProjection.inherit, .event])
    func spanEvent(_ projection: ProjectionConfiguration.MarkProjection) throws {
        var run = Run(.init(projection: .full, markProjection: projection))
        try run.receive(Events.fields(.scopeStart, parent))
        let fields = Events.fields(
            .mark, mark, parent: parent, at: 1, name: "m", category: "weird", data: #"{"a":1}"#, metadata: "7",
            profile: #"{"subtype":"s"}"#)
        #expect(try run.receive(fields).isEmpty)
        let span = try #require(try run.receive(Events.fields(.scopeEnd, parent, at: 2)).first)
        let attributes = [
            Attribute("nemo_relay.mark.uuid", .string(mark.description)),
            Attribute("nemo_relay.mark.parent_uuid", .string(parent.description)),
            Attribute("nemo_relay.mark.data.a", .int(1)), Attribute("nemo_relay.mark.metadata", .int(7)),
            Attribute("nemo_relay.mark.category", .string("weird")),
            Attribute("nemo_relay.mark.category_profile.subtype", .string("s")),
        ]
        #expect(span.events == [.init(name: "m", time: span.endTime - 1_000_000_000, attributes: attributes)])
    }

    @Test(
        "without an open parent become spans",
        arguments: [.full, .openinference] as [ProjectionConfiguration.Projection], [false, true])
    func orphan(_ projection: ProjectionConfiguration.Projection, _ afterEnd: Bool) throws {
        var run = Run(projection)
        if afterEnd { try run.scope(1) }
        let span = try #require(
            try run.receive(Events.fields(.mark, mark, parent: parent, at: 2, name: "m")).first)
        #expect(
            span.name == "mark:m" && span.kind == .internal && span.startTime == span.endTime && span.status == .unset)
        #expect(span.context.traceID == (afterEnd ? parent : mark))
        #expect(span.context.parentSpanID == (afterEnd ? parent.low : nil))
        #expect(span["nemo_relay.mark.orphan"] == .bool(true))
        #expect(span["openinference.span.kind"] == (projection == .openinference ? .string("CHAIN") : nil))
        // A mark is never anybody's parent.
        #expect(try run.scope(5, parent: mark, at: 3).context.parentSpanID == nil)
    }

    @Test(
        "as tools are spans of their own",
        arguments: [.full, .openinference] as [ProjectionConfiguration.Projection])
    func tool(_ projection: ProjectionConfiguration.Projection) throws {
        var run = Run(.init(projection: projection, markProjection: .tool))
        try run.receive(Events.fields(.scopeStart, parent))
        let fields = Events.fields(.mark, mark, parent: parent, name: "m", data: #""x""#, metadata: #"{"b":1.0}"#)
        let span = try #require(try run.receive(fields).first)
        #expect(span.context.parentSpanID == parent.low)
        #expect(span["nemo_relay.mark.projection"] == .string("tool") && span["nemo_relay.mark.orphan"] == nil)
        switch projection {
        case .full: #expect(span["nemo_relay.scope_type"] == .string("tool"))
        case .genAI: Issue.record("gen_ai has no marks")
        case .openinference:
            #expect(span["openinference.span.kind"] == .string("TOOL") && span["tool.name"] == .string("m"))
            #expect(span["output.value"] == .string(#""x""#) && span["metadata"] == .string(#"{"b":1.0}"#))
        }
    }

    @Test(
        "are in no span of gen_ai, whatever they are to become",
        arguments: ProjectionConfiguration.MarkProjection.allCases)
    func genAI(_ form: ProjectionConfiguration.MarkProjection) throws {
        var run = Run(.init(projection: .genAI, markProjection: form))
        #expect(try run.receive(Events.fields(.mark, mark, parent: parent)).isEmpty)
        try run.receive(Events.fields(.scopeStart, parent))
        #expect(try run.receive(Events.fields(.mark, mark, parent: parent)).isEmpty)
        let span = try #require(try run.receive(Events.fields(.scopeEnd, parent)).first)
        #expect(span.events.isEmpty && run.books == (received: 4, inSpans: 2, notProjected: 2, expired: 0))
    }

    @Test(
        "that are excluded escape the tool form",
        arguments: [("llm.chunk", ""), ("m", #"{"hook_event_name":"llm.chunk"}"#)])
    func excluded(_ name: String, _ metadata: String) throws {
        var run = Run(.init(projection: .full, markProjection: .tool))
        try run.receive(Events.fields(.scopeStart, parent))
        #expect(try run.receive(Events.fields(.mark, mark, parent: parent, name: name, metadata: metadata)).isEmpty)
        let span = try #require(try run.receive(Events.fields(.mark, mark, name: name, metadata: metadata)).first)
        #expect(span["nemo_relay.mark.projection"] == nil && span["nemo_relay.mark.orphan"] == .bool(true))
    }

    @Test("named session.start carry the session")
    func sessionStart() throws {
        var run = Run()
        let metadata = #"{"session_id":"s"}"#
        let span = try #require(
            try run.receive(
                Events.fields(.mark, mark, name: "session.start", metadata: metadata, propagationRoot: parent)
            ).first)
        #expect(span["session.id"] == .string("s"))
        #expect(span["nemo_relay.session.instance_id"] == .string(parent.description))
    }
}
