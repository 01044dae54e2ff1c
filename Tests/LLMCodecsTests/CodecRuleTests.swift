import ATOF
import LLMCodecs
import Testing

/// Rules of single surfaces that the recorded fixtures do not show (`codecs-and-pricing.md` 2).
@Suite("Rules of provider surfaces")
struct CodecRuleTests {
    // MARK: Responses

    @Test(
        "names why the model stopped, case by case",
        arguments: [
            (.openAIChat, ["choices": [["finish_reason": "function_call"]]], "tool_use"),
            (.openAIChat, ["choices": [["finish_reason": "STOP"]]], ["unknown": "STOP"]),
            (.openAIResponses, ["status": "incomplete"], ["unknown": "incomplete"]),
            (
                .openAIResponses, ["status": "incomplete", "incomplete_details": ["reason": "max_output_tokens"]],
                "length"
            ),
            (.openAIResponses, ["status": "cancelled"], ["unknown": "cancelled"]),
            (.anthropicMessages, ["stop_reason": "stop_sequence"], ["unknown": "stop_sequence"]),
            (.anthropicMessages, ["stop_reason": ""], ["unknown": ""]),
            (.ociGenAI, ["apiFormat": "COHERE", "finishReason": "ERROR"], ["unknown": "ERROR"]),
            (.ociGenAI, ["apiFormat": "COHERE", "finishReason": "max_tokens"], "length"),
            (.ociGenAI, ["apiFormat": "COHERE", "finishReason": 5], nil),
            (.gemini, ["candidates": [["finishReason": "OTHER"]]], ["unknown": "OTHER"]),
            (.gemini, ["candidates": [["finishReason": "ESCALATION"]]], "content_filter"),
            (.gemini, ["promptFeedback": ["blockReason": "BLOCK_REASON_UNSPECIFIED"]], nil),
            (.gemini, ["promptFeedback": ["blockReason": ""]], nil),
            (
                .gemini,
                [
                    "candidates": [
                        [
                            "content": ["parts": [["functionCall": ["name": "f"]]]],
                            "finishReason": "FINISH_REASON_UNSPECIFIED",
                        ]
                    ]
                ], "tool_use"
            ),
        ] as [(Surface, JSONValue, JSONValue?)])
    func finishReason(surface: Surface, body: JSONValue, reason: JSONValue?) throws {
        #expect(try surface.decodeResponse(body).members["finish_reason"] == reason)
    }

    @Test(
        "counts tokens as each provider means them",
        arguments: [
            (
                .openAIChat, ["usage": ["prompt_tokens": 3, "prompt_tokens_details": ["cached_tokens": 5]]],
                ["prompt_tokens": 3, "cache_read_tokens": 5]
            ),
            (
                .anthropicMessages, ["usage": ["input_tokens": 1, "total_tokens": 9]],
                ["prompt_tokens": 1, "uncached_input_tokens": 1]
            ),
            (
                .anthropicMessages,
                ["usage": ["input_tokens": .unsigned(.max), "output_tokens": 1]],
                [
                    "prompt_tokens": .unsigned(.max), "completion_tokens": 1, "total_tokens": .unsigned(.max),
                    "uncached_input_tokens": .unsigned(.max),
                ]
            ),
            (
                .gemini, ["usageMetadata": ["thoughtsTokenCount": 2]],
                ["total_tokens": 2]
            ),
            (.gemini, ["usageMetadata": [:]], [:]),
            (
                .ociGenAI, ["usage": ["promptTokens": 4, "promptTokensDetails": ["cachedTokens": 4]]],
                ["prompt_tokens": 4, "cache_read_tokens": 4, "uncached_input_tokens": 0]
            ),
        ] as [(Surface, JSONValue, JSONValue)])
    func usage(surface: Surface, body: JSONValue, usage: JSONValue) throws {
        #expect(try surface.decodeResponse(body).members["usage"] == usage)
    }

