import ATOF
import OTLP
import Testing

@testable import Projections

/// Where Skein's answer is another than the reference's, and that strict compatibility gives the reference's.
@Suite("Compatibility of projections", .serialized)
struct CompatibilityTests {
    private let parent = Events.uuid(1)
    private let child = Events.uuid(2)

    private func run(
        _ compatibility: Compatibility, _ projection: ProjectionConfiguration.Projection = .full
    ) -> Run {
        var configuration = ProjectionConfiguration(projection: projection)
        configuration.compatibility = compatibility
        return Run(configuration)
    }

    @Test("a second start changes nothing, or ends the open span as it is", arguments: Compatibility.allCases)
    func secondStart(_ compatibility: Compatibility) throws {
        var run = run(compatibility)
        try run.receive(Events.fields(.scopeStart, parent, at: 0, name: "first", metadata: #"{"a":1}"#))
        try run.receive(Events.fields(.mark, child, parent: parent, at: 1))
        // The payload has to be read again for it.
        run = try run.restored()
        let early = try run.receive(Events.fields(.scopeStart, parent, at: 2, name: "again"))
        let late = try run.receive(Events.fields(.scopeEnd, parent, at: 3))
        switch compatibility {
        case .skein:
            #expect(early.isEmpty && late.map(\.name) == ["first"])
            #expect(run.books == (received: 4, inSpans: 3, notProjected: 1, expired: 0))
        case .strict:
            #expect(early.map(\.name) == ["first"] && late.map(\.name) == ["again"])
            #expect(early.first?.endTime == Events.time(2).epochNanoseconds)
            #expect(early.first?.events.count == 1 && early.first?.status == .unset)
            #expect(early.first?["nemo_relay.start.metadata.a"] == .int(1) && late.first?.events == [])
            #expect(run.books == (received: 4, inSpans: 4, notProjected: 0, expired: 0))
        }
    }

    @Test("an end before its start waits, or is ignored", arguments: Compatibility.allCases)
    func earlyEnd(_ compatibility: Compatibility) throws {
        var run = run(compatibility)
        try run.receive(Events.fields(.scopeEnd, parent, at: 1))
        let spans = try run.receive(Events.fields(.scopeStart, parent, at: 0))
        #expect(spans.count == (compatibility == .skein ? 1 : 0))
        #expect(run.projector.counters.unmatchedEnds == (compatibility == .skein ? 0 : 1))
    }

    @Test("a child before its parent joins its run's trace, or has its own", arguments: Compatibility.allCases)
    func earlyChild(_ compatibility: Compatibility) throws {
        var run = run(compatibility)
        let root = Events.uuid(9)
        try run.receive(packed: Events.packed(Events.fields(.scopeStart, root), root: root))
        for kind in [Event.Kind.scopeStart, .scopeEnd] {
            try run.receive(packed: Events.packed(Events.fields(kind, child, parent: parent), root: root))
        }
        #expect(run.spans.first?.context.traceID == (compatibility == .skein ? root : child))
    }

    @Test("a child before the root that is its parent moves to its trace, or stays", arguments: Compatibility.allCases)
    func earlyChildOfRoot(_ compatibility: Compatibility) throws {
        var run = run(compatibility)
        for uuid in [child, parent] {
            let fields = Events.fields(.scopeStart, uuid, parent: uuid == child ? parent : nil)
            try run.receive(packed: Events.packed(fields, root: parent))
        }
        let end = Events.fields(.scopeEnd, child, parent: parent)
        let span = try #require(try run.receive(packed: Events.packed(end, root: parent)).first)
        #expect(span.context.traceID == (compatibility == .skein ? parent : child))
    }

    @Test("the exception is told behind 128 marks, or dropped", arguments: Compatibility.allCases)
    func exceptionBehindMarks(_ compatibility: Compatibility) throws {
        var run = run(compatibility)
        try run.receive(Events.fields(.scopeStart, parent))
        for number in 0..<130 {
            try run.receive(Events.fields(.mark, Events.uuid(100 + UInt64(number)), parent: parent))
        }
        let end = Events.fields(
            .scopeEnd, parent, metadata: #"{"otel.status_code":"ERROR","exception.type":"E"}"#)
        let span = try #require(try run.receive(end).first)
        #expect(span.events.count == (compatibility == .skein ? 129 : 128))
        #expect((span.events.last?.name == "exception") == (compatibility == .skein))
        #expect(span.droppedEvents == (compatibility == .skein ? 2 : 3))
    }

    /// An LLM scope in openinference.
    private func call(
        _ compatibility: Compatibility, name: String = "openai", category: String = "llm", profile: String = "",
        output: String = "", endProfile: String = ""
    ) throws -> ProjectedSpan {
        var run = run(compatibility, .openinference)
        try run.receive(Events.fields(.scopeStart, parent, name: name, category: category, profile: profile))
        return try #require(
            try run.receive(
                Events.fields(
                    .scopeEnd, parent, name: name, category: category, data: output, profile: endProfile)
            ).first)
    }

    @Test("a count beyond OTLP's integers is the largest of them, or wraps", arguments: Compatibility.allCases)
    func hugeCount(_ compatibility: Compatibility) throws {
        let span = try call(compatibility, output: #"{"usage":{"prompt_tokens":18446744073709551615}}"#)
        #expect(span["llm.token_count.prompt"] == .int(compatibility == .skein ? Int64.max : -1))
    }

    @Test("a gateway's name does not make OpenAI's input Anthropic's, or does", arguments: Compatibility.allCases)
    func gateway(_ compatibility: Compatibility) throws {
        let response = #"""
            {"annotated_response":{"usage":{"prompt_tokens":10,"cache_read_tokens":5},"api_specific":{"api":"openai_chat"}}}
            """#
        let span = try call(compatibility, name: "claude-proxy", endProfile: response)
        #expect(span["llm.token_count.prompt"] == .int(compatibility == .skein ? 10 : 15))
        let unknown = #"{"annotated_response":{"usage":{"prompt_tokens":10,"cache_read_tokens":5}}}"#
        #expect(try call(compatibility, name: "claude", endProfile: unknown)["llm.token_count.prompt"] == .int(15))
    }

    @Test("parallel calls of one function of Gemini are read, or cost the response", arguments: Compatibility.allCases)
    func parallelCalls(_ compatibility: Compatibility) throws {
        let output = #"""
            {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"f"}}]}}],
            "modelVersion":"m","usageMetadata":{"promptTokenCount":3}}
            """#
        for (projection, key) in [
            (.full, "nemo_relay.model_name"), (.genAI, "gen_ai.response.model"), (.openinference, "llm.model_name"),
        ] as [(ProjectionConfiguration.Projection, String)] {
            var run = run(compatibility, projection)
            try run.receive(Events.fields(.scopeStart, parent, name: "google", category: "llm"))
            let end = Events.fields(.scopeEnd, parent, name: "google", category: "llm", data: output)
            let span = try #require(try run.receive(end).first)
            #expect(span[key] == (compatibility == .skein ? .string("m") : nil), "\(key)")
        }
    }

    @Test("a tool's list of things with names is told, or taken for calls", arguments: Compatibility.allCases)
    func namedThings(_ compatibility: Compatibility) throws {
        let things = #"[{"id":1,"name":"a"},{"id":2,"name":"b"}]"#
        let span = try call(compatibility, category: "tool", output: things)
        #expect(span["output.value"] == .string(compatibility == .skein ? things : "Requested tools: a, b"))
        // What a model answers may be calls.
        #expect(try call(compatibility, output: things)["output.value"] == .string("Requested tools: a, b"))
    }

    @Test("messages tell calls and pictures, or do not", arguments: Compatibility.allCases)
    func messages(_ compatibility: Compatibility) throws {
        let profile = #"""
            {"annotated_request":{"messages":[
            {"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"u"}},
            {"type":"image","image":{"source":{"type":"base64","media_type":"image/png","data":"AA"}}},
            {"type":"audio","audio":{"format":"wav"}}]},
            {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool_call","call_id":"d","name":"g","arguments":{"a":1}}]}}
            """#
        let span = try call(compatibility, profile: profile)
        let prefix = "llm.input_messages."
        let additions = [
            "0.message.contents.0.message_content.type": "text", "0.message.contents.0.message_content.text": "look",
            "0.message.contents.1.message_content.type": "image",
            "0.message.contents.1.message_content.image.image.url": "u",
            "0.message.contents.2.message_content.type": "image",
            "0.message.contents.2.message_content.image.image.url": "data:image/png;base64,AA",
            "0.message.contents.3.message_content.type": "audio",
            "0.message.contents.3.message_content.audio": #"{"format":"wav"}"#,
            "1.message.tool_calls.0.tool_call.id": "c", "1.message.tool_calls.0.tool_call.function.name": "f",
            "1.message.tool_calls.0.tool_call.function.arguments": "{}",
            "2.message.tool_calls.0.tool_call.id": "d", "2.message.tool_calls.0.tool_call.function.name": "g",
            "2.message.tool_calls.0.tool_call.function.arguments": #"{"a":1}"#,
        ]
        for (key, text) in additions {
            #expect(span[prefix + key] == (compatibility == .skein ? .string(text) : nil), "\(key)")
        }
        #expect(span[prefix + "0.message.content"] == .string("look"))
    }

    @Test("recorded cases say as much as the reference, and more", arguments: recordedCases)
    func recorded(_ name: String) throws {
        var (ours, strict) = (run(.skein, .openinference), run(.strict, .openinference))
        for packed in try Events.ofCase(name) {
            try ours.receive(packed: packed)
            try strict.receive(packed: packed)
        }
        for (span, other) in zip(ours.spans, strict.spans) {
            #expect(Set(span.attributes).isSuperset(of: other.attributes))
        }
        #expect(ours.spans.count == strict.spans.count)
    }
}
