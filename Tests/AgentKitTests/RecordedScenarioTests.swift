import ATOF
import AgentKit
import Testing

/// Who says what a model call has saved.
enum OptimizationTeller: CaseIterable { case requestIntercept, executionIntercept, callback, nestedScope }

/// The programs of recorded cases, written with AgentKit.
@Suite("Recorded sequences: guardrails, intercepts, errors, streams")
struct RecordedScenarioTests {
    let recorder = Recorder()
    var runtime: AgentRuntime { recorder.runtime }

    static let completion: JSON = [
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_600, "model": "gpt-4o-mini-2024-07-18",
        "choices": [["index": 0, "finish_reason": "stop", "message": ["role": "assistant", "content": "y"]]],
        "usage": ["prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17],
    ]

    static func completed(_ text: String, id: String = "chatcmpl-1", model: String? = nil) -> JSON {
        var body = completion
        body["id"] = JSON(id)
        if let model { body["model"] = JSON(model) }
        body["choices"] = [
            ["index": 0, "finish_reason": "stop", "message": ["role": "assistant", "content": JSON(text)]]
        ]
        return body
    }

    static func request(_ messages: JSON..., model: JSON = "gpt-4o-mini") -> ModelRequest {
        ModelRequest(content: ["model": model, "messages": .array(messages)])
    }

    static func user(_ text: String) -> JSON { ["role": "user", "content": JSON(text)] }

    @Test("a tool that a guardrail rejects, and one that it allows")
    func guardrail() async throws {
        try runtime.register(
            .toolGuardrail("deny-rm") { _, arguments in
                arguments["cmd"]?.stringValue?.hasPrefix("rm") == true ? .reject("blocked: rm not allowed") : .allow
            })
        try await runtime.withScope(.agent, "agent") { scope in
            await #expect(throws: AgentKitError(.guardrailRejected, "blocked: rm not allowed")) {
                try await scope.callTool("shell", ["cmd": "rm -rf /"], id: "c1") { _ in "gone" }
            }
            try await scope.callTool("shell", ["cmd": "ls"], id: "c2") { _ in "a b" }
        }
        try RecordedSequence.expect(recorder, equals: "20-guardrail-reject-tool")
    }

    @Test("sanitizers change what is published, and one that fails removes it")
    func sanitizers() async throws {
        try runtime.register(
            .toolRequestSanitizer("hide-key") { tool, arguments in
                if tool == "t2" { throw ValueError(description: "crash") }
                var arguments = arguments
                arguments["api_key"] = "***"
                return arguments
            })
        try runtime.register(
            .toolResponseSanitizer("hide-result") { _, result in
                result["secret"] == nil ? result : ["redacted": true]
            })
        try await runtime.withScope(.agent, "agent") { scope in
            let result: ToolResult = try await scope.callTool("t", ["api_key": "sk-1", "q": 1], id: "c1") { arguments in
                #expect(arguments["api_key"] == "sk-1")
                return ToolResult(["secret": 42], annotation: ["ann": "keep"])
            }
            #expect(result.result == ["secret": 42])
            try await scope.callTool("t2", ["x": 1]) { _ in "plain" }
        }
        try RecordedSequence.expect(recorder, equals: "22-sanitize-tool")
    }

    @Test("intercepts rewrite requests, wrap tools and short-circuit models")
    func intercepts() async throws {
        try runtime.register(
            .modelRequestIntercept("route") { _, request, annotation in
                var request = request
                request.content["model"] = "gpt-routed"
                request.content["messages"] = .array(
                    (request.content["messages"]?.arrayValue ?? []) + [Self.user("(injected)")])
                let mark = PendingMark(
                    "route.decision", data: ["to": "gpt-routed"], metadata: ["why": "cheap"], severity: .warn)
                return ModelRequestOutcome(request, annotation: annotation, marks: [mark])
            })
        try runtime.register(
            .toolRequestIntercept("trim") { _, arguments in
                var arguments = arguments
                arguments["trimmed"] = true
                return arguments
            })
        try runtime.register(
            .toolExecutionIntercept("cache") { _, arguments, next in
                let result = try await next(arguments)
                let mark = PendingMark(
                    "tool.cache", data: ["hit": false], category: "tool", categoryProfile: ["tool_call_id": "c1"])
                return ToolOutcome(["wrapped": result.result], annotation: ["cached": false], marks: [mark])
            })
        try await runtime.withScope(.agent, "agent") { scope in
            try await scope.callModel("openai", Self.request(Self.user("hi")), model: "gpt-4o-mini") { request in
                #expect(request.headers["traceparent"]?.stringValue?.hasPrefix("00-") == true)
                return Self.completed("yo", model: "gpt-routed")
            }
            try await scope.callTool("t", ["x": 1], id: "c1") { _ in ["y": 2] }
            try runtime.register(
                .modelExecutionIntercept("short") { _, _, _ in Self.completed("short-circuited", id: "sc") })
            try await scope.callModel(
                "openai", Self.request(Self.user("hi2")), model: "gpt-4o-mini", requestCodec: nil,
                responseCodec: .openAIChat
            ) { _ in
                Issue.record("the provider must not be asked")
                return .null
            }
        }
        try RecordedSequence.expect(recorder, equals: "25-intercepts")
    }

