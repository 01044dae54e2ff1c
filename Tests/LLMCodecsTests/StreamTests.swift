import ATOF
import LLMCodecs
import Testing

@Suite("Streams")
struct StreamTests {
    private struct Outcome {
        var events: [JSONValue] = []
        var body: JSONValue = .null
        var isComplete = false
    }

    private static func run(
        _ surface: Surface, _ pieces: [[UInt8]], _ compatibility: Compatibility = .skein
    ) -> Outcome {
        var outcome = Outcome()
        var decoder = SSEDecoder()
        var aggregator = surface.makeAggregator(compatibility)
        var failed = false
        do throws(CodecError) {
            for piece in pieces { try decoder.receive(piece, into: &outcome.events) }
            try decoder.finish(into: &outcome.events)
        } catch {
            failed = true
        }
        for event in outcome.events { try? aggregator.receive(event) }
        outcome.body = aggregator.body
        outcome.isComplete = !failed && aggregator.isComplete
        return outcome
    }

    @Test("become the recorded body, response, marks and status", arguments: try Fixtures.named("stream"))
    func recorded(_ fixture: Fixtures.Fixture) throws {
        let surface = try #require(fixture.surface)
        guard let text = fixture.input["sse"]?.stringValue else { return try decoded(surface, fixture) }
        let whole = StreamTests.run(surface, [Array(text.utf8)])
        #expect(whole.body == fixture.expected?["data"])
        #expect(whole.isComplete == (fixture.expected?["status"] == "OK"))
        let marks = whole.events.enumerated().map { ChunkMark.data(of: $1, index: $0) }
        #expect(JSONValue.array(marks) == fixture.expected?["chunk_marks"])
        let response = try surface.decodeResponse(whole.body)
        #expect(.object(response.annotation) == fixture.expected?["annotated_response"])
        // Where the bytes are cut does not matter.
        let cut = StreamTests.run(surface, text.utf8.map { [$0] })
        #expect(cut.events == whole.events)
    }

    @Test(
        "become what the reference makes of them, however irregular", arguments: try Fixtures.named("stream-irregular"))
    func irregular(_ fixture: Fixtures.Fixture) throws {
        let surface = try #require(fixture.surface)
        let text = try #require(fixture.input["sse"]?.stringValue)
        let whole = StreamTests.run(surface, [Array(text.utf8)], .strict)
        #expect(whole.body == fixture.expected?["data"])
        #expect(whole.isComplete == (fixture.expected?["status"] == "OK"))
        let marks = whole.events.enumerated().map { ChunkMark.data(of: $1, index: $0) }
        #expect(JSONValue.array(marks) == fixture.expected?["chunk_marks"])
        let response = try? surface.decodeResponse(whole.body, .strict)
        #expect(response.map { .object($0.annotation) } == fixture.expected?["annotated_response"])
    }

    @Test(
        "what holds no counts takes none away, and what is no choice makes none",
        arguments: [
            (
                .anthropicMessages,
                [
                    ["type": "message_start", "message": ["usage": ["input_tokens": 3]]],
                    ["type": "message_delta", "usage": .null], ["type": "message_delta", "usage": "x"],
                    ["type": "message_delta", "usage": ["output_tokens": 4]],
                ], ["usage": ["input_tokens": 3, "output_tokens": 4], "content": []]
            ),
            (
                .openAIChat,
                [
                    ["usage": ["total_tokens": 3], "choices": ["x", .null, ["index": 1]]],
                    ["usage": "x", "choices": [["index": 1, "delta": ["content": "a", "tool_calls": ["x"]]]]],
                ],
                [
                    "usage": ["total_tokens": 3],
                    "choices": [
                        ["finish_reason": .null, "index": 1, "message": ["content": "a", "role": "assistant"]]
                    ],
                ]
            ),
        ] as [(Surface, [JSONValue], JSONValue)])
    func nonsenseInPlace(surface: Surface, events: [JSONValue], body: JSONValue) throws {
        var aggregator = surface.makeAggregator()
        for event in events { try aggregator.receive(event) }
        #expect(aggregator.body == body)
    }

