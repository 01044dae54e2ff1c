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
            (.gemini, ["candidates": [["content": ["parts": "x"]]]], .invalidArgument),
            (.gemini, ["candidates": [["content": ["parts": [["text": .null]]]]]], .invalidArgument),
            (.ociGenAI, ["choices": [["message": ["content": 5]]]], .invalidArgument),
            (.anthropicMessages, ["content": "x"], .internal), (.openAIResponses, ["output": [:]], .internal),
        ] as [(Surface, JSONValue, CodecError.Kind)])
    func rejectedResponses(surface: Surface, body: JSONValue, kind: CodecError.Kind) {
        #expect {
            try surface.decodeResponse(body)
        } throws: { ($0 as? CodecError)?.kind == kind }
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
            (.gemini, ["contents": [], "systemInstruction": ["parts": [["text": "x", "thought": true]]]]),
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
