import ATOF
import LLMCodecs
import Testing

/// What an edit of the normalised request does to the provider's body (`codecs-and-pricing.md` 2.2).
@Suite("Edits of request bodies")
struct BodyEditTests {
    struct Edit: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let surface: Surface
        let body: JSONValue
        let edit: JSONValue
        /// Nil when the surface cannot say it.
        let result: JSONValue?

        init(_ name: String, _ surface: Surface, _ body: JSONValue, _ edit: JSONValue, _ result: JSONValue?) {
            testDescription = name
            self.surface = surface
            self.body = body
            self.edit = edit
            self.result = result
        }
    }

    private static let edits: [Edit] = [
        Edit(
            "moved messages keep their originals", .openAIChat,
            ["messages": [["role": "user", "content": "a", "name": .null], ["role": "user", "content": "b"]]],
            ["messages": [["role": "user", "content": "b"], ["role": "user", "content": "a"]]],
            ["messages": [["role": "user", "content": "b"], ["role": "user", "content": "a", "name": .null]]]),
        Edit(
            "one changed part leaves the others as they were", .openAIChat,
            [
                "messages": [
                    [
                        "role": "user",
                        "content": [
                            ["type": "image_url", "image_url": ["url": "u", "x": 1]], ["type": "text", "text": "a"],
                        ],
                    ]
                ]
            ],
            [
                "messages": [
                    [
                        "role": "user",
                        "content": [
                            ["type": "image_url", "image_url": ["url": "u"]], ["type": "text", "text": "b"],
                        ],
                    ]
                ]
            ],
            [
                "messages": [
                    [
                        "role": "user",
                        "content": [
                            ["type": "image_url", "image_url": ["url": "u", "x": 1]], ["type": "text", "text": "b"],
                        ],
                    ]
                ]
            ]),
        Edit(
            "cleared parameters", .openAIChat,
            ["messages": [], "max_tokens": 1, "max_completion_tokens": 2, "stop": "a", "top_p": 1, "temperature": 0],
            ["params": .null], ["messages": []]),
        Edit(
            "cleared api_specific", .openAIChat, ["messages": [], "seed": 1, "function_call": .null, "x": 1],
            ["api_specific": .null], ["messages": [], "x": 1]),
        Edit("instructions on Chat", .openAIChat, ["messages": []], ["instructions": "x"], nil),
        Edit(
            "a single message stays a string", .openAIResponses, ["input": "a"],
            ["messages": [["role": "user", "content": "b"]]], ["input": "b"]),
        Edit(
            "a wrapped function stays wrapped", .openAIResponses,
            ["input": "a", "tools": [["type": "function", "function": ["name": "f", "y": 1], "x": 1]]],
            ["tools": [["type": "function", "function": ["name": "g", "y": 1], "x": 1]]],
            ["input": "a", "tools": [["type": "function", "function": ["name": "g", "y": 1], "x": 1]]]),
        Edit(
            "an assistant without content", .openAIResponses, ["input": []], ["messages": [["role": "assistant"]]],
            nil),
        Edit(
            "two limits that differ", .openAIResponses, ["input": "x"],
            ["params": ["max_tokens": 1], "max_output_tokens": 2], nil),
        Edit(
            "an assistant without content has no blocks", .anthropicMessages, ["messages": []],
            ["messages": [["role": "assistant"]]], ["messages": [["role": "assistant", "content": []]]]),
        Edit(
            "the parallel flag makes a choice", .anthropicMessages, ["messages": []], ["parallel_tool_calls": false],
            ["messages": [], "tool_choice": ["type": "auto", "disable_parallel_tool_use": true]]),
        Edit(
            "pictures and documents", .anthropicMessages, ["messages": []],
            [
                "messages": [
                    [
                        "role": "user",
                        "content": [
                            ["type": "image", "image": ["source": ["type": "url"]]],
                            ["type": "file", "file": ["title": "D"]],
                        ],
                    ]
                ]
            ],
            [
                "messages": [
                    [
                        "role": "user",
                        "content": [
                            ["type": "image", "source": ["type": "url"]], ["type": "document", "title": "D"],
                        ],
                    ]
                ]
            ]),
        Edit(
            "the name of a user profile", .anthropicMessages,
            ["messages": [], "anthropic-user-profile-id": "p", "top_k": 1],
            ["api_specific": ["api": "anthropic_messages", "user_profile_id": "q"]],
            ["messages": [], "anthropic-user-profile-id": "q"]),
        Edit(
            "a removed OCI message takes nothing from the others", .ociGenAI,
            [
                "apiFormat": "GENERIC",
                "messages": [
                    ["role": "USER", "content": "a", "x": 1], ["role": "USER", "content": "b", "x": 2],
                ],
            ],
            ["messages": [["role": "user", "content": "b"]]],
            ["apiFormat": "GENERIC", "messages": [["role": "USER", "content": "b", "x": 2]]]),
        Edit(
            "calls of COHEREV2 are nested and lack empty ids", .ociGenAI, ["apiFormat": "COHEREV2", "messages": []],
            [
                "messages": [
                    [
                        "role": "assistant",
                        "tool_calls": [
                            ["id": "", "type": "function", "function": ["name": "f", "arguments": "{}"]]
                        ],
                    ]
                ]
            ],
            [
                "apiFormat": "COHEREV2",
                "messages": [
                    [
                        "role": "ASSISTANT", "content": [],
                        "toolCalls": [["type": "FUNCTION", "function": ["name": "f", "arguments": "{}"]]],
                    ]
                ],
            ]),
        Edit("a portable choice of tools on OCI", .ociGenAI, ["apiFormat": "GENERIC"], ["tool_choice": "auto"], nil),
        Edit(
            "an OCI stop sequence", .ociGenAI, ["apiFormat": "COHEREV2", "messages": []], ["params": ["stop": ["a"]]],
            ["apiFormat": "COHEREV2", "messages": [], "stopSequences": ["a"]]),
        Edit(
            "results of tools become responses of functions", .gemini, ["contents": []],
            [
                "messages": [
                    [
                        "role": "assistant",
                        "tool_calls": [
                            ["id": "c1", "type": "function", "function": ["name": "f", "arguments": "{\"a\":1}"]]
                        ],
                    ], ["role": "tool", "tool_call_id": "c1", "content": "{\"b\":2}"],
                    ["role": "tool", "tool_call_id": "g", "content": "no JSON"],
                ]
            ],
            [
                "contents": [
                    ["role": "model", "parts": [["functionCall": ["id": "c1", "name": "f", "args": ["a": 1]]]]],
                    [
                        "role": "user",
                        "parts": [["functionResponse": ["id": "c1", "name": "f", "response": ["b": 2]]]],
                    ],
                    [
                        "role": "user",
                        "parts": [
                            ["functionResponse": ["id": "g", "name": "g", "response": ["output": "no JSON"]]]
                        ],
                    ],
                ]
            ]),
        Edit(
            "system messages of Gemini are joined", .gemini,
            ["contents": [], "systemInstruction": ["role": "system", "parts": [["text": "a"]]]],
            ["messages": [["role": "system", "content": "a"], ["role": "system", "content": "b"]]],
            ["contents": [], "systemInstruction": ["role": "system", "parts": [["text": "a\nb"]]]]),
        Edit(
            "signatures of Gemini calls survive a changed text", .gemini,
            [
                "contents": [
                    [
                        "role": "model",
                        "parts": [
                            ["text": "hm", "thought": true], ["text": "a"],
                            ["functionCall": ["name": "f", "args": [:]], "thoughtSignature": "s"],
                        ],
                    ]
                ]
            ],
            [
                "messages": [
                    [
                        "role": "assistant", "content": "b",
                        "tool_calls": [
                            ["id": "f", "type": "function", "function": ["name": "f", "arguments": "{}"]]
                        ],
                    ]
                ]
            ],
            [
                "contents": [
                    [
                        "role": "model",
                        "parts": [
                            ["text": "hm", "thought": true], ["text": "b"],
                            ["functionCall": ["name": "f", "args": [:]], "thoughtSignature": "s"],
                        ],
                    ]
                ]
            ]),
        Edit(
            "a text of Gemini keeps what lies beside it", .gemini,
            ["contents": [["role": "user", "parts": [["text": "user", "x": 1.5]]]]],
            ["messages": [["role": "user", "content": "a"]]],
            ["contents": [["role": "user", "parts": [["text": "a", "x": 1.5]]]]]),
        Edit(
            "a text of Gemini replaces all texts, and nothing else", .gemini,
            [
                "contents": [
                    [
                        "role": "user",
                        "parts": [
                            ["text": "u", "x": 1], ["q": 1], ["text": "t", "thought": true], ["text": "v", "x": 1],
                            ["fileData": [:]],
                        ],
                    ]
                ]
            ],
            ["messages": [["role": "user", "content": "a"]]],
            [
                "contents": [
                    [
                        "role": "user",
                        "parts": [
                            ["text": "a", "x": 1], ["q": 1], ["text": "t", "thought": true], ["fileData": [:]],
                        ],
                    ]
                ]
            ]),
        Edit(
            "no text of Gemini leaves what is none", .gemini,
            ["contents": [["role": "user", "parts": [["text": "u"], ["inlineData": [:]]]]]],
            ["messages": [["role": "user", "content": ""]]],
            ["contents": [["role": "user", "parts": [["inlineData": [:]]]]]]),
        Edit(
            "parts of Gemini are what the edit says", .gemini,
            ["contents": [["role": "user", "parts": [["text": "u", "x": 1]]]]],
            ["messages": [["role": "user", "content": [["type": "text", "text": "a"]]]]],
            ["contents": [["role": "user", "parts": [["text": "a"]]]]]),
        Edit(
            "members of a message that the model does not know stay out of Chat", .openAIChat,
            ["messages": [["role": "user", "content": "a"]]],
            [
                "messages": [
                    ["role": "user", "content": "b", "name": "n", "tool_call_id": "t", "tool_calls": [], "x": 1]
                ]
            ],
            ["messages": [["role": "user", "content": "b", "name": "n"]]]),
        Edit(
            "members of a message that the model does not know stay out of Responses", .openAIResponses,
            ["input": [["role": "user", "content": "a"]]],
            [
                "messages": [
                    ["role": "user", "content": "b", "name": "n", "tool_call_id": "t", "tool_calls": [], "x": 1]
                ]
            ],
            ["input": [["role": "user", "content": "b"]]]),
        Edit(
            "members of a message that the model does not know stay out of Messages", .anthropicMessages,
            ["messages": [["role": "user", "content": "a"]]],
            [
                "messages": [
                    ["role": "user", "content": "b", "name": "n", "tool_call_id": "t", "tool_calls": [], "x": 1]
                ]
            ],
            ["messages": [["role": "user", "content": "b"]]]),
        Edit(
            "members of a message that the model does not know stay out of OCI", .ociGenAI,
            ["apiFormat": "GENERIC", "messages": [["role": "USER", "content": "a"]]],
            [
                "messages": [
                    ["role": "user", "content": "b", "name": "n", "tool_call_id": "t", "tool_calls": [], "x": 1]
                ]
            ],
            ["apiFormat": "GENERIC", "messages": [["role": "USER", "content": [["type": "TEXT", "text": "b"]]]]]),
        Edit(
            "calls and results of Responses keep theirs", .openAIResponses, ["input": []],
            ["messages": [["role": "tool_result", "call_id": "c", "output": 1, "x": 1]]],
            ["input": [["type": "function_call_output", "call_id": "c", "output": 1, "x": 1]]]),
        Edit(
            "a function of OCI is flat and has no strict", .ociGenAI, ["apiFormat": "COHEREV2", "messages": []],
            ["tools": [["type": "function", "function": ["name": "f", "strict": true, "x": 1], "y": 1]]],
            ["apiFormat": "COHEREV2", "messages": [], "tools": [["type": "FUNCTION", "name": "f", "x": 1, "y": 1]]]),
        Edit(
            "an empty preamble goes when the messages change", .ociGenAI,
            ["apiFormat": "COHERE", "preambleOverride": "", "message": "m"],
            ["messages": [["role": "user", "content": "z"]]], ["apiFormat": "COHERE", "message": "z"]),
        Edit(
            "results with one id do not share a content of Gemini", .gemini, ["contents": []],
            [
                "messages": [
                    ["role": "tool", "tool_call_id": "a", "content": "1"],
                    ["role": "tool", "tool_call_id": "a", "content": "2"],
                ]
            ],
            [
                "contents": [
                    [
                        "role": "user",
                        "parts": [["functionResponse": ["id": "a", "name": "a", "response": ["output": 1]]]],
                    ],
                    [
                        "role": "user",
                        "parts": [["functionResponse": ["id": "a", "name": "a", "response": ["output": 2]]]],
                    ],
                ]
            ]),
        Edit(
            "each of several changed messages of Gemini keeps what lies beside it, in its own role", .gemini,
            [
                "contents": [
                    ["role": "user", "parts": [["text": "a", "x": 1]], "y": 1],
                    ["role": "model", "parts": [["text": "b"], ["text": "t", "thought": true]], "y": 2],
                    ["role": "model", "parts": [["text": "c"]], "y": 3],
                ]
            ],
            [
                "messages": [
                    ["role": "user", "content": "A"], ["role": "assistant", "content": "B"],
                    ["role": "user", "content": "C"],
                ]
            ],
            [
                "contents": [
                    ["role": "user", "parts": [["text": "A", "x": 1]], "y": 1],
                    ["role": "model", "parts": [["text": "B"], ["text": "t", "thought": true]], "y": 2],
                    ["role": "user", "parts": [["text": "C"]]],
                ]
            ]),
        Edit(
            "each of several changed messages of OCI keeps what lies beside it", .ociGenAI,
            [
                "apiFormat": "GENERIC",
                "messages": [["role": "USER", "content": "a", "x": 1], ["role": "USER", "content": "b", "x": 2]],
            ],
            ["messages": [["role": "user", "content": "c"], ["role": "user", "content": "d"]]],
            [
                "apiFormat": "GENERIC",
                "messages": [
                    ["role": "USER", "content": [["type": "TEXT", "text": "c"]], "x": 1],
                    ["role": "USER", "content": [["type": "TEXT", "text": "d"]], "x": 2],
                ],
            ]),
        Edit(
            "another function is named where one was", .openAIResponses,
            ["input": "a", "tool_choice": ["type": "function", "function": ["name": "f", "x": 1], "y": 1]],
            ["tool_choice": ["type": "function", "function": ["name": "g"]]],
            ["input": "a", "tool_choice": ["type": "function", "function": ["name": "g", "x": 1], "y": 1]]),
        Edit(
            "what a choice said against parallel calls stays", .openAIResponses,
            ["input": "a", "tool_choice": ["type": "auto", "disable_parallel_tool_use": true]],
            ["tool_choice": "required"],
            ["input": "a", "tool_choice": "required", "parallel_tool_calls": false]),
        Edit(
            "parallel results of a function of Gemini that have no ids stay as they are beside others", .gemini,
            [
                "contents": [
                    ["role": "user", "parts": [["text": "a"]]],
                    [
                        "role": "user",
                        "parts": [
                            ["functionResponse": ["name": "f", "response": [:]]],
                            ["functionResponse": ["name": "f", "response": ["x": 1]]],
                        ],
                    ],
                ]
            ],
            [
                "messages": [
                    ["role": "user", "content": "n"], ["role": "user", "content": "b"],
                    ["role": "tool", "tool_call_id": "f", "content": "{}"],
                    ["role": "tool", "tool_call_id": "f", "content": "{\"x\":1}"],
                    ["role": "user", "content": "c"],
                ]
            ],
            [
                "contents": [
                    ["role": "user", "parts": [["text": "n"]]], ["role": "user", "parts": [["text": "b"]]],
                    [
                        "role": "user",
                        "parts": [
                            ["functionResponse": ["name": "f", "response": [:]]],
                            ["functionResponse": ["name": "f", "response": ["x": 1]]],
                        ],
                    ],
                    ["role": "user", "parts": [["text": "c"]]],
                ]
            ]),
        Edit(
            "a name on Gemini", .gemini, ["contents": []],
            ["messages": [["role": "user", "content": "x", "name": "n"]]], nil),
        Edit(
            "arguments that are no object on Gemini", .gemini, ["contents": []],
            [
                "messages": [
                    [
                        "role": "assistant",
                        "tool_calls": [["id": "f", "type": "function", "function": ["name": "f", "arguments": "5"]]],
                    ]
                ]
            ], nil),
        Edit(
            "tools of several groups on Gemini", .gemini,
            [
                "contents": [],
                "tools": [["functionDeclarations": [["name": "a"]]], ["functionDeclarations": [["name": "b"]]]],
            ],
            ["tools": [["type": "function", "function": ["name": "a"]]]], nil),
        Edit(
            "functions go into their group, and native tools stay", .gemini,
            ["contents": [], "tools": [["googleSearch": [:]], ["functionDeclarations": [["name": "a"]], "x": 1]]],
            [
                "tools": [
                    [
                        "type": "provider_native", "provider": "gemini", "kind": "googleSearch",
                        "value": ["googleSearch": [:]],
                    ],
                    ["type": "function", "function": ["name": "b"]],
                    ["type": "provider_native", "provider": "gemini", "kind": "x", "value": ["x": 1]],
                ]
            ],
            ["contents": [], "tools": [["googleSearch": [:]], ["functionDeclarations": [["name": "b"]], "x": 1]]]),
    ]

    @Test("writes the difference and nothing else", arguments: edits)
    func edit(edit: Edit) throws {
        let baseline = try edit.surface.decodeRequest(edit.body)
        let edited = try baseline.edited(try #require(edit.edit.objectValue))
        do throws(CodecError) {
            let body = try edit.surface.encode(edited, baseline: baseline, body: edit.body)
            #expect(body == edit.result)
        } catch {
            #expect(edit.result == nil, "\(error.message)")
            #expect(error.kind == .invalidArgument)
        }
    }
}
