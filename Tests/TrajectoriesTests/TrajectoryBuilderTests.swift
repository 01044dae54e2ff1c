import ATOF
import Testing
import Trajectories

@Suite("Trajectory builder")
struct TrajectoryBuilderTests {
    private let agent = AgentDescription(name: "golden-agent", version: "9.9.9", modelName: "default-model")

    @Test("writes the manual exporter's document as recorded", arguments: RecordedCase.names)
    func manual(name: String) throws {
        let recorded = try RecordedCase(name)
        let builder = TrajectoryBuilder(
            origin: .manual(sessionID: "session-\(name)"), agent: agent, compatibility: .strict)
        #expect(builder.document(of: recorded.events) == recorded.manual)
    }

    @Test("leaves the model out of a manual document and calls it unknown in a dispatcher's")
    func defaultModel() throws {
        let nameless = AgentDescription(version: "1")
        let events = try Sample.events([Sample.fields(.scopeStart, 1, "agent")])
        let manual = TrajectoryBuilder(origin: .manual(sessionID: "s"), agent: nameless, compatibility: .strict)
            .document(of: events)
        #expect(manual["agent"] == ["name": "NeMo Relay", "version": "1"])
        let dispatched = TrajectoryBuilder(
            origin: .dispatcher(opener: Sample.uuid(1)), agent: nameless, compatibility: .strict
        ).document(
            of: events)
        #expect(dispatched["agent"]?["model_name"] == "unknown")
    }

    private func steps(_ fields: [EventFields]) throws -> [JSONValue] {
        let document = TrajectoryBuilder(origin: .manual(sessionID: "s"), agent: agent, compatibility: .strict)
            .document(
                of: try Sample.events(fields))
        return try #require(document["steps"]?.arrayValue)
    }

    private func chat(_ calls: [(id: String, name: String, arguments: String)]) -> JSONValue {
        let list: [JSONValue] = calls.map { call in
            ["id": .string(call.id), "function": ["name": .string(call.name), "arguments": .string(call.arguments)]]
        }
        return ["choices": [["message": ["tool_calls": .array(list)]]]]
    }

