import ATOF
import Testing
import Trajectories

/// Where the reference's document is invalid, loses something or says something false: what Skein writes, and that `strict`
/// follows the reference (`docs/deviations.md`).
@Suite("Deviations of trajectories")
struct DeviationTests {
    private static let agent = AgentDescription(name: "configured", version: "1")

    private func document(_ fields: [EventFields], _ compatibility: Compatibility = .skein) throws -> JSONValue {
        TrajectoryBuilder(origin: .manual(sessionID: "s"), agent: Self.agent, compatibility: compatibility)
            .document(of: try Sample.events(fields))
    }

    /// Skein's steps, which must be without fault, and the reference's.
    private func steps(_ fields: [EventFields]) throws -> (skein: [JSONValue], strict: [JSONValue]) {
        let document = try document(fields)
        #expect(DocumentValidator.findings(in: document).isEmpty)
        return (
            try #require(document["steps"]?.arrayValue),
            try #require(self.document(fields, .strict)["steps"]?.arrayValue)
        )
    }

    private static let failure: JSONValue = [
        "otel.status_code": "ERROR", "otel.status_description": "broke", "error.type": "timeout",
    ]

    private static func start(_ number: Int, at second: Int64, in parent: Int = 1, prompt: JSONValue = "p")
        -> EventFields
    {
        Sample.fields(.scopeStart, number, in: parent, "llm", at: second, data: ["prompt": prompt])
    }

    private static func end(
        _ number: Int, at second: Int64, in parent: Int = 1, calls: [String] = [], metadata: JSONValue? = nil
    ) -> EventFields {
        let calls: [JSONValue] = calls.map { ["id": .string($0), "name": .string("tool-\($0)"), "arguments": [:]] }
        return Sample.fields(
            .scopeEnd, number, in: parent, "llm", at: second, data: ["answer": "a", "tool_calls": .array(calls)],
            metadata: metadata)
    }

    /// An answer that only calls tools.
    private static func silent(_ calls: [String], _ number: Int, at second: Int64) -> EventFields {
        let calls: [JSONValue] = calls.map { ["id": .string($0), "name": .string("tool-\($0)"), "arguments": [:]] }
        return Sample.fields(.scopeEnd, number, in: 1, "llm", at: second, data: ["tool_calls": .array(calls)])
    }

    private static func tool(
        _ kind: Event.Kind, _ number: Int, at second: Int64, id: String?, name: String = "tool", data: JSONValue?,
        metadata: JSONValue? = nil
    ) -> EventFields {
        Sample.fields(
            kind, number, in: 1, "tool", at: second, name: name, data: data, metadata: metadata,
            profile: id.map { ["tool_call_id": .string($0)] })
    }

    private static let opener = Sample.fields(.scopeStart, 1, in: 90, "agent", name: "root")

