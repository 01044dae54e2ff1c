import ATOF
import LLMCodecs
import Testing

@Suite("LLM normaliser")
struct LLMNormalizerTests {
    @Test("recognises request surfaces as recorded")
    func requestSurfaces() throws {
        for fixture in try Fixtures.lines("detect-request") {
            let name = try #require(fixture["input"]?["event_name"]?.stringValue)
            let surface = fixture["input"]?["body"]?.objectValue.flatMap { Surface.ofRequest($0, hint: name) }
            #expect(surface?.rawValue == fixture["expected"]?["surface"]?.stringValue, "\(fixture["id"] ?? .null)")
        }
    }

    @Test("recognises response surfaces as recorded")
    func responseSurfaces() throws {
        for fixture in try Fixtures.lines("detect-response") {
            let surface = fixture["input"]?.objectValue.flatMap { Surface.ofResponse($0) }
            #expect(surface?.rawValue == fixture["expected"]?["surface"]?.stringValue, "\(fixture["id"] ?? .null)")
        }
    }

    @Test(
        "decodes a request only out of its envelope",
        arguments: [
            (["content": ["messages": []], "headers": [:]], true), (["messages": []], false),
            (["content": ["messages": []]], false), (["content": ["messages": []], "headers": []], false),
            (["content": ["messages": 5], "headers": [:]], false), ("text", false),
        ] as [(JSONValue, Bool)])
    func envelope(data: JSONValue, isDecoded: Bool) {
        #expect((LLMNormalizer.request(profile: nil, data: data, name: "openai") != nil) == isDecoded)
    }

    @Test("decodes recorded start data as recorded")
    func startData() throws {
        for fixture in try Fixtures.lines("detect-start-data") {
            let isDecoded = LLMNormalizer.request(profile: nil, data: fixture["input"], name: "") != nil
            #expect(.bool(isDecoded) == fixture["expected"]?["normalises"], "\(fixture["id"] ?? .null)")
        }
    }

    @Test(
        "tells which recognised bodies can be decoded, as recorded; unless the reference is followed these and a few more"
    )
    func normalisable() throws {
        var more: Set<String> = []
        func check(_ fixture: JSONValue, _ isDecoded: (Compatibility) -> Bool) throws {
            let id = try #require(fixture["id"]?.stringValue)
            let recorded = fixture["expected"]?["normalises"] == true
            #expect(isDecoded(.strict) == recorded, "\(id)")
            #expect(!recorded || isDecoded(.skein), "\(id)")
            if !recorded, isDecoded(.skein) { more.insert(id) }
        }
        for fixture in try Fixtures.lines("detect-request") {
            let name = try #require(fixture["input"]?["event_name"]?.stringValue)
            let data: JSONValue = ["headers": [:], "content": fixture["input"]?["body"] ?? .null]
            try check(fixture) { LLMNormalizer.request(profile: nil, data: data, name: name, $0) != nil }
        }
        for fixture in try Fixtures.lines("detect-response") {
            try check(fixture) { LLMNormalizer.response(profile: nil, data: fixture["input"], $0) != nil }
        }
        // A content in parts.
        #expect(more == ["detect-response/detected-but-undecodable"])
    }

    @Test("prefers the producer's annotation, and decodes when it cannot be read")
    func annotation() {
        let data: JSONValue = ["choices": [["message": ["content": "raw"]]]]
        let good: JSONValue = ["annotated_response": ["message": "annotated"]]
        let bad: JSONValue = ["annotated_response": ["message": 5]]
        #expect(LLMNormalizer.response(profile: good, data: data)?.message == .text("annotated"))
        #expect(LLMNormalizer.response(profile: bad, data: data)?.message == .text("raw"))
        let unknownRole: JSONValue = ["annotated_request": ["messages": [["role": "critic", "content": "x"]]]]
        #expect(LLMNormalizer.annotatedRequest(unknownRole) == nil)
    }