    private func decoded(_ surface: Surface, _ fixture: Fixtures.Fixture) throws {
        var aggregator = surface.makeAggregator()
        do throws(CodecError) {
            for event in fixture.input["events"]?.arrayValue ?? [] { try aggregator.receive(event) }
        } catch {
            #expect(.string(error.kind.rawValue) == fixture.json["error"]?["kind"])
            return
        }
        #expect(aggregator.body == fixture.expected?["data"])
        let response = try surface.decodeResponse(aggregator.body)
        #expect(.object(response.annotation) == fixture.expected?["annotated_response"])
    }

    @Test(
        "frames are read as server-sent events",
        arguments: [
            ("data: 1\n\n", [1], true), ("data:1\r\n\r\ndata:2\r\n\r\n", [1, 2], true), ("data: 1", [1], true),
            (": comment\nevent: x\nid: 5\n\n", [], true), ("data: [DONE]\n\ndata:  [DONE] \n\n", [], true),
            ("data: [1,\ndata: 2]\n\n", [[1, 2]], true), ("data: 1\n\ndata: oops\n\ndata: 2\n\n", [1], false),
            ("\n\n\n", [], true), ("data: \"ü\"\n\n", ["ü"], true), ("data: 1\n\n   ", [1], true),
            ("data\n\n", [], true), ("data: [1e400]\n\n", [], false),
        ] as [(String, [JSONValue], Bool)])
    func frames(text: String, events: [JSONValue], isWhole: Bool) {
        let outcome = StreamTests.run(.openAIChat, [Array(text.utf8)])
        #expect(outcome.events == events)
        #expect(outcome.isComplete == isWhole)
    }

    @Test("bytes that are no UTF-8 are replaced, and a character may be cut")
    func bytes() {
        let bytes = Array("data: \"".utf8) + [0xFF] + Array("\"\n\ndata: \"ü\"\n\n".utf8)
        for cut in bytes.indices {
            let outcome = StreamTests.run(.openAIChat, [Array(bytes[..<cut]), Array(bytes[cut...])])
            #expect(outcome.events == ["\u{FFFD}", "ü"])
        }
    }

    @Test(
        "nothing that an event holds stops the others",
        arguments: Surface.allCases.filter { $0 != .gemini })
    func nonsense(surface: Surface) throws {
        var aggregator = surface.makeAggregator()
        let before = aggregator.body
        for event in [.null, 5, "x", [], [1], [:], ["choices": [5, .null]], ["type": 7], ["usage": 5]] as [JSONValue] {
            try aggregator.receive(event)
        }
        #expect(aggregator.body["content"] == before["content"])
        #expect(ChunkMark.data(of: 5, index: 3) == ["chunk_index": 3, "provider": "unknown"])
    }

    @Test("a block with the largest index costs no more than others")
    func largeIndex() throws {
        var aggregator = AnthropicStream()
        for index in [.unsigned(.max), 0] as [JSONValue] {
            aggregator.receive(["type": "content_block_start", "index": index, "content_block": ["type": "text"]])
        }
        #expect(aggregator.body["content"]?.arrayValue?.count == 2)
    }

    @Test("deltas for blocks that did not start are ignored; an empty delta still replaces")
    func deltas() {
        var aggregator = AnthropicStream()
        let delta: JSONValue = [
            "type": "content_block_delta", "index": 0, "delta": ["type": "input_json_delta", "partial_json": ""],
        ]
        aggregator.receive(delta)
        #expect(aggregator.body == ["content": []])
        aggregator.receive([
            "type": "content_block_start", "index": 0, "content_block": ["type": "tool_use", "input": [:]],
        ])
        aggregator.receive(delta)
        #expect(aggregator.body["content"]?[0]?["input"] == "")
    }