    static let contributions: [JSON] = [
        [
            "producer": "router", "kind": "model_routing", "applied": true,
            "model_transition": ["baseline": ["model": "gpt-4o"], "effective": ["model": "gpt-4o-mini"]],
        ],
        [
            "producer": "compress", "kind": "input_compression", "applied": true,
            "token_impact": [
                "estimation_method": "tiktoken", "quality": "estimated",
                "saved": ["prompt_tokens": 40, "total_tokens": 40],
            ],
        ],
    ]

    @Test(
        "what was saved is told in marks and in the response's summary, whoever tells it",
        arguments: OptimizationTeller.allCases)
    func optimizations(teller: OptimizationTeller) async throws {
        let isEarly = teller == .requestIntercept
        try runtime.register(
            .modelRequestIntercept("router") { _, request, annotation in
                var request = request
                request.content["model"] = "gpt-4o-mini"
                return ModelRequestOutcome(
                    request, annotation: annotation, optimizations: isEarly ? Self.contributions : [])
            })
        try runtime.register(
            .modelExecutionIntercept("tells") { _, request, next in
                guard teller == .executionIntercept else { return try await next(request) }
                AgentRuntime.currentModelCall?.recordOptimization(Self.contributions[0])
                let response = try await next(request)
                AgentRuntime.currentModelCall?.recordOptimization(Self.contributions[1])
                return response
            })
        try await runtime.withScope(.agent, "agent") { scope in
            try await scope.callModel(
                "openai", Self.request(Self.user("hi"), model: "gpt-4o"), model: "gpt-4o", requestCodec: nil,
                responseCodec: .openAIChat
            ) { _ in
                switch teller {
                case .requestIntercept, .executionIntercept: break
                case .callback: for contribution in Self.contributions { recordOptimization(contribution) }
                case .nestedScope:
                    // Nobody sees the scope here, so that the recorded sequence stays what it is.
                    await scope.activated { _ in
                        for contribution in Self.contributions { recordOptimization(contribution) }
                    }
                }
                var body = Self.completed("yo", model: "gpt-4o-mini")
                body["usage"] = ["prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110]
                return body
            }
        }
        try RecordedSequence.expect(recorder, equals: "26-optimization-contributions")
    }

    @Test("hints in a header and in the body by way of the annotation")
    func hints() async throws {
        try runtime.register(
            .modelRequestIntercept("hints") { _, request, annotation in
                let hints: JSON = [
                    "iat": 0, "latency_sensitivity": 3.0, "osl": 0, "prefix_id": "planner-d1", "priority": 2,
                    "total_requests": 0,
                ]
                var (request, annotation) = (request, annotation)
                request.headers["x-nemo-relay-adaptive-agent-hints"] = hints
                annotation?["nvext"] = ["agent_hints": hints]
                return ModelRequestOutcome(request, annotation: annotation)
            })
        try await Self.plan(runtime) { $0.addEndMetadata(["nemo_relay_adaptive": ["latency_sensitivity": 3]]) }
        try RecordedSequence.expect(recorder, equals: "61-adaptive-hints")
    }

    @Test("hints by the switch: what was set by hand, as the reference's component writes it")
    func hintsByHand() async throws {
        let recorder = Recorder(settings: AgentSettings(hints: .byHand()))
        try await Self.plan(recorder.runtime) { scope in
            scope.raiseLatencySensitivity(to: 3)
            scope.raiseLatencySensitivity(to: 2)
        }
        try RecordedSequence.expect(recorder, equals: "61-adaptive-hints")
    }

    private static func plan(_ runtime: AgentRuntime, _ sensitive: (AgentScope) -> Void) async throws {
        try await runtime.withScope(.agent, "planner") { scope in
            sensitive(scope)
            for index in 0..<3 {
                try await scope.callModel(
                    "openai", Self.request(Self.user("q\(index)")), model: "gpt-4o-mini", codec: .openAIChat
                ) { request in
                    #expect(request.content["nvext"] != nil)
                    return Self.completed("a\(index)")
                }
                try await scope.callTool("t", ["i": JSON(index)], id: "c\(index)") { _ in JSON(index) }
            }
        }
    }

    // MARK: Errors

    @Test("scopes whose body throws or is cancelled, and what is said by hand at the end")
    func scopeErrors() async throws {
        await runtime.withStack { stack in
            #expect(throws: KeyError.self) {
                try stack.withScope(.agent, "raises") { _ in throw KeyError(description: "'missing'") }
            }
            #expect(throws: CancellationError.self) {
                try stack.withScope(.function, "cancelled") { _ in throw CancellationError() }
            }
            let ends: [JSON] = [
                [
                    "error.type": "rate_limit", "exception.type": "my.RateLimit", "otel.status_code": "ERROR",
                    "otel.status_description": "manual",
                ],
                ["otel.status_code": "ERROR"], ["otel.status_code": "UNSET"], ["otel.status_code": "BOGUS"],
                ["otel.status_code": "error"], ["otel.status_code": 2],
            ]
            for end in ends {
                stack.withScope(.function, "manual") { scope in
                    scope.setOutput("o")
                    scope.addEndMetadata(end)
                }
            }
            stack.withScope(.agent, "parent") { scope in
                // Recorded by hand: no session header.
                scope.recordModel("openai", Self.request(Self.user("x")), response: ["error": "x"])
                scope.addEndMetadata(["otel.status_code": "ERROR"])
            }
        }
        try RecordedSequence.expect(recorder, equals: "17-scope-errors")
    }

    @Test("tools that throw, caught and not caught")
    func errorInheritance() async throws {
        // Macros do not nest, so the outer error is caught by hand.
        var caught: (any Error)?
        do {
            try await runtime.withScope(.agent, "root") { root in
                try await root.withScope(.function, "mid") { scope in
                    await #expect(throws: ValueError.self) {
                        try await scope.callTool("t1", [:]) { _ -> JSON in throw ValueError(description: "v") }
                    }
                    try await scope.callTool("t2", [:]) { _ -> JSON in throw KeyError(description: "'k'") }
                }
            }
        } catch {
            caught = error
        }
        #expect(caught is KeyError)
        try RecordedSequence.expect(recorder, equals: "18-error-inheritance")
    }

    @Test("a tool that fails between model calls")
    func toolError() async throws {
        try await runtime.withScope(.agent, "agent") { scope in
            try await scope.callTool("pre", ["a": 1]) { _ in ["b": 2] }
            try await scope.callModel(
                "openai", Self.request(Self.user("x")), model: "gpt-4o-mini", codec: .openAIChat
            ) { _ in
                var body = Self.completion
                body["choices"] = [
                    [
                        "index": 0, "finish_reason": "tool_calls",
                        "message": [
                            "role": "assistant", "content": "thinking",
                            "tool_calls": [
                                ["id": "c1", "type": "function", "function": ["name": "boom", "arguments": "{}"]],
                                [
                                    "id": "c2", "type": "function",
                                    "function": ["name": "never_run", "arguments": "{\"z\": 1}"],
                                ],
                            ],
                        ],
                    ]
                ]
                body["usage"] = ["prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12]
                return body
            }
            await #expect(throws: RuntimeError.self) {
                try await scope.callTool("boom", [:], id: "c1") { _ -> JSON in throw RuntimeError(description: "kaboom")
                }
            }
            try await scope.callTool("unrelated", ["q": 1], id: "zzz") { _ in "obs" }
            let answer: JSON = ["role": "tool", "content": "err", "tool_call_id": "c1"]
            try await scope.callModel(
                "openai", Self.request(Self.user("x"), answer), model: "gpt-4o-mini", codec: .openAIChat
            ) { _ in
                var body = Self.completed("final", id: "2")
                body["usage"] = ["prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25]
                return body
            }
        }
        try RecordedSequence.expect(recorder, equals: "66-atif-tool-definitions")
    }

    // MARK: Streams

    @Test("a stream that is read to its end")
    func stream() async throws {
        let chunks: [JSON] = ["Hel", "lo", " wor", "ld"].map { text in
            [
                "id": "s1", "object": "chat.completion.chunk",
                "choices": [["index": 0, "delta": ["content": JSON(text)]]],
            ]
        }
        try await runtime.withScope(.agent, "agent") { scope in
            var request = Self.request(Self.user("stream please"))
            request.content["stream"] = true
            let stream = try await scope.streamModel(
                "openai", request, model: "gpt-4o-mini", codec: .openAIChat,
                finalize: { chunks in
                    let texts = chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.stringValue }
                    var body = Self.completed(texts.joined(), id: "s1")
                    body["usage"] = ["prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13]
                    return body
                }
            ) { _ in ModelChunks(chunks) }
            var received: [JSON] = []
            for try await chunk in stream { received.append(chunk) }
            #expect(received == chunks)
        }
        try RecordedSequence.expect(recorder, equals: "11-streaming-ok")
    }
}
