import ATOF
import LLMCodecs
import Middleware
import Testing

@Suite("Redaction of model calls")
struct ModelCallRedactionTests {
    private static let body: JSONValue = [
        "model": "gpt-4o", "messages": [["role": "user", "content": "I am bob@example.com"]], "user": "bob@example.com",
    ]

    private static func start(_ body: JSONValue, annotated: Bool = true, name: String = "openai") throws -> Event {
        var object = JSONObject([
            ("category", "llm"), ("name", .string(name)),
            ("data", ["content": body, "headers": ["x-user": "bob@example.com"]]),
        ])
        if annotated {
            let annotation = try Surface.openAIChat.decodeRequest(body).annotation
            object["category_profile"] = ["annotated_request": .object(annotation), "model_name": "gpt-4o"]
        }
        return try RedactionLines.event(.object(object))
    }

    private static func end(_ body: JSONValue, on surface: Surface? = .openAIChat) throws -> Event {
        var object = JSONObject([("category", "llm"), ("scope_category", "end"), ("data", body)])
        if let surface {
            object["category_profile"] = ["annotated_response": .object(try surface.decodeResponse(body).annotation)]
        }
        return try RedactionLines.event(.object(object))
    }

    @Test(
        "walks the body as it is without paths, and the annotation says the same",
        arguments: [Compatibility.skein, .strict])
    func walk(compatibility: Compatibility) throws {
        let after = try RedactionLines.apply(
            try RedactionLines.chain([RedactionLines.email()], compatibility), to: try Self.start(Self.body))
        let body = after.data?.value["content"]
        #expect(body?["messages"]?[0]?["content"] == "I am [REDACTED]")
        #expect(after.data?.value["headers"] == ["x-user": "[REDACTED]"])
        let annotation = after.categoryProfile?.value["annotated_request"]
        #expect(annotation == .object(try Surface.openAIChat.decodeRequest(try #require(body)).annotation))
        #expect(annotation?["user"] == "[REDACTED]")
    }

    @Test("redacts an annotation that no codec has made")
    func readyMade() throws {
        let event = try RedactionLines.event([
            "category": "llm", "scope_category": "end", "data": ["text": "hi"],
            "category_profile": [
                "annotated_response": [
                    "message": "ask bob@example.com", "api_specific": ["api": "custom", "api_name": "x"],
                ]
            ],
        ])
        let after = try RedactionLines.apply(try RedactionLines.chain([RedactionLines.email()]), to: event)
        #expect(after.categoryProfile?.value["annotated_response"]?["message"] == "ask [REDACTED]")
    }

    @Test(
        "omits payload and annotation where paths cannot be followed",
        arguments: [
            // Nobody says how the body is read.
            (body, false, nil, ["/messages/0/content"]),
            // A message without a role is none.
            (body, true, nil, ["/messages/0/role"]),
            // A body of another surface than the configured one.
            (["system": "bob@example.com", "messages": []], false, .openAIChat, ["/messages/0/content"]),
        ] as [(JSONValue, Bool, Surface?, [String])])
    func omitted(body: JSONValue, annotated: Bool, codec: Surface?, paths: [String]) throws {
        let builtin = RedactionLines.email(.remove, paths: paths)
        let after = try RedactionLines.apply(
            try RedactionLines.chain([builtin], codec: codec), to: try Self.start(body, annotated: annotated))
        #expect(after.data == nil)
        #expect(after.categoryProfile?.value["annotated_request"] == nil)
    }

    @Test("follows paths through the codec, and leaves a body alone where they hit nothing")
    func paths() throws {
        let chain = try RedactionLines.chain([RedactionLines.email(paths: ["/messages/0/content", "/message"])])
        let request = try RedactionLines.apply(chain, to: try Self.start(Self.body))
        #expect(request.data?.value["content"]?["messages"]?[0]?["content"] == "I am [REDACTED]")
        #expect(request.data?.value["content"]?["user"] == "bob@example.com")
        #expect(request.categoryProfile?.value["annotated_request"]?["messages"]?[0]?["content"] == "I am [REDACTED]")
        let answer: JSONValue = ["choices": [["message": ["role": "assistant", "content": "Hi bob@example.com"]]]]
        let response = try RedactionLines.apply(chain, to: try Self.end(answer))
        #expect(response.data?.value["choices"]?[0]?["message"]?["content"] == "Hi [REDACTED]")
        #expect(response.categoryProfile?.value["annotated_response"]?["message"] == "Hi [REDACTED]")
        let other: JSONValue = [
            "choices": [
                [
                    "message": [
                        "role": "assistant",
                        "tool_calls": [
                            ["id": "c", "type": "function", "function": ["name": "f", "arguments": "{ }"]]
                        ],
                    ]
                ]
            ]
        ]
        #expect(try RedactionLines.apply(chain, to: try Self.end(other)).data?.value == other)
    }