    @Test("takes an empty text block for the text of a Responses body")
    func emptyTextBlock() throws {
        let body: JSONValue = [
            "output": [["type": "message", "content": [["type": "output_text", "text": ""]]]], "output_text": "other",
        ]
        #expect(try Surface.openAIResponses.decodeResponse(body).message == .text(""))
    }

    @Test(
        "keeps what an OCI envelope and its response have besides; of what both have the response's counts")
    func manyMembers() throws {
        func members(_ suffix: String, _ value: JSONValue, _ other: (String, JSONValue)) -> JSONValue {
            .object(JSONObject((0..<1000).map { ("\($0)\(suffix)", value) } + [("same", value), other]))
        }
        let chat = members("b", 2, ("apiFormat", "GENERIC"))
        let extra = try OCI.response(members("a", 1, ("chatResponse", chat))).extra
        #expect(extra.count == 2001 && extra["0a"] == 1 && extra["0b"] == 2 && extra["same"] == 2)
    }

    @Test("keeps apart an OCI message and what is left of it")
    func collision() throws {
        let body: JSONValue = [
            "chatResponse": [
                "apiFormat": "GENERIC",
                "choices": [["message": ["content": "x", "reasoningContent": "why"], "logprobs": 1]],
            ]
        ]
        let response = try Surface.ociGenAI.decodeResponse(body)
        #expect(response.message == .text("x"))
        #expect(response.annotation["message"] == ["reasoningContent": "why"])
        #expect(response.annotation["choice"] == ["logprobs": 1])
    }