    @Test("a snapshot of the end stays")
    func terminalSnapshot() {
        var aggregator = OpenAIResponsesStream()
        aggregator.receive(["type": "response.completed", "response": ["status": "completed"]])
        aggregator.receive(["type": "response.in_progress", "response": ["status": "in_progress"]])
        #expect(aggregator.body["status"] == "completed")
        aggregator.receive(["type": "response.failed", "response": ["status": "failed"]])
        #expect(aggregator.body["status"] == "completed")
        aggregator.receive(["type": "response.output_item.done", "output_index": 0, "item": ["type": "message"]])
        #expect(aggregator.body["output"] == [["type": "message"]])
        #expect(aggregator.isComplete)
    }

    @Test(
        "Gemini's chunks end the stream when they cannot be put together",
        arguments: [
            ["candidates": [["content": [:]]]], ["candidates": [["index": 0.0]]], ["candidates": [5]],
            ["candidates": [["index": 0, "finishReason": 5]]], ["responseId": 5],
            ["candidates": [["index": 0, "content": ["parts": [5]]]]],
            ["candidates": [["index": 0, "content": ["parts": [["text": 5]]]]]],
            ["candidates": [["index": 0, "content": ["parts": [["text": "a", "inlineData": [:]]]]]]],
            ["candidates": [["index": 0, "content": ["parts": [["functionResponse": [:]]]]]]],
        ] as [JSONValue])
    func refusals(event: JSONValue) {
        var aggregator = GeminiStream()
        #expect(throws: CodecError.self) { try aggregator.receive(event) }
    }

    @Test("texts that follow each other are one, up to a part that is more")
    func texts() throws {
        var gemini = GeminiStream()
        var oci = OCIStream()
        let count = 2000
        func receive(_ part: JSONValue, type: String) throws {
            try gemini.receive(["candidates": [["index": 0, "content": ["parts": [part]]]]])
            var part = part.objectValue ?? JSONObject()
            part["type"] = .string(type)
            oci.receive(["message": ["content": [.object(part)]]])
        }
        for _ in 0..<count { try receive(["text": "ab"], type: "TEXT") }
        try receive(["inlineData": [:]], type: "IMAGE")
        for _ in 0..<count { try receive(["text": "c"], type: "TEXT") }
        let texts = [String(repeating: "ab", count: count), String(repeating: "c", count: count)]
        for _ in 0..<2 {
            let parts = gemini.body["candidates"]?[0]?["content"]?["parts"]?.arrayValue ?? []
            #expect(parts == [["text": .string(texts[0])], ["inlineData": [:]], ["text": .string(texts[1])]])
            let content = oci.body["chatResponse"]?["choices"]?[0]?["message"]?["content"]?.arrayValue ?? []
            #expect(content.map { $0["text"] } == [.string(texts[0]), nil, .string(texts[1])])
        }
        try receive(["text": "d"], type: "TEXT")
        #expect(gemini.body["candidates"]?[0]?["content"]?["parts"]?[2]?["text"] == .string(texts[1] + "d"))
    }

    @Test("OCI's calls are matched by id, and without one by their place")
    func calls() {
        var aggregator = OCIStream()
        for calls in [
            [["id": "a", "name": "f", "arguments": "1"], ["id": "b", "name": "g"]],
            [["id": "b", "arguments": "2"], ["arguments": "3"]], [["id": "c", "name": "h"]],
        ] as [JSONValue] {
            aggregator.receive(["message": ["toolCalls": calls]])
        }
        let calls = aggregator.body["chatResponse"]?["choices"]?[0]?["message"]?["toolCalls"]?.arrayValue ?? []
        #expect(calls.map { $0["arguments"] } == ["1", "23", ""])
        #expect(calls.map { $0["id"] } == ["a", "b", "c"])
    }
}