    @Test("never publishes a second choice that the paths do not reach")
    func choices() throws {
        let chain = try RedactionLines.chain([RedactionLines.email(paths: ["/message"])])
        let choice: JSONValue = ["message": ["role": "assistant", "content": "bob@example.com"]]
        #expect(try RedactionLines.apply(chain, to: try Self.end(["choices": [choice, choice]])).data == nil)
    }

    @Test("hashes a member once that has one name in both forms")
    func once() throws {
        var builtin = BuiltinRedaction()
        builtin.action = .hash
        builtin.targetPaths = ["/model"]
        let answer: JSONValue = ["model": "m", "choices": []]
        let skein = try RedactionLines.apply(try RedactionLines.chain([builtin]), to: try Self.end(answer))
        #expect(
            skein.data?.value["model"] == "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a")
        #expect(skein.categoryProfile?.value["annotated_response"]?["model"] == skein.data?.value["model"])
        #expect(
            try RedactionLines.apply(try RedactionLines.chain([builtin], .strict), to: try Self.end(answer)).data == nil
        )
    }

    @Test(
        "writes a text and calls back into each surface",
        arguments: [
            (
                .openAIResponses,
                [
                    "status": "completed",
                    "output": [
                        [
                            "type": "message", "role": "assistant",
                            "content": [["type": "output_text", "text": "bob@example.com"]],
                        ],
                        [
                            "type": "function_call", "call_id": "c", "name": "f",
                            "arguments": "{\"to\":\"bob@example.com\"}",
                        ],
                    ],
                ]
            ),
            (
                .anthropicMessages,
                [
                    "type": "message", "role": "assistant",
                    "content": [
                        ["type": "text", "text": "bob@example.com"],
                        ["type": "tool_use", "id": "c", "name": "f", "input": ["to": "bob@example.com"]],
                        ["type": "text", "text": "and bob@example.com"],
                    ],
                ]
            ),
            (
                .gemini,
                [
                    "candidates": [
                        [
                            "content": [
                                "role": "model",
                                "parts": [
                                    ["text": "bob@example.com"],
                                    ["functionCall": ["name": "f", "args": ["to": "bob@example.com"]]],
                                ],
                            ], "finishReason": "STOP",
                        ]
                    ]
                ]
            ),
            (
                .ociGenAI,
                [
                    "modelId": "m",
                    "chatResponse": [
                        "apiFormat": "GENERIC",
                        "choices": [
                            [
                                "message": [
                                    "role": "ASSISTANT", "content": [["type": "TEXT", "text": "bob@example.com"]],
                                    "toolCalls": [
                                        ["id": "c", "name": "f", "arguments": "{\"to\":\"bob@example.com\"}"]
                                    ],
                                ]
                            ]
                        ],
                    ],
                ]
            ),
        ] as [(Surface, JSONValue)])
    func surfaces(surface: Surface, body: JSONValue) throws {
        let builtin = RedactionLines.email(paths: ["/message", "/tool_calls/0/arguments/to"])
        let after = try RedactionLines.apply(try RedactionLines.chain([builtin]), to: try Self.end(body, on: surface))
        let data = try #require(after.data?.value)
        #expect(!data.compactText.contains("bob@example.com"))
        let annotation = try surface.decodeResponse(data).annotation
        #expect(annotation["tool_calls"]?[0]?["arguments"] == ["to": "[REDACTED]"])
        #expect(after.categoryProfile?.value["annotated_response"] == .object(annotation))
    }
}