    @Test(
        "takes what a member of the provider's hides in an annotation from the body",
        arguments: [
            (
                [
                    "message": ["reasoningContent": "why"], "finish_reason": "complete",
                    "api_specific": ["api": "oci_genai", "api_format": "GENERIC"],
                ],
                [
                    "chatResponse": [
                        "apiFormat": "GENERIC",
                        "choices": [
                            [
                                "message": [
                                    "content": [["type": "TEXT", "text": "x"]], "reasoningContent": "why",
                                ], "finishReason": "stop",
                            ]
                        ],
                    ]
                ], "x", ["reasoningContent": "why"]
            ),
            (
                ["message": "boo", "finish_reason": "complete", "api_specific": ["api": "openai_chat"]],
                ["choices": [["message": ["content": "hello"], "finish_reason": "stop"]], "message": "boo"], "hello",
                "boo"
            ),
            // The producer's own word stands, whatever the body says.
            (
                ["message": "boo"], ["choices": [["message": ["content": "hello"]]], "message": "boo"], "boo", nil
            ),
            (
                ["message": "boo", "api_specific": ["api": "openai_chat"]],
                ["choices": [["message": ["content": "hello"]]], "message": "other"], "boo", nil
            ),
            (
                ["message": ["x": 1], "api_specific": ["api": "openai_chat"]], nil, nil, ["x": 1]
            ),
        ] as [(JSONValue, JSONValue?, String?, JSONValue?)])
    func hiddenMessage(annotation: JSONValue, data: JSONValue?, text: String?, extra: JSONValue?) {
        let profile: JSONValue = ["annotated_response": annotation]
        let response = LLMNormalizer.response(profile: profile, data: data)
        #expect(response?.message == text.map { .text($0) })
        #expect(response?.extra["message"] == extra)
        #expect(LLMNormalizer.annotatedResponse(profile, data: data)?.message == response?.message)
    }

    @Test(
        "keeps what else an annotation says when one of its members cannot be read",
        arguments: [
            nil, ["x": 1],
            [
                "choices": [["message": ["content": ""]]], "usage": ["prompt_tokens": 10],
                "tool_calls": [["id": "c", "name": "g", "args": [:]]],
            ],
        ] as [JSONValue?])
    func unreadableMember(data: JSONValue?) {
        let calls: JSONValue = [["id": "c", "name": "g", "args": [:]]]
        let annotation: JSONValue = [
            "api_specific": ["api": "openai_chat"], "tool_calls": calls, "usage": ["prompt_tokens": 10], "model": "m",
        ]
        let response = LLMNormalizer.annotatedResponse(["annotated_response": annotation], data: data)
        #expect(response?.usage?.promptTokens == 10 && response?.model == "m")
        #expect(response?.toolCalls == nil && response?.extra["tool_calls"] == calls)
    }