    @Test(
        "tells wrong content from wrong types of members",
        arguments: [
            (.gemini, ["candidates": "x"], .internal), (.gemini, ["candidates": [5]], .internal),
            (.gemini, ["candidates": [["finishReason": 5]]], .internal), (.gemini, ["modelVersion": 5], .internal),
            (.gemini, ["promptFeedback": .null], .invalidArgument),
            (.gemini, ["candidates": [["content": ["parts": "x"]]]], .internal),
            (.gemini, ["candidates": [["index": 0], ["content": 5]]], .internal),
            (.gemini, ["candidates": [["index": 0], ["content": ["parts": 5]]]], .internal),
            (.gemini, ["candidates": [["index": 0], ["finishReason": 5]]], .internal),
            (.gemini, ["candidates": [["content": ["parts": [5]]]]], .invalidArgument),
            (.gemini, ["candidates": [["content": ["parts": [["text": 5, "thought": false]]]]]], .invalidArgument),
            (
                .gemini, ["candidates": [["content": ["parts": [["functionResponse": [:], "thought": true]]]]]],
                .invalidArgument
            ),
            (.gemini, ["candidates": [["content": ["parts": [["text": .null]]]]]], .invalidArgument),
            (.gemini, ["candidates": [["content": ["parts": [5]]]], "usageMetadata": 5], .internal),
            (
                .gemini,
                ["candidates": [["content": ["parts": [5]]]], "usageMetadata": ["promptTokenCount": "x"]], .internal
            ),
            (.gemini, ["promptFeedback": .null, "usageMetadata": ["promptTokenCount": "x"]], .internal),
            (
                .gemini,
                ["candidates": [["content": ["parts": [["functionCall": 5, "thought": true, "text": "x"]]]]]],
                .invalidArgument
            ),
            (
                .gemini,
                ["candidates": [["content": ["parts": [["functionCall": ["name": "f"], "text": "x"]]]]]],
                .invalidArgument
            ),
            (.ociGenAI, ["choices": [["message": ["content": 5]]]], .invalidArgument),
            (.anthropicMessages, ["content": "x"], .internal), (.openAIResponses, ["output": [:]], .internal),
        ] as [(Surface, JSONValue, CodecError.Kind)])
    func rejectedResponses(surface: Surface, body: JSONValue, kind: CodecError.Kind) {
        #expect {
            try surface.decodeResponse(body)
        } throws: { ($0 as? CodecError)?.kind == kind }
    }

    @Test("reads parallel calls of one function of Gemini, which have no ids, and their results")
    func parallelCalls() throws {
        let call: JSONValue = ["functionCall": ["name": "f"]]
        let response = try Surface.gemini.decodeResponse(["candidates": [["content": ["parts": [call, call]]]]])
        #expect(response.toolCalls?.map(\.id) == ["f", "f"])
        let result: JSONValue = ["functionResponse": ["name": "f", "response": [:]]]
        let request = try Surface.gemini.decodeRequest(["contents": [["parts": [result, result]]]])
        #expect(request.messages.count == 2)
    }

    @Test(
        "refuses strictly, as the reference does, what has one id twice in a content of Gemini",
        arguments: [
            ([["functionCall": ["name": "f"]], ["functionCall": ["name": "f"]]], true),
            ([["functionCall": ["name": "f", "id": "g"]], ["functionCall": ["name": "g"]]], true),
            ([["functionCall": ["name": "f"], "thought": true], ["functionCall": ["name": "f"]]], true),
            ([["functionCall": ["name": "f", "id": "a"]], ["functionCall": ["name": "f", "id": "b"]]], false),
        ] as [(JSONValue, Bool)])
    func repeatedIDs(parts: JSONValue, isRefused: Bool) throws {
        let calls: JSONValue = ["contents": [["role": "model", "parts": parts]]]
        let response: JSONValue = ["candidates": [["content": ["parts": parts]]]]
        let results: [JSONValue] = try #require(parts.arrayValue).map { part in
            var result = part["functionCall"]?.objectValue ?? JSONObject()
            result["response"] = [:]
            return ["functionResponse": .object(result)]
        }
        let answers: JSONValue = ["contents": [["parts": .array(results)]]]
        for body in [calls, answers] {
            #expect(throws: Never.self) { try Surface.gemini.decodeRequest(body) }
            let strict = Result { try Surface.gemini.decodeRequest(body, .strict) }
            #expect((try? strict.get()) == nil ? isRefused : !isRefused)
            let data: JSONValue = ["headers": [:], "content": body]
            #expect((LLMNormalizer.request(profile: nil, data: data, name: "", .strict) == nil) == isRefused)
        }
        #expect(throws: Never.self) { try Surface.gemini.decodeResponse(response) }
        let strict = Result { try Surface.gemini.decodeResponse(response, .strict) }
        switch strict {
        case .success: #expect(!isRefused)
        case .failure(let error): #expect((error as? CodecError)?.kind == .invalidArgument && isRefused)
        }
        #expect((LLMNormalizer.response(profile: nil, data: response, .strict) == nil) == isRefused)
        // Contents of their own may share an id.
        #expect(throws: Never.self) {
            try Surface.gemini.decodeRequest(
                ["contents": .array(results.map { ["parts": [$0]] })], .strict)
        }
    }

    @Test(
        "reads of a thought of Gemini its call alone",
        arguments: [
            ["functionCall": ["name": "f"], "thought": true, "text": "x"],
            ["functionCall": ["name": "f"], "thought": true, "text": 5],
            ["functionCall": ["name": "f"], "thought": true, "inlineData": [:]],
        ] as [JSONValue])
    func thoughtCalls(part: JSONValue) throws {
        let response = try Surface.gemini.decodeResponse([
            "candidates": [["content": ["parts": [part]]]], "usageMetadata": ["promptTokenCount": 1],
        ])
        #expect(response.toolCalls?.map(\.name) == ["f"] && response.message == nil)
        #expect(response.usage?.promptTokens == 1)
        #expect(throws: CodecError.self) {
            try Surface.gemini.decodeRequest(["contents": [["role": "model", "parts": [part]]]])
        }
    }

    // MARK: Requests

    @Test(
        "rejects what the surface does not allow",
        arguments: [
            (.openAIResponses, ["input": .null]), (.openAIResponses, ["input": "x", "tools": .null]),
            (.openAIResponses, ["input": [["type": "function_call_output", "call_id": "c"]]]),
            (.openAIResponses, ["input": [["role": "user", "content": .null]]]),
            (.openAIResponses, ["input": [["role": "user", "content": [["type": "input_text"]]]]]),
            (.anthropicMessages, ["messages": [["role": "user", "content": .null]]]),
            (.anthropicMessages, ["messages": .null]),
            (
                .anthropicMessages,
                ["messages": [["role": "user", "content": [["type": "tool_result", "tool_use_id": "t"]]]]]
            ),
            (.anthropicMessages, ["messages": [], "tool_choice": ["type": "auto", "disable_parallel_tool_use": 1]]),
            (.gemini, ["contents": [["role": .null, "parts": []]]]),
            (.gemini, ["contents": [], "generationConfig": ["temperature": .null]]),
            (.gemini, ["contents": [], "generationConfig": ["stopSequences": .null]]),
            (.gemini, ["contents": [], "systemInstruction": ["parts": [["text": 5]]]]),
            (.gemini, ["contents": [], "systemInstruction": ["parts": [["inlineData": [:]]]]]),
            (.openAIChat, ["messages": [["role": "assistant", "tool_calls": [["type": "custom"]], "content": 1]]]),
            (
                .openAIChat,
                [
                    "messages": [
                        ["role": "assistant", "tool_calls": [["type": "custom"]], "content": [["type": "text"]]]
                    ]
                ]
            ),
            (.openAIResponses, ["input": [["role": "critic", "content": 1]]]),
            (.openAIResponses, ["input": [["role": "tool", "content": [5]]]]),
            (
                .gemini,
                ["contents": [["parts": [["functionResponse": ["name": "f", "response": [:]]], ["text": "x"]]]]]
            ),
            (.gemini, ["contents": [["parts": [["functionResponse": ["name": "f"]]]]]]),
            (.gemini, ["contents": [], "tools": [["functionDeclarations": [["name": ""]]]]]),
            (.ociGenAI, ["apiFormat": "COHERE", "chatHistory": .null]),
        ] as [(Surface, JSONValue)])
    func rejectedRequests(surface: Surface, body: JSONValue) {
        #expect {
            try surface.decodeRequest(body)
        } throws: { ($0 as? CodecError)?.kind == .invalidArgument }
    }

    @Test(
        "reads what other surfaces would refuse",
        arguments: [
            (
                .ociGenAI,
                [
                    "apiFormat": "COHERE",
                    "chatHistory": [
                        ["message": "x"], ["role": 5, "message": "y"], [:], ["role": "TOOL", "message": "z"],
                    ],
                ],
                [
                    ["role": "user", "content": "x"], ["role": "user", "content": "y"],
                    ["role": "provider_native", "provider": "oci_genai", "kind": "USER", "value": [:]],
                    [
                        "role": "provider_native", "provider": "oci_genai", "kind": "TOOL",
                        "value": ["role": "TOOL", "message": "z"],
                    ],
                ]
            ),
            (
                .gemini,
                [
                    "contents": [],
                    "systemInstruction": [
                        "parts": [["text": "a", "strict": true], ["text": "b", "thought": true], ["text": "c"]]
                    ],
                ], [["role": "system", "content": "a\nb\nc"]]
            ),
            (
                .gemini, ["contents": [["parts": [["text": "x", "type": "TEXT"]]]]],
                [["role": "user", "content": [["text": "x", "type": "TEXT"]]]]
            ),
            (
                .openAIChat,
                ["messages": [["role": "assistant", "tool_calls": [["type": "custom"]], "content": .null]]],
                [
                    [
                        "role": "provider_native", "provider": "openai_chat", "kind": "assistant",
                        "value": ["role": "assistant", "tool_calls": [["type": "custom"]], "content": .null],
                    ]
                ]
            ),
        ] as [(Surface, JSONValue, JSONValue)])
    func messages(surface: Surface, body: JSONValue, messages: JSONValue) throws {
        #expect(try surface.decodeRequest(body).annotation["messages"] == messages)
    }

    @Test("says what an OCI envelope says of the serving mode, be it null")
    func servingMode() throws {
        let request = try Surface.ociGenAI.decodeRequest(["chatRequest": ["messages": []], "servingMode": .null])
        #expect(request.others["api_specific"]?["serving_mode"] == .null)
    }

    @Test("parses the arguments of an OCI call, but not its parameters")
    func parametersOfCalls() throws {
        let calls: JSONValue = [
            ["name": "a", "parameters": "{\"x\":1}"], ["name": "b", "arguments": "{\"x\":1}"],
            ["name": "c", "arguments": .null, "parameters": 1], ["name": "d", "parameters": ["x": 1]],
        ]
        let response = try Surface.ociGenAI.decodeResponse(["apiFormat": "COHERE", "toolCalls": calls])
        #expect(response.toolCalls?.map(\.arguments) == ["{\"x\":1}", ["x": 1], .null, ["x": 1]])
    }

    @Test(
        "keeps members of a Gemini candidate, nulls too, and no thought whatever it is",
        arguments: [
            (
                ["groundingMetadata": .null, "safetyRatings": .null],
                ["grounding_metadata": .null, "safety_ratings": .null]
            ),
            (["content": ["parts": [["text": 5, "thought": true]]], "index": 0], ["index": 0]),
            (["content": ["parts": [["text": "a", "inlineData": [:], "thought": true]]], "index": 0], ["index": 0]),
        ] as [(JSONValue, JSONValue)])
    func candidates(candidate: JSONValue, specific: JSONValue) throws {
        let response = try Surface.gemini.decodeResponse(["candidates": [candidate]])
        var specific = try #require(specific.objectValue)
        specific["api"] = "gemini_generate_content"
        #expect(response.annotation == JSONObject([("api_specific", .object(specific))]))
    }

    @Test("shows thoughts in no message, and keeps the text of parts with more than text")
    func geminiThoughts() throws {
        let parts: JSONValue = [["text": "t", "thought": true], ["text": "x", "thought": false]]
        let request = try Surface.gemini.decodeRequest(["contents": [["role": "model", "parts": parts]]])
        #expect(
            request.annotation["messages"]
                == [["role": "assistant", "content": [["type": "text", "text": "x", "thought": false]]]])
    }

    @Test("writes JSON inside of strings compactly, keys in order")
    func embeddedJSON() throws {
        let call: JSONValue = ["name": "f", "arguments": ["b": 1.0, "a": ["é/", .null], "A": "\u{8}\u{1F}"]]
        let request = try Surface.ociGenAI.decodeRequest([
            "apiFormat": "GENERIC", "messages": [["role": "ASSISTANT", "toolCalls": [call]]],
        ])
        let expected = "{\"A\":\"\\b\\u001f\",\"a\":[\"é/\",null],\"b\":1.0}"
        #expect(request.messages.first?.toolCalls?.first?.arguments == .string(expected))
    }

    @Test("decodes and writes back values of any depth that JSON itself allows")
    func depth() throws {
        let levels = 200
        let text = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        let deep = try JSONParser.parse(text)
        let bodies: [(Surface, JSONValue)] = [
            (.openAIChat, ["messages": [], "x": deep]), (.openAIResponses, ["input": [["type": "y", "x": deep]]]),
            (.anthropicMessages, ["messages": [], "x": deep]), (.ociGenAI, ["apiFormat": "COHERE", "x": deep]),
            (.gemini, ["contents": [["parts": [["inlineData": deep]]]]]),
        ]
        for (surface, body) in bodies {
            let request = try surface.decodeRequest(body)
            let edited = try request.edited(JSONObject([("extra", ["y": deep])]))
            #expect(try surface.encode(edited, baseline: request, body: body)["y"] != nil || surface == .ociGenAI)
        }
    }
}