    @Test("takes a call's first id that is a text and not empty")
    func idsOfCalls() throws {
        let call: JSONValue = ["id": "", "tool_call_id": 7, "call_id": "third", "name": "f"]
        let steps = try steps([
            Sample.fields(.scopeStart, 1, "agent", at: 0),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: ["tool_calls": [call]]),
        ])
        #expect(steps.first?["tool_calls"]?[0]?["tool_call_id"] == "third")
    }

    @Test("drops a step only when the calls that it repeats have results", arguments: [true, false])
    func repeatedCalls(hasResult: Bool) throws {
        let answer = chat([("c", "f", "{}")])
        var fields = [
            Sample.fields(.scopeStart, 1, "agent", at: 0),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: answer),
            Sample.fields(.scopeEnd, 3, in: 1, "llm", at: 2, data: answer),
        ]
        if hasResult {
            fields.append(
                Sample.fields(.scopeEnd, 4, in: 1, "tool", at: 3, data: "r", profile: ["tool_call_id": "c"]))
        }
        #expect(try steps(fields).count == (hasResult ? 1 : 2))
    }

    @Test("tells a tool that was called with null from a scope that has no arguments")
    func nullArguments() throws {
        let steps = try steps([
            Sample.fields(.scopeStart, 1, "agent", at: 0),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: ["answer": "a"]),
            Sample.fields(.scopeStart, 3, in: 1, "tool", at: 2, name: "called", profile: [:]),
            Sample.fields(.scopeStart, 4, in: 1, "tool", at: 3, name: "scope"),
        ])
        #expect(steps[0]["tool_calls"]?[0]?["arguments"] == .null)
        #expect(steps[0]["tool_calls"]?[1]?["arguments"] == [:])
    }

    @Test("shows a Responses output of calls alone as JSON text, which is the reference's way")
    func callsAlone() throws {
        let data: JSONValue = ["output": [["type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"]]]
        let events = try Sample.events([
            Sample.fields(.scopeStart, 1, "agent", at: 0), Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: data),
        ])
        func message(_ compatibility: Compatibility) -> JSONValue? {
            TrajectoryBuilder(origin: .manual(sessionID: "s"), agent: agent, compatibility: compatibility)
                .document(of: events)["steps"]?[0]?["message"]
        }
        #expect(message(.strict) == .string(data.compactText))
        #expect(message(.skein) == "")
    }

    @Test("keeps an observation until its call arrives, and ends with those whose call never does")
    func lateCalls() throws {
        let steps = try steps([
            Sample.fields(.scopeStart, 1, "agent", at: 0),
            Sample.fields(.scopeStart, 2, in: 1, "tool", at: 1, data: [:], profile: ["tool_call_id": "known"]),
            Sample.fields(.scopeEnd, 2, in: 1, "tool", at: 2, data: "early", profile: ["tool_call_id": "known"]),
            Sample.fields(.scopeEnd, 3, in: 1, "tool", at: 3, data: "lost", profile: ["tool_call_id": "never"]),
            Sample.fields(.scopeEnd, 4, in: 1, "llm", at: 4, data: chat([("known", "f", "{}")])),
        ])
        #expect(steps.count == 2)
        #expect(steps[0]["observation"]?["results"]?[0]?["content"] == "early")
        #expect(steps[0]["extra"]?["tool_invocations"]?[0]?["invocation_id"] == "known")
        #expect(steps[1]["source"] == "system")
        #expect(steps[1]["observation"]?["results"]?[0]?["content"] == "lost")
        #expect(steps[1]["observation"]?["results"]?[0]?["source_call_id"] == nil)
    }

    @Test("adds a call for a tool that the model did not ask for")
    func syntheticCall() throws {
        let steps = try steps([
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: ["content": "text"]),
            Sample.fields(.scopeStart, 3, in: 1, "tool", at: 2, name: "other", data: ["x": 1]),
            Sample.fields(.scopeEnd, 3, in: 1, "tool", at: 3, name: "other", data: "done"),
        ])
        #expect(steps.count == 1)
        #expect(steps[0]["tool_calls"]?[0]?["tool_call_id"]?.stringValue == Sample.uuid(3).description)
        #expect(steps[0]["observation"]?["results"]?[0]?["content"] == "done")
    }

    @Test("keeps values of overlapping calls apart")
    func overlappingCalls() throws {
        func start(_ number: Int, at second: Int64, effort: JSONValue) -> EventFields {
            let data: JSONValue = ["prompt": "p", "reasoning_effort": effort]
            return Sample.fields(.scopeStart, number, in: 1, "llm", at: second, data: data)
        }
        let steps = try steps([
            start(2, at: 0, effort: "low"), start(3, at: 1, effort: "high"),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: "a"),
            Sample.fields(.scopeEnd, 3, in: 1, "llm", at: 3, data: "b"),
        ])
        #expect(steps.map { $0["reasoning_effort"] } == [nil, nil, "low", "high"])
    }

    @Test(
        "makes a user step of a request that begins with the user, and none of one that goes on",
        arguments: [
            (["messages": [["role": "user", "content": "x"]]], true), (["messages": [["content": "x"]]], true),
            // A role that is no text is none, as seen in nemo-relay 0.10.4.
            (["messages": [["role": "assistant"], ["role": .null, "content": "x"]]], true),
            (["messages": [["role": "assistant"], ["role": 5, "content": "x"]]], true),
            (["messages": [["role": "user"], ["role": "User", "content": "x"]]], false),
            (["input": [["type": "function_call"], ["type": "message", "role": 5]]], true),
            (["input": [["type": "message", "role": "user"], ["type": 5]]], true),
            (["messages": [["role": "user", "content": "x"], ["role": "tool", "content": "y"]]], false),
            (["messages": [["role": "user", "content": [["type": "tool_result"]]]]], false),
            (["messages": [["role": "user", "content": [["type": "tool_result"], ["type": "text"]]]]], true),
            (["messages": [["role": "assistant"], ["role": "system"]]], false), (["input": "x"], true),
            (["input": [["type": "function_call_output"]]], false),
            (["input": [["type": "message", "role": "user"]]], true),
            (["prompt": .null], true), (["messages": [], "other": 1], true),
        ] as [(JSONValue, Bool)])
    func turns(request: JSONValue, isFresh: Bool) throws {
        let steps = try steps([
            Sample.fields(.scopeStart, 2, in: 1, "llm", at: 0, data: request),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 1, data: "answer"),
        ])
        #expect(steps.count == (isFresh ? 2 : 1))
        #expect((steps.last?["extra"]?["llm_request"] == request) == !isFresh)
    }

    @Test("goes flat when a model call has no agent above it")
    func flat() throws {
        let nested = [
            Sample.fields(.scopeStart, 1, "agent", at: 0), Sample.fields(.scopeStart, 2, in: 1, "agent", at: 1),
            Sample.fields(.scopeEnd, 3, in: 2, "llm", at: 2, data: "inner"),
        ]
        #expect(try steps(nested).compactMap { $0["message"] } == [""])
        let orphan = Sample.fields(.scopeEnd, 4, in: 9, "llm", at: 3, data: "orphan")
        #expect(try steps(nested + [orphan]).compactMap { $0["message"] } == ["inner", "orphan"])
    }

    @Test("ends on circles of parents and on deep nesting")
    func hostileParents() throws {
        let circle = [
            Sample.fields(.scopeStart, 1, in: 2, "agent"), Sample.fields(.scopeStart, 2, in: 1, "agent"),
            Sample.fields(.scopeEnd, 3, in: 1, "llm", data: "text"),
        ]
        let origin = TrajectoryBuilder.Origin.dispatcher(opener: Sample.uuid(1))
        let document = TrajectoryBuilder(origin: origin, agent: agent, compatibility: .strict).document(
            of: try Sample.events(circle))
        #expect(document["steps"]?.arrayValue?.count == 1)
        let deep = (1...2000).map { Sample.fields(.scopeStart, $0, in: $0 - 1, "agent", at: Int64($0)) }
        _ = TrajectoryBuilder(origin: origin, agent: agent, compatibility: .strict).document(
            of: try Sample.events(deep))
    }

    @Test(
        "says what an Anthropic message says, nothing when it only calls tools, and else what it holds",
        arguments: [
            (
                [
                    ["type": "text", "text": "a"], ["type": "tool_use", "id": "t", "name": "f"],
                    ["type": "text", "text": "b"],
                ], "a\nb"
            ),
            ([["type": "tool_use", "id": "t", "name": "f"]], ""),
            ([["type": "thinking", "thinking": "hm"], ["type": "tool_use", "id": "t", "name": "f"]], ""),
            ([["type": "text", "text": " "], ["type": "tool_use", "id": "t", "name": "f"]], ""),
            ([["type": "thinking"]], #"[{"type":"thinking"}]"#), ([], []),
        ] as [([JSONValue], JSONValue)])
    func anthropicMessage(content: [JSONValue], message: JSONValue) throws {
        let data: JSONValue = ["type": "message", "content": .array(content)]
        #expect(try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: data)]).map { $0["message"] } == [message])
    }

    @Test("takes over calls from a raw list, and what it does not know of them as extra")
    func promotion() throws {
        let call: JSONValue = ["id": 5, "toolName": "f", "args": "[1]", "x": 1, "function": ["strict": true]]
        let steps = try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: ["tool_calls": [call]])])
        #expect(
            steps[0]["tool_calls"] == [
                [
                    "tool_call_id": "f:1", "function_name": "f", "arguments": ["value": [1]],
                    "extra": ["toolName": "f", "x": 1, "function": ["strict": true]],
                ]
            ])
    }

    @Test("names the session by the propagated root, and without one by the opener", arguments: [nil, 7])
    func sessionID(root: Int?) throws {
        var start = Sample.fields(.scopeStart, 1, in: 9, "agent")
        start.propagationRootUUID = root.map(Sample.uuid)
        let document = TrajectoryBuilder(
            origin: .dispatcher(opener: Sample.uuid(1)), agent: agent, compatibility: .strict
        ).document(
            of: try Sample.events([start]))
        #expect(document["session_id"] == .string(Sample.uuid(root ?? 1).description))
        #expect(document["trajectory_id"] == .string(Sample.uuid(1).description))
        #expect(
            document["extra"]?["nemo_relay"]?["session_instance_id"] == .string(Sample.uuid(root ?? 9).description))
    }

    @Test("gives the span that stays the metrics of all that it replaces, also of one that another replaced first")
    func chainOfDuplicates() throws {
        let spans: [(metadata: JSONValue, usage: JSONValue)] = [
            (["projection": true], ["prompt_tokens": 1]), (["hook_event_name": "h"], ["output_tokens": 2]),
            (["provider_payload_exact": true], ["cached_tokens": 3]),
        ]
        var fields: [EventFields] = []
        for (index, span) in spans.enumerated() {
            fields.append(
                Sample.fields(
                    .scopeStart, index + 2, in: 1, "llm", at: Int64(index), data: ["prompt": "p"],
                    metadata: span.metadata))
            fields.append(
                Sample.fields(
                    .scopeEnd, index + 2, in: 1, "llm", at: Int64(index + 5),
                    data: ["answer": "a", "usage": span.usage],
                    metadata: span.metadata))
        }
        let steps = try steps(fields)
        #expect(steps.map { $0["message"] } == ["p", "a"])
        #expect(steps[1]["metrics"] == ["prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 3])
    }

    @Test("suppresses the copy of a call that a hook saw less exactly than the gateway")
    func duplicateCalls() throws {
        let hook: JSONValue = ["hook_event_name": "h", "provider_payload_exact": false]
        let gateway: JSONValue = ["gateway_path": "/v1", "provider_payload_exact": true]
        let steps = try steps([
            Sample.fields(.scopeStart, 2, in: 1, "llm", at: 0, data: ["prompt": "p"], metadata: hook),
            Sample.fields(.scopeStart, 3, in: 1, "llm", at: 1, data: ["prompt": "p"], metadata: gateway),
            Sample.fields(
                .scopeEnd, 3, in: 1, "llm", at: 2, data: ["answer": "a", "usage": ["prompt_tokens": 1]],
                metadata: gateway),
            Sample.fields(
                .scopeEnd, 2, in: 1, "llm", at: 3, data: ["answer": "b", "usage": ["output_tokens": 2]], metadata: hook),
        ])
        #expect(steps.compactMap { $0["message"] } == ["p", "a"])
        #expect(steps[1]["metrics"] == ["prompt_tokens": 1, "completion_tokens": 2])
    }

    /// A hook's and a gateway's span of what may be one call, which overlap.
    private func observedTwice(
        requests: [JSONValue] = [["prompt": "p"], ["prompt": "p"]],
        responses: [JSONValue] = [["answer": "a"], ["answer": "a"]], profiles: [JSONValue?] = [nil, nil],
        hook: JSONValue = ["hook_event_name": "h"], gateway: JSONValue = ["gateway_path": "/v1"]
    ) throws -> Int {
        var exact = gateway.objectValue ?? JSONObject()
        exact["provider_payload_exact"] = true
        return try steps([
            Sample.fields(.scopeStart, 2, in: 1, "llm", at: 0, data: requests[0], metadata: hook),
            Sample.fields(.scopeStart, 3, in: 1, "llm", at: 1, data: requests[1], metadata: .object(exact)),
            Sample.fields(
                .scopeEnd, 3, in: 1, "llm", at: 2, data: responses[1], metadata: .object(exact), profile: profiles[1]),
            Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 3, data: responses[0], metadata: hook, profile: profiles[0]),
        ]).count
    }

    @Test("compares what two spans of a call hold by their bodies, whoever annotated them")
    func duplicatesByBody() throws {
        let output: JSONValue = [
            "output": [["type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"]]
        ]
        let annotation: JSONValue = ["annotated_response": ["message": "said", "model": "m"]]
        #expect(try observedTwice(responses: [output, output], profiles: [nil, annotation]) == 2)
        #expect(
            try observedTwice(responses: [["answer": "a"], ["answer": "b"]], profiles: [annotation, annotation]) == 4)
    }

    @Test("takes no empty id for one that two spans share", arguments: [("", 4), (" ", 2), ("r", 2)])
    func emptyCorrelation(id: String, steps: Int) throws {
        let hook: JSONValue = ["hook_event_name": "h", "provider_payload_exact": false, "request_id": .string(id)]
        let gateway: JSONValue = ["gateway_path": "/v1", "request_id": .string(id)]
        #expect(
            try observedTwice(requests: [["prompt": "p"], ["prompt": "q"]], hook: hook, gateway: gateway) == steps)
    }

    @Test("takes what the user said last in an input, and joins blocks of an Anthropic message's own content only")
    func texts() throws {
        let input: JSONValue = ["input": [["role": "user", "content": "hello"], ["role": "user", "content": 5]]]
        #expect(try steps([Sample.fields(.scopeStart, 2, in: 1, "llm", data: input)])[0]["message"] == "hello")
        let parts: JSONValue = [["type": "text", "text": "x"]]
        let answer: JSONValue = ["type": "message", "answer": parts]
        #expect(try steps([Sample.fields(.scopeEnd, 2, in: 1, "llm", data: answer)])[0]["message"] == parts)
    }

    @Test("an answer whose codec found no message is empty, whatever else the provider's message had")
    func leftovers() throws {
        let message: JSONValue = ["role": "ASSISTANT", "content": .null, "refusal": "no", "toolCalls": []]
        let data: JSONValue = [
            "modelId": "m", "chatResponse": ["apiFormat": "GENERIC", "choices": [["message": message]]],
        ]
        let annotation: JSONValue = ["message": ["refusal": "no"], "model": "m", "api_specific": ["api": "oci_genai"]]
        let steps = try steps([
            Sample.fields(.scopeEnd, 2, in: 1, "llm", data: data, profile: ["annotated_response": annotation])
        ])
        #expect(steps[0]["message"] == "")
    }
}