    @Test(
        "takes for Gemini's an annotation without a tag that is all that its codec makes of the body",
        arguments: [
            (["message": "top"], nil, ["message": "top"], true), (["message": .null], nil, ["message": .null], true),
            (
                ["tool_calls": [["id": "a", "name": "b", "arguments": [:]]]], nil,
                ["tool_calls": [["id": "a", "name": "b", "arguments": [:]]]], true
            ),
            (
                ["message": "x", "choices": [["message": ["content": "real"]]]], nil,
                ["message": "x", "choices": [["message": ["content": "real"]]]], true
            ),
            (["finish_reason": "zz", "usage": ["x": 1]], nil, ["finish_reason": "zz", "usage": ["x": 1]], true),
            // Somebody's own word, and a codec that says who it is.
            (["message": "top"], "top", ["message": "top", "x": 1], false), (["message": "top"], "top", "top", false),
            (
                ["message": "top", "api_specific": ["api": "custom", "api_name": "a"]], "top", ["message": "top"], false
            ),
        ] as [(JSONValue, String?, JSONValue, Bool)])
    func untaggedExtra(annotation: JSONValue, text: String?, data: JSONValue, isExtra: Bool) throws {
        let response = try #require(
            LLMNormalizer.annotatedResponse(["annotated_response": annotation], data: data))
        #expect(response.message == text.map { .text($0) })
        #expect(response.toolCalls == nil && response.usage == nil && response.finishReason == nil)
        #expect((response.extra == annotation.objectValue) == isExtra)
    }

    @Test("tells a provider's member from the one of the model that it hides in a request")
    func hiddenParameters() throws {
        let body: JSONValue = ["messages": [], "reasoning": ["effort": "high"], "params": "p", "temperature": 1]
        let annotation = try Surface.openAIChat.decodeRequest(body).annotation
        #expect(annotation["params"] == "p")
        let request = LLMNormalizer.request(
            profile: ["annotated_request": .object(annotation)], data: ["headers": [:], "content": body], name: "")
        #expect(request?.parameters?.temperature == 1)
        #expect(request?.members["reasoning"] == nil && request?.extra["params"] == "p")
        // Without the body what can be read stays.
        let alone = try NormalizedRequest(annotation: annotation, body: nil, name: "")
        #expect(alone.parameters == nil && alone.extra["params"] == "p")
    }

    @Test("does not take an extra member for the message")
    func collision() throws {
        let response = try NormalizedResponse(annotation: JSONObject([("message", ["refusal": "no"]), ("model", "m")]))
        #expect(response.message == nil)
        #expect(response.extra["message"] == ["refusal": "no"])
    }

    @Test("finds the system prompt in instructions, else in the first system or developer message")
    func systemPrompt() throws {
        let messages: JSONValue = [
            ["role": "user", "content": "u"], ["role": "developer", "content": [["type": "text", "text": "d"]]],
        ]
        var annotation = JSONObject([("messages", messages)])
        #expect(try NormalizedRequest(annotation: annotation).systemPrompt == "d")
        annotation["instructions"] = "i"
        #expect(try NormalizedRequest(annotation: annotation).systemPrompt == "i")
    }

    private static let chunks: [JSONValue] = [
        ["object": "chat.completion.chunk", "model": "m", "choices": [["index": 0, "delta": ["content": "Hel"]]]],
        ["object": "chat.completion.chunk", "choices": [["index": 0, "delta": ["content": "lo"]]]],
        ["object": "chat.completion.chunk", "choices": [], "usage": ["prompt_tokens": 3, "completion_tokens": 2]],
    ]
    private static let lines = chunks.map { "data: \($0.compactText)" } + ["data: [DONE]"]

    @Test(
        "puts a streamed answer together, in each form that producers publish it in",
        arguments: [
            .array(chunks), .string(lines.joined(separator: "\n\n") + "\n\n"),
            .string("\r\n: ping\r\n\r\n" + lines.joined(separator: "\r\n\r\n")),
            .array(lines.map { .string($0) }),
        ] as [JSONValue])
    func streamed(data: JSONValue) throws {
        let response = try #require(LLMNormalizer.response(profile: nil, data: data))
        #expect(response.message == .text("Hello") && response.model == "m")
        #expect(response.usage?.promptTokens == 3 && response.usage?.completionTokens == 2)
        #expect(LLMNormalizer.response(profile: nil, data: data, .strict) == nil)
    }

    @Test(
        "tells whose stream it is by its events",
        arguments: [
            (
                [
                    ["type": "message_start", "message": ["model": "m", "type": "message", "role": "assistant"]],
                    ["type": "content_block_start", "index": 0, "content_block": ["type": "text", "text": ""]],
                    ["type": "content_block_delta", "index": 0, "delta": ["type": "text_delta", "text": "a"]],
                ], "anthropic_messages"
            ),
            (
                [
                    ["type": "response.created", "response": [:]],
                    [
                        "type": "response.completed",
                        "response": [
                            "model": "m",
                            "output": [["type": "message", "content": [["type": "output_text", "text": "a"]]]],
                        ],
                    ],
                ], "openai_responses"
            ),
            (
                [["candidates": [["index": 0, "content": ["parts": [["text": "a"]]]]], "modelVersion": "m"]],
                "gemini_generate_content"
            ),
            ([["chatResponse": ["apiFormat": "COHERE", "text": "a"], "modelId": "m"]], "oci_genai"),
        ] as [(JSONValue, String)])
    func streamSurface(data: JSONValue, surface: String) throws {
        let response = try #require(LLMNormalizer.response(profile: nil, data: data))
        #expect(response.message?.firstText == "a" && response.model == "m")
        #expect(response.annotation["api_specific"]?["api"] == .string(surface))
    }

    @Test(
        "takes nothing else for a stream",
        arguments: [
            "data: no JSON", "plain words", "data is here", [], ["a", "b"], ["data: {}", 1], [1], [[:]],
            [["choices": [["message": ["content": "a"]]]]], [["type": "text", "text": "a"]], "event: x\n\n", "",
            .string(":smile: it streams like this:\n\n\(lines[0])\n\nthen it ends"),
            .string("event: message\nThe agent would emit\n\(lines[0])"),
            [["type": "text", "text": "a"], ["apiFormat": "x"]], [["type": "response.note", "text": "a"]],
            [["type": "content_block_delta", "index": 0, "delta": ["text": "a"]]],
        ] as [JSONValue])
    func noStream(data: JSONValue) {
        #expect(LLMNormalizer.response(profile: nil, data: data) == nil && LLMNormalizer.answer(data) == data)
    }

    private static func delta(_ delta: JSONValue) -> JSONValue { ["choices": [["index": 0, "delta": delta]]] }
    private static func call(_ index: JSONValue?, _ id: JSONValue?, _ name: JSONValue, _ arguments: JSONValue)
        -> JSONValue
    {
        var call = JSONObject([("function", ["name": name, "arguments": arguments])])
        call["index"] = index
        call["id"] = id
        return delta(["tool_calls": [.object(call)]])
    }
    private static let azure: JSONValue = [
        "choices": [], "id": "", "model": "", "object": "", "prompt_filter_results": [],
    ]

    @Test(
        "reads streams as gateways send them",
        arguments: [
            ([azure, ["choices": [["delta": ["content": "a"]]], "model": "m"]], "a", "m"),
            ([delta(["content": [["type": "text", "text": "a"]]]), delta(["content": "b"])], "ab", nil),
            (
                [
                    ["candidates": [["content": ["parts": [["text": "a"]]]]]],
                    ["candidates": [["content": ["parts": [["text": "b"]]]]]],
                ], "ab", nil
            ),
            ([["object": "text_completion", "choices": [["index": 0, "text": "a"]]]], "a", nil),
            (
                [
                    [
                        "index": 0, "message": ["role": "ASSISTANT", "content": [["type": "TEXT", "text": "a"]]],
                        "pad": "x",
                    ]
                ], "a", nil
            ),
            (
                [
                    ["type": "response.created", "response": ["model": "m", "output": []]],
                    [
                        "type": "response.output_item.added", "output_index": 0,
                        "item": ["type": "message", "content": []],
                    ],
                    ["type": "response.output_text.delta", "output_index": 0, "delta": "a"],
                    ["type": "response.output_text.delta", "output_index": 0, "delta": "b"],
                ], "ab", "m"
            ),
            (
                .array([
                    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"cho",
                    "ices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n",
                ]), "ab", nil
            ),
            (.array([delta(["content": "a"]), delta(["content": "b"])].map { .string($0.compactText) }), "ab", nil),
            (
                .array(
                    [
                        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\"}}",
                        "event: x\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}",
                    ]), "a", nil
            ),
            (.string(":keepalive\n\n \n" + lines.joined(separator: "\n\n") + "\n\ndat"), "Hello", "m"),
            (
                [
                    ["candidates": [["index": 0, "content": ["parts": [["text": "a"]]]]]],
                    ["candidates": [["index": 1, "content": ["parts": [["text": "b"]]]]]],
                    [
                        "candidates": [
                            ["finish_reason": "STOP", "content": ["parts": [["text": "c", "inline_data": .null]]]]
                        ]
                    ],
                ], "ac", nil
            ),
            (
                [
                    ["usageMetadata": ["promptTokenCount": 1]],
                    ["candidates": [["content": ["parts": [["text": "a"]]]]]],
                ], "a", nil
            ),
            (
                [
                    ["candidates": [["content": ["parts": [["text": "a"]]]]]],
                    ["candidates": [["content": ["parts": [["functionResponse": [:]]]]]]],
                ], "a", nil
            ),
            (.string(lines.joined(separator: "\n")), "Hello", "m"),
            (.string("retry: 3\n\n" + lines.joined(separator: "\n\n")), "Hello", "m"),
        ] as [(JSONValue, String, String?)])
    func gatewayStream(data: JSONValue, text: String, model: String?) throws {
        let response = try #require(LLMNormalizer.response(profile: nil, data: data))
        #expect(response.message?.firstText == text && response.model == model)
    }

    @Test("keeps the names of streamed calls, and tells calls apart that share an index")
    func streamedCalls() throws {
        let repeated: JSONValue = [Self.call(0, "c", "w", ""), Self.call(0, "", "", "{\"c\":1}")]
        let one = try #require(LLMNormalizer.response(profile: nil, data: repeated)?.toolCalls)
        #expect(one.map(\.id) == ["c"] && one.map(\.name) == ["w"] && one.map(\.arguments) == [["c": 1]])
        let parallel: JSONValue = [
            Self.call(0, "a", "f", "{\"x\""), Self.call(0, nil, "", ":1}"), Self.call(0, "b", "g", "{\"y\""),
            Self.call(0, nil, "", ":2}"),
        ]
        let renamed: JSONValue = [Self.call(0, "x1", "w", "{\"a\""), Self.call(0, "x2", "", ":1}")]
        #expect(LLMNormalizer.response(profile: nil, data: renamed)?.toolCalls?.map(\.arguments) == [["a": 1]])
        let mixed: JSONValue = [
            Self.call(0, "a", "f", "{\"x\""), Self.call(0, "b", "g", "{\"y\""), Self.call(0, "a", "", ":1}"),
            Self.call(0, "b", "", ":2}"),
        ]
        let named: JSONValue = [Self.call(0, "w", "w", "{\"x\":1}"), Self.call(1, "w", "w", "{\"y\":2}")]
        #expect(LLMNormalizer.response(profile: nil, data: named)?.toolCalls?.map(\.arguments) == [["x": 1], ["y": 2]])
        let back: JSONValue = [
            Self.call(0, "a", "f", "{\"x\""), Self.call(0, "b", "g", "{\"y\":2}"), Self.call(0, "a", "", ":"),
            Self.call(0, nil, "", "1}"),
        ]
        #expect(LLMNormalizer.response(profile: nil, data: back)?.toolCalls?.map(\.arguments) == [["x": 1], ["y": 2]])
        let both = Self.delta([
            "function_call": [:],
            "tool_calls": [["index": 0, "id": "c", "function": ["name": "f", "arguments": "{}"]]],
        ])
        #expect(LLMNormalizer.response(profile: nil, data: [both])?.toolCalls?.map(\.name) == ["f"])
        let plain = Self.delta(["content": "a", "function_call": [:]])
        #expect(LLMNormalizer.response(profile: nil, data: [plain])?.toolCalls == nil)
        let other = LLMNormalizer.response(profile: nil, data: mixed)?.toolCalls
        #expect(other?.map(\.arguments) == [["x": 1], ["y": 2]])
        let two = try #require(LLMNormalizer.response(profile: nil, data: parallel)?.toolCalls)
        #expect(two.map(\.id) == ["a", "b"] && two.map(\.name) == ["f", "g"])
        #expect(two.map(\.arguments) == [["x": 1], ["y": 2]])
    }

    @Test(
        "has in the body of a stream what no aggregator keeps",
        arguments: [
            ([delta(["reasoning_content": "t"]), delta(["content": "a"])], "reasoning_content", "t"),
            (
                [delta(["content": [["type": "thinking", "thinking": [["text": "t"]]]]]), delta(["content": "a"])],
                "reasoning_content", "t"
            ),
            (
                [
                    ["type": "message_start", "message": ["type": "message"]],
                    [
                        "type": "content_block_start", "index": 0,
                        "content_block": ["type": "thinking", "thinking": ""],
                    ],
                    ["type": "content_block_delta", "index": 0, "delta": ["type": "thinking_delta", "thinking": "t"]],
                ], "reasoning_content", "t"
            ),
            ([["candidates": [["content": ["parts": [["text": "t", "thought": true]]]]]]], "reasoning_content", "t"),
            ([delta(["content": "a"]), ["error": ["message": "boom"]]], "error", ["message": "boom"]),
            (
                .string("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"x\"}}\n\n"), "error",
                ["type": "x"]
            ),
            ([["promptFeedback": ["blockReason": "SAFETY"]]], "promptFeedback", ["blockReason": "SAFETY"]),
        ] as [(JSONValue, String, JSONValue)])
    func leftovers(data: JSONValue, member: String, value: JSONValue) {
        #expect(LLMNormalizer.answer(data)[member] == value)
    }

    @Test(
        "an error fails a call unless an answer stands beside it or a stream had ended",
        arguments: [
            (["error": ["message": "no", "type": "t"]], "t"),
            (["content": "a", "error": ["code": 0, "message": ""]], nil),
            (["choices": [["message": ["content": ""], "finish_reason": "error", "error": ["code": 502]]]], "502"),
            (["output": [], "status": "failed", "error": ["code": "c", "message": "no"]], "c"),
            (["choices": [["message": ["content": "a"]]], "error": ["message": "late", "type": "t"]], nil),
            ([delta(["content": "a"]), ["error": ["message": "no", "type": "t"]]], "t"),
            (
                [
                    ["error": ["message": "busy", "type": "t"]], delta(["content": "a"]),
                    ["choices": [["index": 0, "delta": [:], "finish_reason": "stop"]]],
                ], nil
            ),
            (
                [
                    ["type": "response.created", "response": ["status": "in_progress", "output": []]],
                    ["type": "response.output_text.delta", "output_index": 0, "delta": "Hel"],
                    ["type": "error", "code": "server_error", "message": "boom"],
                ], "server_error"
            ),
            (
                [
                    ["candidates": [["content": ["parts": [["functionCall": ["name": "f", "args": [:]]]]]]]],
                    ["error": ["code": 503]],
                ], "503"
            ),
            (
                [
                    ["choices": [["index": 0, "delta": ["content": "a"], "finish_reason": ""]]],
                    ["choices": [], "error": ["code": 0, "message": ""]],
                    ["choices": [], "error": ["code": 500, "message": ["too long"]]],
                ], "500"
            ),
            (
                [delta(["content": "a"]), ["error": ["message": "", "type": "validation"], "choices": []]], "validation"
            ),
            (["output": [["type": "custom_tool_call"]], "error": ["message": "late", "type": "t"]], nil),
            (["choices": [["message": ["refusal": "no"]]], "error": ["message": "late", "type": "t"]], nil),
            (["role": "assistant", "content": "Sunny.", "error": ["message": "late", "type": "t"]], nil),
        ] as [(JSONValue, String?)])
    func failure(data: JSONValue, type: String?) {
        let answer = LLMNormalizer.answer(data)
        let error = LLMNormalizer.error(profile: nil, answer: answer, isStreamed: data.objectValue == nil)
        #expect(error?.type == type)
    }

    @Test("of a stream that breaks off it is what had come")
    func brokenStream() throws {
        let call: JSONValue = ["type": "function_call", "call_id": "c", "name": "rm", "arguments": ""]
        let cut: JSONValue = [
            ["type": "response.created", "response": ["output": []]],
            ["type": "response.output_item.added", "output_index": 0, "item": call],
            ["type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"path\":\"/tmp\"}"],
        ]
        #expect(LLMNormalizer.response(profile: nil, data: cut)?.toolCalls?.first?.arguments == ["path": "/tmp"])
        let told: JSONValue = [Self.delta(["content": "a"]), ["error": "Input validation error", "error_type": "v"]]
        let body = LLMNormalizer.answer(told)
        #expect(
            LLMNormalizer.error(profile: nil, answer: body, isStreamed: true)?.description == "Input validation error")
        let refused: JSONValue = [
            ["type": "response.created", "response": ["status": "in_progress", "output": []]],
            ["type": "response.refusal.delta", "output_index": 0, "delta": "I cannot"],
        ]
        #expect(LLMNormalizer.answer(refused)["output"]?[0]?["content"]?[0]?["refusal"] == "I cannot")
        #expect(LLMNormalizer.response(profile: nil, data: refused)?.finishReason == nil)
        let counts: JSONValue = [
            ["type": "message_start", "message": ["type": "message", "usage": ["input_tokens": 100]]],
            ["type": "message_delta", "usage": ["input_tokens": .null, "output_tokens": 60]],
        ]
        #expect(LLMNormalizer.answer(counts)["usage"] == ["input_tokens": 100, "output_tokens": 60])
        let parts: JSONValue = [["text": "b", "inlineData": [:]]]
        let odd: JSONValue = [
            ["candidates": [["content": ["parts": [["text": "a"]]]]]], ["candidates": [["content": ["parts": parts]]]],
            [
                "candidates": [["content": ["parts": [["text": "c"]]], "finishReason": "STOP"]],
                "usageMetadata": ["promptTokenCount": 5],
            ],
        ]
        let rest = LLMNormalizer.response(profile: nil, data: odd)
        #expect(rest?.message == .text("ac") && rest?.usage?.promptTokens == 5 && rest?.finishReason == .complete)
        let text = Self.lines[0] + "\n\ndata: {\"choi"
        #expect(LLMNormalizer.response(profile: nil, data: .string(text))?.message == .text("Hel"))
    }

    @Test("of many counts the last of each name holds")
    func manyCounts() throws {
        var events: [JSONValue] = [["type": "message_start", "message": ["type": "message", "content": []]]]
        let counts = JSONObject((0..<2000).map { ("key-\($0)", .int($0)) })
        events.append(["type": "message_delta", "usage": .object(counts)])
        for number in 0..<20_000 {
            events.append(["type": "message_delta", "usage": ["output_tokens": .int(Int64(number))]])
        }
        #expect(LLMNormalizer.answer(.array(events))["usage"]?["output_tokens"] == 19_999)
    }

    @Test(
        "reads what SDKs and gateways write in a form of their own, unless the reference is followed",
        arguments: [
            ["choices": [["text": "a", "index": 0]]],
            [
                "choices": [
                    ["message": ["content": [["type": "thinking", "thinking": []], ["type": "text", "text": "a"]]]]
                ]
            ],
            [
                "choices": [
                    [
                        "message": [
                            "content": "a", "tool_calls": [["id": "c", "function": ["name": "f", "arguments": [:]]]],
                        ]
                    ]
                ]
            ],
            [
                "candidates": [
                    [
                        "content": ["parts": [["text": "a", "function_call": .null]]], "finish_reason": "STOP",
                        "index": .null,
                    ]
                ], "usage_metadata": ["prompt_token_count": 3], "model_version": "m",
            ],
            [
                "type": "message", "content": [["type": "text", "text": "a"]],
                "usage": ["input_tokens": 3, "cost": 0.5],
            ],
        ] as [JSONValue])
    func forgiven(data: JSONValue) throws {
        let response = try #require(LLMNormalizer.response(profile: nil, data: data))
        #expect(response.message?.firstText == "a")
        if data["usage_metadata"] != nil { #expect(response.usage?.promptTokens == 3 && response.model == "m") }
        if data["usage"] != nil { #expect(response.usage?.cost?.total == 0.5 && response.usage?.promptTokens == 3) }
        let strict = LLMNormalizer.response(profile: nil, data: data, .strict)
        #expect(data["candidates"] == nil ? strict?.message == nil : strict?.usage == nil)
    }

    @Test("reads requests as Google's SDKs write them, and Anthropic's results without content")
    func forgivenRequests() throws {
        let gemini: JSONValue = [
            "contents": [
                ["role": "user", "parts": [["text": "q", "inline_data": .null]]],
                ["role": "model", "parts": [["function_call": ["name": "f", "args": ["a_b": .null]]]]],
                ["role": "tool", "parts": [["function_response": ["name": "f", "response": ["c_d": 1]]]]],
            ], "system_instruction": .null,
        ]
        func request(_ body: JSONValue) -> NormalizedRequest? {
            LLMNormalizer.request(profile: nil, data: ["headers": [:], "content": body], name: "x")
        }
        let decoded = try #require(request(gemini))
        #expect(decoded.messages.map(\.role) == [.user, .assistant, .tool])
        #expect(decoded.messages[1].toolCalls?.first?.arguments == .string("{\"a_b\":null}"))
        let limited: JSONValue = [
            "contents": [["role": "user", "parts": [["text": "q"]]]], "generationConfig": ["max_output_tokens": 9],
            "tools": [["function_declarations": [["name": "f"]]]],
        ]
        #expect(request(limited)?.parameters?.maxTokens == 9 && request(limited)?.tools?.count == 1)
        let result: JSONValue = ["type": "tool_result", "tool_use_id": "t"]
        #expect(request(["system": "s", "messages": [["role": "user", "content": [result]]]])?.messages.count == 1)
    }
}