    @Test(
        "an answer in which its codec found no message is empty, whatever the provider calls a message",
        arguments: [nil, ["api": "openai_chat"]] as [JSONValue?])
    func noMessage(tag: JSONValue?) throws {
        var annotation = JSONObject([("message", "top")])
        annotation["api_specific"] = tag
        let steps = try steps([
            Self.opener, Self.start(2, at: 1),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 2, data: ["message": "top"],
                profile: ["annotated_response": .object(annotation)]),
        ])
        #expect(steps.skein.last?["message"] == "")
        #expect(steps.strict.last?["message"] == "")
    }

    @Test("counts of a Gemini response with parallel calls of one function")
    func parallelCalls() throws {
        let call: JSONValue = ["functionCall": ["name": "f"]]
        let data: JSONValue = [
            "candidates": [["content": ["parts": [call, call]]]], "usageMetadata": ["promptTokenCount": 3],
        ]
        let steps = try steps([
            Self.opener, Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: data),
        ])
        #expect(steps.skein.last?["metrics"]?["prompt_tokens"] == 3)
        #expect(steps.strict.last?["metrics"] == nil)
    }

    @Test("of a step with many calls each gets its own result", arguments: [1, 8, 9, 40])
    func manyCalls(count: Int) throws {
        let ids = (1...count).map { "call-\($0)" }
        let tools = ids.enumerated().reversed().flatMap { position, id in
            // Half of them are found by the tool's name alone.
            let known = position.isMultiple(of: 2) ? id : nil
            return [
                Self.tool(.scopeStart, 10 + position, at: 3, id: known, name: "tool-\(id)", data: [:]),
                Self.tool(.scopeEnd, 10 + position, at: 4, id: known, name: "tool-\(id)", data: .string("of \(id)")),
            ]
        }
        let events = [Self.opener, Self.start(2, at: 1), Self.end(2, at: 2, calls: ids)] + tools
        for step in [try steps(events).skein[1], try steps(events).strict[1]] {
            let results = step["observation"]?["results"]?.arrayValue ?? []
            #expect(results.count == count)
            for result in results {
                #expect(result["content"]?.stringValue == result["source_call_id"]?.stringValue.map { "of \($0)" })
            }
            let invocations = step["extra"]?["tool_invocations"]?.arrayValue ?? []
            #expect(invocations.compactMap { $0["invocation_id"]?.stringValue } == ids)
        }
    }

    @Test("gives every call of a step an id of its own, also where one looks like a new one")
    func uniqueIDs() throws {
        let steps = try steps([Self.opener, Self.start(2, at: 1), Self.end(2, at: 2, calls: ["a:3", "a", "a"])])
        let ids = steps.skein.flatMap { $0["tool_calls"]?.arrayValue ?? [] }.compactMap {
            $0["tool_call_id"]?.stringValue
        }
        #expect(ids.count == 3 && Set(ids).count == 3)
    }

    @Test("says that nothing was observed, where the reference has no step")
    func placeholder() throws {
        for fields in [[], [Self.opener]] {
            let steps = try steps(fields)
            #expect(steps.strict.isEmpty)
            #expect(steps.skein.compactMap { $0["source"] } == ["system"])
        }
    }

    @Test("leaves a step for a model call that failed, and lets a continued turn go on")
    func failedModelCall() throws {
        let request: JSONValue = ["messages": [["role": "tool", "content": "x"]]]
        let steps = try steps([
            Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, metadata: Self.failure),
            Sample.fields(.scopeStart, 3, in: 1, "llm", at: 3, data: request),
            Sample.fields(.scopeEnd, 3, in: 1, "llm", at: 4, metadata: Self.failure),
        ])
        #expect(steps.strict.map { $0["source"] } == ["user", "user"])
        #expect(steps.skein.map { $0["source"] } == ["user", "agent", "agent"])
        #expect(steps.skein[1]["message"] == "")
        #expect(steps.skein[1]["llm_call_count"] == 1)
        #expect(steps.skein[1]["extra"]?["invocation"]?["status"] == "error")
        #expect(steps.skein[1]["extra"]?["error"] == ["type": "timeout", "description": "broke"])
        #expect(steps.skein[2]["extra"]?["llm_request"] == request)
    }

    @Test(
        "an error that a provider sends in the place of an answer is the call's, not what the model said",
        arguments: [
            (
                ["type": "error", "error": ["type": "overloaded_error", "message": "Overloaded"]], false,
                ["type": "overloaded_error", "description": "Overloaded"]
            ),
            (
                ["error": ["message": "no", "type": "invalid", "code": .null]], true,
                ["type": "timeout", "description": "broke"]
            ),
            (
                [["error": ["code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"]]], false,
                ["type": "RESOURCE_EXHAUSTED", "description": "slow down"]
            ),
            (["error": ["code": 429, "message": "slow"]], false, ["type": "429", "description": "slow"]),
            (["error": "gone"], false, ["description": "gone"]),
            (["object": "error", "message": "bad", "code": 400], false, ["type": "400", "description": "bad"]),
            (["code": "429", "message": "of no known form"], true, ["type": "timeout", "description": "broke"]),
        ] as [(JSONValue, Bool, JSONValue)])
    func errorBody(body: JSONValue, isSaid: Bool, error: JSONValue) throws {
        let steps = try steps([
            Self.start(2, at: 1),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 2, data: body, metadata: isSaid ? Self.failure : nil),
        ])
        #expect(steps.strict[1]["message"] == .string(body.compactText))
        #expect(steps.strict[1]["extra"]?["error"] == nil)
        #expect(steps.skein[1]["message"] == "")
        #expect(steps.skein[1]["extra"]?["error"] == error)
        #expect(steps.skein[1]["extra"]?["invocation"]?["status"] == "error")
        #expect(steps.skein[1]["extra"]?["llm_response"] == body)
    }

    @Test("a response that says that it failed did, unless its end says the opposite", arguments: [nil, "OK", "ERROR"])
    func failedResponse(status: String?) throws {
        let body: JSONValue = [
            "object": "response", "status": "failed", "error": ["code": "server_error", "message": "no"], "output": [],
        ]
        let steps = try steps([
            Self.start(2, at: 1),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 2, data: body,
                metadata: status.map { ["otel.status_code": .string($0)] }),
        ])
        let error: JSONValue? = status == "OK" ? nil : ["type": "server_error", "description": "no"]
        #expect(steps.skein[1]["message"] == "")
        #expect(steps.skein[1]["extra"]?["error"] == error)
        #expect(steps.skein[1]["extra"]?["invocation"]?["status"] == (error == nil ? "completed" : "error"))
    }

    @Test(
        "what looks like an error is none where the end says so, an answer is there, or the model may have said it",
        arguments: [
            (["error": "gone"], "OK", nil, #"{"error":"gone"}"#),
            (["error": ["message": "no"]], nil, ["annotated_response": ["message": "hello"]], "hello"),
            (["error": "none", "summary": "good"], nil, nil, #"{"error":"none","summary":"good"}"#),
            ([["error": "E1", "line": 3]], nil, nil, #"[{"error":"E1","line":3}]"#),
        ] as [(JSONValue, String?, JSONValue?, JSONValue)])
    func noErrorBody(body: JSONValue, status: String?, profile: JSONValue?, message: JSONValue) throws {
        let steps = try steps([
            Self.start(2, at: 1),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 2, data: body,
                metadata: status.map { ["otel.status_code": .string($0)] }, profile: profile),
        ])
        #expect(steps.skein[1]["message"] == message)
        #expect(steps.skein[1]["extra"]?["error"] == nil)
        #expect(steps.skein[1]["extra"]?["invocation"]?["status"] == "completed")
    }

    @Test("a call that failed without an answer owns no tools, whether it has a body or not", arguments: [true, false])
    func toolsBehindAFailure(hasBody: Bool) throws {
        let steps = try steps([
            Self.start(2, at: 1),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 2, data: hasBody ? ["error": ["message": "no"]] : nil,
                metadata: Self.failure),
            Self.tool(.scopeStart, 3, at: 3, id: nil, data: [:]), Self.tool(.scopeEnd, 3, at: 4, id: nil, data: "x"),
        ])
        #expect(steps.skein.map { $0["source"] } == ["user", "agent", "system"])
        #expect(steps.skein[1]["tool_calls"] == nil)
    }

    @Test(
        "what a model said before its call failed stays",
        arguments: [
            "partial", ["answer": "partial", "error": "gone"],
            ["choices": [["message": ["content": "partial"]]], "error": ["message": "gone"]],
        ] as [JSONValue])
    func partialAnswer(body: JSONValue) throws {
        let steps = try steps([
            Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: body, metadata: Self.failure),
        ])
        #expect(steps.skein[1]["message"] == "partial")
        #expect(steps.skein[1]["extra"]?["invocation"]?["status"] == "error")
    }

    @Test("an answer whose error is null or empty did not fail", arguments: [nil, "", [:]] as [JSONValue?])
    func emptyError(error: JSONValue?) throws {
        let body = JSONObject([("answer", "a"), ("error", error ?? .null)])
        let steps = try steps([
            Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: .object(body)),
        ])
        #expect(steps.skein[1]["message"] == "a")
        #expect(steps.skein[1]["extra"]?["error"] == nil)
        #expect(steps.skein[1]["extra"]?["invocation"]?["status"] == "completed")
    }

    @Test("shows what a failed tool says, and that it failed")
    func failedTool() throws {
        let steps = try steps([
            Self.start(2, at: 1), Self.end(2, at: 2, calls: ["c"]),
            Self.tool(.scopeStart, 3, at: 3, id: "c", data: [:]),
            Self.tool(.scopeEnd, 3, at: 4, id: "c", data: nil, metadata: Self.failure),
        ])
        #expect(steps.strict[1]["observation"] == nil)
        #expect(steps.strict[1]["extra"]?["tool_invocations"]?[0]?["status"] == "completed")
        let result = steps.skein[1]["observation"]?["results"]?[0]
        #expect(result?["content"] == "broke")
        #expect(result?["extra"]?["status"] == "error")
        #expect(steps.skein[1]["extra"]?["tool_invocations"]?[0]?["status"] == "error")
    }

    @Test("gives a result that comes late to the step that asked for it")
    func lateResult() throws {
        let steps = try steps([
            Self.start(2, at: 1), Self.end(2, at: 2, calls: ["c"]),
            Self.tool(.scopeStart, 3, at: 3, id: "c", data: [:]),
            Self.start(4, at: 4), Self.tool(.scopeEnd, 3, at: 5, id: "c", data: "late"), Self.end(4, at: 6),
        ])
        #expect(steps.strict.map { $0["source"] } == ["user", "agent", "user", "agent", "system"])
        #expect(steps.skein.map { $0["source"] } == ["user", "agent", "user", "agent"])
        #expect(steps.skein[1]["observation"]?["results"]?[0]?["content"] == "late")
        #expect(steps.skein[1]["extra"]?["tool_invocations"]?[0]?["invocation_id"] == "c")
    }

    @Test("keeps a result whose call is nowhere in its time, with its id and its execution")
    func unclaimedResult() throws {
        let steps = try steps([
            Self.tool(.scopeStart, 3, at: 1, id: "lost", data: [:]),
            Self.tool(.scopeEnd, 3, at: 2, id: "lost", data: "x"), Self.start(2, at: 3), Self.end(2, at: 4),
        ])
        #expect(steps.strict.map { $0["source"] } == ["user", "agent", "system"])
        #expect(steps.skein.map { $0["source"] } == ["system", "user", "agent"])
        #expect(steps.skein[0]["observation"]?["results"]?[0]?["extra"]?["tool_call_id"] == "lost")
        #expect(steps.skein[0]["extra"]?["tool_invocations"]?[0]?["invocation_id"] == "lost")
    }

    @Test("tells of tools that no model can have asked for, if they were asked or answered something")
    func toolsAlone() throws {
        let steps = try steps([
            Self.opener, Self.tool(.scopeStart, 2, at: 1, id: nil, data: ["a": 1]),
            Self.tool(.scopeEnd, 2, at: 2, id: nil, data: "x"), Self.tool(.scopeStart, 3, at: 3, id: "i", data: ["b"]),
            Self.tool(.scopeEnd, 3, at: 4, id: "i", data: nil), Self.tool(.scopeStart, 4, at: 5, id: nil, data: "c"),
            Self.tool(.scopeEnd, 4, at: 6, id: nil, data: nil), Self.tool(.scopeStart, 5, at: 7, id: nil, data: nil),
            Self.tool(.scopeEnd, 5, at: 8, id: nil, data: nil),
        ])
        let results = steps.skein.flatMap { $0["observation"]?["results"]?.arrayValue ?? [] }
        #expect(Set(results.map { $0["extra"]?["tool_arguments"] }) == [["a": 1], ["b"], "c"])
        #expect(results.count == 3 && results.compactMap { $0["content"] } == ["x"])
        #expect(steps.strict.flatMap { $0["observation"]?["results"]?.arrayValue ?? [] }.count == 1)
    }

    @Test("shows the words and the calls of an answer that came as the stream of its chunks, and bills it")
    func streamedAnswer() throws {
        let call: JSONValue = ["index": 0, "id": "c", "function": ["name": "tool", "arguments": "{\"a\":1}"]]
        let chunks: JSONValue = [
            ["choices": [["index": 0, "delta": ["content": "Hello", "tool_calls": [call]]]], "model": "m"],
            ["choices": [], "usage": ["prompt_tokens": 3, "completion_tokens": 2]],
        ]
        let steps = try steps([
            Self.opener, Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: chunks),
            Self.tool(.scopeStart, 3, at: 3, id: "c", data: ["a": 1]),
            Self.tool(.scopeEnd, 3, at: 4, id: "c", data: "r"),
        ])
        #expect(steps.skein[1]["message"] == "Hello" && steps.skein[1]["model_name"] == "m")
        #expect(steps.skein[1]["tool_calls"]?[0]?["tool_call_id"] == "c")
        #expect(steps.skein[1]["observation"]?["results"]?[0]?["source_call_id"] == "c")
        #expect(steps.skein[1]["metrics"]?["prompt_tokens"] == 3 && steps.skein[1]["extra"]?["llm_response"] == chunks)
        #expect(steps.strict[1]["message"]?.stringValue?.contains("choices") == true)
    }

    @Test("knows the model of a request that only Skein can read, and prices it; the reference does not")
    func modelOfForgivenRequest() throws {
        let body: JSONValue = ["model": "g", "contents": [["role": "tool", "parts": [["text": "a"]]]]]
        let steps = try steps([
            Self.opener, Sample.fields(.scopeStart, 2, in: 1, "llm", at: 1, data: ["headers": [:], "content": body]),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: ["usage": ["prompt_tokens": 1]]),
        ])
        #expect(steps.skein.last?["model_name"] == "g" && steps.strict.last?["model_name"] == nil)
    }

    @Test("reads bodies without an envelope, in whatever form")
    func bareBodies() throws {
        let gemini: JSONValue = ["contents": [["role": "user", "parts": [["text": "hi"]]]]]
        let bare = [Self.opener, Sample.fields(.scopeStart, 2, in: 1, "llm", at: 1, data: gemini)]
        #expect(try steps(bare).skein[0]["message"] == "hi")
    }

    @Test("sees the errors of streams, whatever came before them, unless the end says that all is well")
    func streamError() throws {
        let chunks: JSONValue = [
            ["choices": [["index": 0, "delta": ["content": "Let me"]]]],
            ["error": ["message": "boom", "type": "server_error"]],
        ]
        for status in ["OK", nil] {
            let metadata: JSONValue? = status.map { ["otel.status_code": .string($0)] }
            let steps = try steps([
                Self.opener, Self.start(2, at: 1),
                Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: chunks, metadata: metadata),
            ])
            let error: JSONValue = ["type": "server_error", "description": "boom"]
            #expect(steps.skein[1]["message"] == "Let me")
            #expect(steps.skein[1]["extra"]?["error"] == (status == nil ? error : nil))
        }
    }

    @Test("reads calls of custom tools, of the old form, and of tools without arguments")
    func otherCalls() throws {
        let custom: JSONValue = ["id": "k", "type": "custom", "custom": ["name": "sql", "input": "select 1"]]
        let empty: JSONValue = ["id": "e", "function": ["name": "now", "arguments": ""]]
        let bodies: [JSONValue] = [
            ["choices": [["message": ["content": .null, "tool_calls": [custom, empty]]]]],
            ["choices": [["message": ["content": .null, "function_call": ["name": "w", "arguments": "{\"c\":1}"]]]]],
            [
                "output": [
                    ["type": "custom_tool_call", "id": "i", "call_id": "c", "name": "exec", "input": "print(1)"],
                    ["type": "function_call", "id": "j", "call_id": "d", "name": "last", "arguments": "{}"],
                ]
            ],
        ]
        var calls: [JSONValue] = []
        for body in bodies {
            let steps = try steps([
                Self.opener, Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: body),
            ])
            calls += steps.skein[1]["tool_calls"]?.arrayValue ?? []
        }
        #expect(calls.map { $0["function_name"] } == ["sql", "now", "w", "exec", "last"])
        #expect(calls.map { $0["arguments"] } == [["raw": "select 1"], [:], ["c": 1], ["raw": "print(1)"], [:]])
        #expect(calls.suffix(2).map { $0["tool_call_id"] } == ["c", "d"])
    }

    @Test("keeps calls of one id whose tools gave nothing back")
    func silentCalls() throws {
        // One whose call is nowhere makes a step before them.
        let steps = try steps([
            Self.opener, Self.tool(.scopeStart, 8, at: 0, id: "nowhere", data: [:]),
            Self.tool(.scopeEnd, 8, at: 0, id: "nowhere", data: "r"),
            Self.start(2, at: 1), Self.silent(["t"], 2, at: 2),
            Self.tool(.scopeStart, 3, at: 3, id: nil, name: "tool-t", data: [:]),
            Self.tool(.scopeEnd, 3, at: 4, id: nil, name: "tool-t", data: nil),
            Self.start(5, at: 5, prompt: "again"), Self.silent(["t"], 5, at: 6),
            Self.tool(.scopeStart, 6, at: 7, id: nil, name: "tool-t", data: [:]),
            Self.tool(.scopeEnd, 6, at: 8, id: nil, name: "tool-t", data: "r"),
        ])
        #expect(steps.skein.count { $0["source"] == "agent" } == 2)
    }

    @Test("shows pictures only where they are")
    func pictureAddresses() throws {
        let image: JSONValue = ["inlineData": ["mimeType": "image/png", "data": "x"]]
        let body: JSONValue = ["candidates": [["index": 0, "content": ["parts": [["text": "t"], image]]]]]
        func message(_ data: JSONValue) throws -> JSONValue? {
            try steps([
                Self.opener, Self.start(2, at: 1), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: data),
            ]).skein[1]["message"]
        }
        #expect(
            try message(body)?[1]?["source"]?["path"]
                == "step:///extra/llm_response/candidates/0/content/parts/1")
        #expect(try message([body])?[1]?["text"] == "[image/png]")
    }

    @Test("shows what a model said aloud, and Mistral's thoughts as such")
    func saidElsewhere() throws {
        let thinking: JSONValue = ["type": "thinking", "thinking": [["type": "text", "text": "hm"]]]
        let steps = try steps([
            Self.opener, Self.start(2, at: 1),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 2,
                data: [
                    "choices": [["message": ["content": .null, "refusal": .null, "audio": ["transcript": "spoken"]]]]
                ]),
            Self.start(3, at: 3),
            Sample.fields(
                .scopeEnd, 3, in: 1, "llm", at: 4,
                data: ["choices": [["message": ["content": [thinking, ["type": "text", "text": "said"]]]]]]),
        ])
        let answers = steps.skein.filter { $0["source"] == "agent" }
        #expect(answers.map { $0["message"] } == ["spoken", [["type": "text", "text": "said"]]])
        #expect(answers.last?["reasoning_content"] == "hm")
    }

    @Test("says of an agent that failed why it did, a subagent included")
    func failedAgents() throws {
        let fields = [
            Self.opener, Self.start(2, at: 1), Self.end(2, at: 2),
            Sample.fields(.scopeStart, 5, in: 1, "agent", at: 3, name: "sub"), Self.start(6, at: 4, in: 5),
            Self.end(6, at: 5, in: 5), Sample.fields(.scopeEnd, 5, in: 1, "agent", at: 6, metadata: Self.failure),
            Sample.fields(.scopeEnd, 1, in: 90, "agent", at: 7, metadata: Self.failure),
        ]
        let document = try document(fields)
        let error: JSONValue = ["error": ["type": "timeout", "description": "broke"]]
        #expect(document["extra"] == error && document["subagent_trajectories"]?[0]?["extra"] == error)
        #expect(DocumentValidator.findings(in: document).isEmpty)
        #expect(try self.document(fields, .strict)["extra"] == nil)
    }

    @Test("sets aside what cannot be, whoever reports it")
    func impossibleMetrics() throws {
        let usage: JSONValue = ["prompt_tokens": 3, "cached_tokens": 5, "cost_usd": -0.5]
        let steps = try steps([
            Self.opener, Self.start(2, at: 1),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: ["answer": "a", "usage": usage]),
        ])
        #expect(
            steps.skein[1]["metrics"] == ["prompt_tokens": 8, "cached_tokens": 5, "extra": ["reported_cost_usd": -0.5]])
        #expect(steps.strict[1]["metrics"]?["cached_tokens"] == 5)
    }

    @Test("names what did not end, each in the document of its agent")
    func unended() throws {
        let fields = [
            Self.opener, Self.start(2, at: 1), Self.end(2, at: 2),
            Self.tool(.scopeStart, 3, at: 3, id: "hang", data: ["x": 1]), Self.start(4, at: 4),
            Sample.fields(.scopeStart, 5, in: 1, "agent", at: 5, name: "sub"),
            Self.start(6, at: 6, in: 5), Self.end(6, at: 7, in: 5), Self.start(7, at: 8, in: 5),
        ]
        let document = try document(fields)
        #expect(DocumentValidator.findings(in: document).isEmpty)
        let own = document["extra"]?["unended_scopes"]?.arrayValue ?? []
        #expect(own.map { $0["category"] } == ["agent", "tool", "llm"])
        #expect(own.last?["event_uuid"] == .string(Sample.uuid(4).description))
        let tool = try #require(own.count == 3 ? own[1] : nil)
        #expect(tool["tool_call_id"] == "hang" && tool["tool_arguments"] == ["x": 1])
        #expect(tool["timestamp"] != nil && tool["parent_event_uuid"] == .string(Sample.uuid(1).description))
        let embedded = document["subagent_trajectories"]?[0]?["extra"]?["unended_scopes"]?.arrayValue ?? []
        #expect(embedded.map { $0["category"] } == ["agent", "llm"])
        #expect(try self.document(fields, .strict)["extra"] == nil)

        let opener = Sample.uuid(1)
        let dispatched = TrajectoryBuilder(
            origin: .dispatcher(opener: opener), agent: Self.agent, compatibility: .skein
        ).document(of: try Sample.events(fields))
        #expect(dispatched["extra"]?["unended_scopes"]?.arrayValue?.count == 3)
        #expect(dispatched["extra"]?["nemo_relay"] != nil)
        let ended = try self.document([
            Self.opener, Self.start(2, at: 1), Self.end(2, at: 2), Sample.fields(.scopeEnd, 1, in: 90, "agent", at: 3),
        ])
        #expect(ended["extra"] == nil)
    }

    @Test("tells of a tool without an answer that ran while a model was asked")
    func toolWhileAsking() throws {
        let steps = try steps([
            Self.start(2, at: 1), Self.end(2, at: 2), Self.start(3, at: 3),
            Self.tool(.scopeStart, 4, at: 4, id: nil, data: ["q": 1]),
            Self.tool(.scopeEnd, 4, at: 5, id: nil, data: nil),
            Self.end(3, at: 6),
        ])
        let results = steps.skein.flatMap { $0["observation"]?["results"]?.arrayValue ?? [] }
        #expect(results.map { $0["extra"]?["tool_arguments"] } == [["q": 1]])
    }

    @Test("puts executions without results that ended at one time in a fixed order")
    func silentAtOnce() throws {
        let numbers = Array(3...40)
        let steps = try steps(
            numbers.map { Self.tool(.scopeStart, $0, at: 0, id: "id-\($0)", data: "q") }
                + numbers.reversed().map { Self.tool(.scopeEnd, $0, at: 1, id: "id-\($0)", data: nil) })
        let results = steps.skein.flatMap { $0["observation"]?["results"]?.arrayValue ?? [] }
        #expect(results.map { $0["extra"]?["tool_call_id"] } == numbers.map { .string("id-\($0)") })
    }

    @Test("keeps the second result of a call beside the first")
    func secondResult() throws {
        let steps = try steps([
            Self.start(2, at: 1), Self.end(2, at: 2, calls: ["c"]),
            Self.tool(.scopeEnd, 3, at: 3, id: "c", data: "one"),
            Self.tool(.scopeEnd, 4, at: 4, id: "c", data: "two"),
        ])
        let strict = steps.strict[1]["observation"]?["results"]?[0]
        let skein = steps.skein[1]["observation"]?["results"]?[0]
        #expect(strict?["content"] == "one" && skein?["content"] == "one")
        #expect(strict?["extra"]?["other_results"] == nil)
        #expect(skein?["extra"]?["other_results"]?[0]?["content"] == "two")
    }

    @Test("gives arguments of a tool that nobody asked for the form that they must have")
    func arguments() throws {
        let steps = try steps([
            Self.end(2, at: 2), Self.tool(.scopeStart, 3, at: 3, id: "c", data: ["x"]),
        ])
        #expect(steps.strict[0]["tool_calls"]?[0]?["arguments"] == ["x"])
        #expect(steps.skein[0]["tool_calls"]?[0]?["arguments"] == ["value": ["x"]])
    }

    @Test("gives a tool without an id a call of its own when the only one of its name is taken")
    func repeatedTool() throws {
        let steps = try steps([
            Self.end(2, at: 2), Self.tool(.scopeStart, 3, at: 3, id: nil, data: ["n": 1]),
            Self.tool(.scopeEnd, 3, at: 4, id: nil, data: "one"),
            Self.tool(.scopeStart, 4, at: 5, id: nil, data: ["n": 2]),
            Self.tool(.scopeEnd, 4, at: 6, id: nil, data: "two"),
        ])
        #expect(steps.strict[0]["tool_calls"]?.arrayValue?.count == 1)
        #expect(steps.skein[0]["tool_calls"]?.arrayValue?.count == 2)
        #expect(
            steps.skein[0]["observation"]?["results"]?.arrayValue?.map { $0["content"] } == ["one", "two"])
    }

    @Test("gives calls of one id ids of their own")
    func repeatedID() throws {
        let steps = try steps([Self.end(2, at: 2, calls: ["c", "c"])])
        #expect(steps.strict[0]["tool_calls"]?.arrayValue?.map { $0["tool_call_id"] } == ["c", "c"])
        #expect(steps.skein[0]["tool_calls"]?.arrayValue?.map { $0["tool_call_id"] } == ["c", "c:2"])
        #expect(steps.skein[0]["tool_calls"]?[1]?["extra"] == ["tool_call_id": "c"])
    }

    @Test("keeps the schema's members of parts, and the rest beside them")
    func parts() throws {
        let image: JSONValue = ["media_type": "image/png", "path": "https://host/x.png"]
        let data: JSONValue = [
            ["type": "text", "text": "t", "annotations": []], ["type": "image", "source": image, "text": "seen"],
        ]
        let steps = try steps([
            Self.start(2, at: 1, prompt: data), Self.tool(.scopeEnd, 3, at: 2, id: nil, data: data),
        ])
        let clean: JSONValue = [
            ["type": "text", "text": "t"], ["type": "image", "source": image], ["type": "text", "text": "seen"],
        ]
        #expect(steps.strict[1]["observation"]?["results"]?[0]?["content"] == data)
        #expect(steps.skein[1]["observation"]?["results"]?[0]?["content"] == clean)
        #expect(steps.skein[1]["observation"]?["results"]?[0]?["extra"]?["tool_result"] == data)
    }

    @Test(
        "shows the pictures of a message",
        arguments: [
            (
                ["type": "image_url", "image_url": ["url": "https://host/x.jpeg?size=1"]],
                ["type": "image", "source": ["media_type": "image/jpeg", "path": "https://host/x.jpeg?size=1"]]
            ),
            (
                ["type": "image_url", "image_url": ["url": "data:image/gif;base64,AAAA"]],
                [
                    "type": "image",
                    "source": [
                        "media_type": "image/gif", "path": "step:///extra/llm_request/messages/0/content/1",
                    ],
                ]
            ),
            (
                ["type": "image", "source": ["type": "base64", "media_type": "image/png", "data": "AAAA"]],
                [
                    "type": "image",
                    "source": [
                        "media_type": "image/png", "path": "step:///extra/llm_request/messages/0/content/1",
                    ],
                ]
            ),
            (["type": "input_audio", "input_audio": [:]], ["type": "text", "text": "[input_audio]"]),
            (["type": "file", "file": ["filename": "a.pdf"]], ["type": "text", "text": "[file a.pdf]"]),
            (
                ["type": "document", "title": "", "source": ["file_id": "f1"]],
                ["type": "text", "text": "[document f1]"]
            ),
            (["type": "input_file", "file_url": "data:x,y"], ["type": "text", "text": "[input_file]"]),
            (
                ["type": "image_url", "image_url": ["url": "https://host/x"]],
                ["type": "text", "text": "[image https://host/x]"]
            ),
        ] as [(JSONValue, JSONValue)])
    func pictures(part: JSONValue, expected: JSONValue) throws {
        let request: JSONValue = [
            "messages": [["role": "user", "content": [["type": "text", "text": "look"], part]]]
        ]
        let steps = try steps([Sample.fields(.scopeStart, 2, in: 1, "llm", at: 1, data: request)])
        #expect(steps.strict[0]["message"]?.stringValue?.hasPrefix("[{") == true)
        #expect(steps.skein[0]["message"] == [["type": "text", "text": "look"], expected])
    }

    @Test("does not put the whole request into the user's mouth")
    func systemMessage() throws {
        let request: JSONValue = [
            "content": ["messages": [["role": "system", "content": "be good"]], "model": "m"], "headers": [:],
        ]
        let steps = try steps([Sample.fields(.scopeStart, 2, in: 1, "llm", at: 1, data: request)])
        #expect(steps.strict[0]["source"] == "user")
        #expect(steps.skein[0]["source"] == "system")
        #expect(steps.skein[0]["message"] == "be good")
    }

    @Test(
        "reads what the model thought",
        arguments: [
            ["choices": [["message": ["content": "a", "reasoning_content": "hm"]]]],
            ["type": "message", "content": [["type": "thinking", "thinking": "hm"], ["type": "text", "text": "a"]]],
            ["output": [["type": "reasoning", "summary": [["type": "summary_text", "text": "hm"]]]]],
            ["candidates": [["content": ["parts": [["text": "hm", "thought": true], ["text": "a"]]]]]],
        ] as [JSONValue])
    func reasoning(data: JSONValue) throws {
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: data)])
        #expect(steps.strict[0]["reasoning_content"] == nil)
        #expect(steps.skein[0]["reasoning_content"] == "hm")
    }

    @Test("writes an effort that is no text and no number as text, and times in microseconds")
    func scalars() throws {
        var start = Sample.fields(
            .scopeStart, 2, in: 1, "llm", data: ["prompt": "p", "reasoning_effort": ["level": 1]])
        start.timestamp = try #require(EventTime(rfc3339: "2026-01-01T00:00:00.123456789Z"))
        var end = Self.end(2, at: 0)
        end.timestamp = try #require(EventTime(rfc3339: "2026-01-01T00:00:01Z"))
        let steps = try steps([start, end])
        #expect(steps.strict[1]["reasoning_effort"] == ["level": 1])
        #expect(steps.skein[1]["reasoning_effort"] == #"{"level":1}"#)
        #expect(steps.strict[0]["timestamp"] == "2026-01-01T00:00:00.123456789+00:00")
        #expect(steps.skein[0]["timestamp"] == "2026-01-01T00:00:00.123456+00:00")
    }

    @Test("takes lists of tokens from both forms of usage")
    func tokenLists() throws {
        let data: JSONValue = [
            "answer": "a", "usage": ["prompt_tokens": 1, "logprobs": [0.5]],
            "token_usage": ["completion_token_ids": [5]],
        ]
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: data)])
        #expect(steps.skein[0]["metrics"]?["logprobs"] == [0.5])
        #expect(steps.strict[0]["metrics"]?["logprobs"] == nil)
        for step in [steps.skein[0], steps.strict[0]] {
            #expect(step["metrics"]?["completion_token_ids"] == [5])
        }
    }

    @Test("counts as cached what was found in the cache")
    func cachedTokens() throws {
        let usage: JSONValue = ["input_tokens": 9, "cache_read_tokens": 5, "cache_write_tokens": 3]
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: ["answer": "a", "usage": usage])])
        #expect(steps.strict[0]["metrics"]?["cached_tokens"] == 8)
        #expect(steps.skein[0]["metrics"]?["cached_tokens"] == 5)
        #expect(steps.skein[0]["metrics"]?["extra"] == ["cache_write_tokens": 3])
    }

    @Test("keeps the metrics of a step that a later one repeats")
    func repeatedStep() throws {
        let call: JSONValue = ["id": "c", "name": "f", "arguments": [:]]
        let steps = try steps([
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 1,
                data: ["tool_calls": [call], "usage": ["prompt_tokens": 7]]),
            Sample.fields(.scopeEnd, 3, in: 1, "llm", at: 2, data: ["answer": "a", "tool_calls": [call]]),
            Self.tool(.scopeEnd, 4, at: 3, id: "c", data: "r"),
        ])
        #expect(steps.strict.count == 1 && steps.skein.count == 1)
        #expect(steps.strict[0]["metrics"] == nil)
        #expect(steps.skein[0]["metrics"] == ["prompt_tokens": 7])
    }

    @Test("tells what a guardrail rejected")
    func rejections() throws {
        let target: JSONValue = ["kind": "tool_conditional_execution", "target_name": "tool-c"]
        let rejection = [
            Sample.fields(.scopeStart, 3, in: 1, "guardrail", at: 3, data: target),
            Sample.fields(
                .scopeEnd, 3, in: 1, "guardrail", at: 4,
                data: ["allowed": false, "rejected": true, "rejection_reason": "no"]),
        ]
        let asked = try steps([Self.start(2, at: 1), Self.end(2, at: 2, calls: ["c"])] + rejection)
        #expect(asked.strict[1]["observation"] == nil)
        #expect(asked.skein[1]["observation"]?["results"]?[0]?["content"] == "no")
        #expect(asked.skein[1]["observation"]?["results"]?[0]?["extra"]?["status"] == "rejected")
        let unasked = try steps(rejection)
        #expect(unasked.strict.isEmpty)
        #expect(unasked.skein.map { $0["message"] } == ["no"])
    }

    @Test(
        "counts what a gateway found in a cache as its form does, not by the name of the gateway",
        arguments: [("claude-proxy", 14), ("openai", 10)])
    func cachesOfGateways(name: String, strict: Int64) throws {
        let usage: JSONValue = [
            "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12,
            "prompt_tokens_details": ["cached_tokens": 4],
        ]
        let data: JSONValue = [
            "object": "chat.completion", "choices": [["message": ["role": "assistant", "content": "a"]]],
            "usage": usage,
        ]
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", name: name, data: data)])
        #expect(steps.skein[0]["metrics"]?["prompt_tokens"] == 10)
        #expect(steps.strict[0]["metrics"]?["prompt_tokens"] == .int(strict))
    }

    @Test("counts up to the greatest number, where the reference goes on from zero")
    func greatestTotal() throws {
        let events = [UInt64.max, 9].enumerated().map { number, count in
            Sample.fields(
                .scopeEnd, 2 + number, in: 1, "llm", at: Int64(number),
                data: ["answer": "a", "usage": ["prompt_tokens": .unsigned(count)]])
        }
        let skein = try document(events)
        #expect(skein["final_metrics"]?["total_prompt_tokens"]?.uint64Value == .max)
        #expect(DocumentValidator.findings(in: skein).isEmpty)
        #expect(try document(events, .strict)["final_metrics"]?["total_prompt_tokens"] == 8)
    }

    @Test("gives a tool a call before its answer, also when its clock says the opposite")
    func toolEndsBeforeItsStart() throws {
        let call: JSONValue = ["id": "c", "name": "tool", "arguments": ["q": 1]]
        let steps = try steps([
            Self.start(2, at: 1),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: ["answer": "a", "tool_calls": [call]]),
            Self.tool(.scopeStart, 3, at: 3, id: nil, data: ["q": 1]),
            Self.tool(.scopeEnd, 3, at: 4, id: nil, data: "first"),
            Self.start(4, at: 5), Self.end(4, at: 6),
            Self.tool(.scopeEnd, 5, at: 7, id: nil, data: "second"),
            Self.tool(.scopeStart, 5, at: 8, id: nil, data: ["q": 1]),
        ])
        #expect(steps.skein.map { $0["source"] } == ["user", "agent", "user", "agent"])
        #expect(steps.skein[1]["observation"]?["results"]?[0]?["content"] == "first")
        let result = steps.skein[3]["observation"]?["results"]?[0]
        #expect(result?["content"] == "second")
        #expect(result?["source_call_id"] == steps.skein[3]["tool_calls"]?[0]?["tool_call_id"])
    }

    @Test("gives a tool no call that nobody answers when it ended before its start, while a model was asked")
    func toolEndsWhileAsking() throws {
        let steps = try steps([
            Self.start(2, at: 1), Self.tool(.scopeEnd, 5, at: 2, id: nil, data: "x"), Self.end(2, at: 3),
            Self.tool(.scopeStart, 5, at: 4, id: nil, data: ["q": 1]),
        ])
        let calls = steps.skein.flatMap { $0["tool_calls"]?.arrayValue ?? [] }
        #expect(calls.isEmpty)
        let results = steps.skein.flatMap { $0["observation"]?["results"]?.arrayValue ?? [] }
        #expect(results.map { $0["content"] } == ["x"])
        #expect(results[0]["extra"]?["tool_arguments"] == ["q": 1])
    }

    @Test("shows the picture that the user sent last, whatever comes behind it")
    func lastInput() throws {
        let input: JSONValue = [
            "input": [
                [
                    "role": "user",
                    "content": [
                        ["type": "input_text", "text": "look"],
                        ["type": "input_image", "image_url": "https://h/x.png"],
                    ],
                ], ["role": "user", "content": 5],
            ]
        ]
        let message = try steps([Sample.fields(.scopeStart, 2, in: 1, "llm", data: input)]).skein[0]["message"]
        #expect(message?.arrayValue?.map { $0["type"] } == ["text", "image"])
    }

    @Test("reads blocks of an Anthropic message's own content alone as such")
    func wrappedBlocks() throws {
        let blocks: JSONValue = [["type": "text", "text": "x"], ["type": "thinking", "thinking": "t"]]
        let data: JSONValue = ["type": "message", "assistant_message": ["content": blocks]]
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: data)])
        #expect(steps.skein[0]["message"] == [["type": "text", "text": "x"]])
    }

    @Test("reads OCI's parts, wrapped or not, with an annotation or without", arguments: [true, false], [true, false])
    func ociParts(isWrapped: Bool, isAnnotated: Bool) throws {
        let message: JSONValue = [
            "role": "ASSISTANT",
            "content": [
                ["type": "TEXT", "text": "t"], ["type": "IMAGE", "imageUrl": ["url": "https://h/x.png"]],
            ],
        ]
        let chat: JSONValue = ["apiFormat": "GENERIC", "choices": [["message": message]]]
        let annotation: JSONValue = [
            "message": [
                ["type": "text", "text": "t"],
                ["type": "image_url", "image_url": ["url": "https://h/x.png"]],
            ], "api_specific": ["api": "oci_genai"],
        ]
        let steps = try steps([
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", data: isWrapped ? ["chatResponse": chat] : chat,
                profile: isAnnotated ? ["annotated_response": annotation] : nil)
        ])
        let image: JSONValue = ["media_type": "image/png", "path": "https://h/x.png"]
        #expect(
            steps.skein[0]["message"] == [["type": "text", "text": "t"], ["type": "image", "source": image]])
    }

    @Test(
        "lets a model say what it said when it did not answer",
        arguments: [
            (
                ["object": "chat.completion", "choices": [["message": ["content": .null, "refusal": "I cannot"]]]],
                "I cannot"
            ),
            (
                [
                    "object": "response",
                    "output": [
                        [
                            "type": "message", "role": "assistant",
                            "content": [["type": "refusal", "refusal": "I cannot"]],
                        ]
                    ],
                ],
                "I cannot"
            ),
            (["promptFeedback": ["blockReason": "SAFETY", "blockReasonMessage": "not this"]], "not this"),
            (["promptFeedback": ["blockReason": "SAFETY"]], ""),
            (["candidates": [["finishReason": "SAFETY"]]], ""),
        ] as [(JSONValue, JSONValue)])
    func refusals(data: JSONValue, expected: JSONValue) throws {
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: data)])
        #expect(steps.skein[0]["message"] == expected)
        #expect(steps.strict[0]["message"]?.stringValue?.hasPrefix("{") == true)
        #expect(steps.skein[0]["extra"]?["llm_response"] == data)
    }

    @Test("has a start before its own end and behind its parent's start when they have one time")
    func simultaneous() throws {
        let ended = Sample.fields(.scopeEnd, 1, in: 90, "agent", at: 1, name: "root")
        let opened = Sample.fields(.scopeStart, 1, in: 90, "agent", at: 1, name: "root")
        for events in [
            [Self.end(2, at: 1), Self.start(2, at: 1)], [ended, Self.end(2, at: 1), Self.start(2, at: 1), opened],
        ] {
            let steps = try steps(events)
            #expect(steps.skein.map { $0["source"] } == ["user", "agent"])
            #expect(steps.strict.map { $0["source"] } == ["agent", "user"])
        }
    }

    @Test("is not slow with many results of one call or many tools of one name")
    func many() throws {
        let count = 3000
        let results = (0..<count).map {
            Self.tool(.scopeEnd, 10 + $0, at: 3, id: "c", data: .string("\($0)"))
        }
        let one = try document([Self.end(2, at: 2, calls: ["c"])] + results)["steps"]?[0]
        let others = one?["observation"]?["results"]?[0]?["extra"]?["other_results"]?.arrayValue
        #expect(others?.count == count - 1)
        #expect(others?.last?["content"] == .string("\(count - 1)"))
        let tools = (0..<count).flatMap {
            [
                Self.tool(.scopeStart, 10 + $0, at: 3, id: nil, data: [:]),
                Self.tool(.scopeEnd, 10 + $0, at: 3, id: nil, data: .string("\($0)")),
            ]
        }
        let step = try document([Self.end(2, at: 2)] + tools)["steps"]?[0]
        #expect(step?["tool_calls"]?.arrayValue?.count == count)
        #expect(step?["observation"]?["results"]?.arrayValue?.count == count)
    }
}
