import ATOF
import Middleware
import Testing

@Suite("NeMo Guardrails, remote checks")
struct NeMoGuardrailsTests {
    private static let settings = NeMoGuardrails(endpoint: "http://127.0.0.1:8000", configuration: .one("plain"))

    private static func body(_ check: NeMoGuardrailsCheck, _ change: (inout NeMoGuardrails) -> Void = { _ in }) throws
        -> JSONValue
    {
        var settings = settings
        change(&settings)
        return try JSONParser.parse(settings.body(of: check))
    }

    @Test(
        "a request asks for the rails of one surface and nothing else",
        arguments: [
            (NeMoGuardrailsCheck.input(model: "m", messages: [["role": "user", "content": "hi"]]), "input"),
            (.output(model: "m", text: "yes"), "output"),
            (.toolOutput(name: "search", arguments: ["q": 1], result: ["r": "ok"]), "tool_input"),
        ])
    func surfaces(_ check: NeMoGuardrailsCheck, _ on: String) throws {
        let body = try Self.body(check)
        let rails = try #require(body["guardrails"]?["options"]?["rails"]?.objectValue)
        #expect(rails.keys == ["dialog", "input", "output", "retrieval", "tool_input", "tool_output"])
        #expect(rails.allSatisfy { $0.value == .bool($0.key == on) })
        #expect(body["stream"] == false && body["guardrails"]?["config_id"] == "plain")
        #expect(body["guardrails"]?["options"]?["log"] == ["activated_rails": true])
    }

    @Test("a tool's check is a conversation about one call of it")
    func toolMessages() throws {
        let body = try Self.body(.toolOutput(name: "search", arguments: ["q": 1], result: ["r": "ok"]))
        #expect(body["model"] == "")
        #expect(body["messages"]?[0] == ["role": "user", "content": "Run the tool 'search' and validate the result."])
        let call = body["messages"]?[1]?["tool_calls"]?[0]
        #expect(call?["id"] == "nemo_guardrails_search_call" && call?["type"] == "function")
        #expect(call?["function"] == ["name": "search", "arguments": #"{"q":1}"#])
        #expect(
            body["messages"]?[2]
                == ["role": "tool", "tool_call_id": "nemo_guardrails_search_call", "content": #"{"r":"ok"}"#])
    }

    @Test("request defaults go into every request")
    func defaults() throws {
        let body = try Self.body(.input(model: "m", messages: [])) {
            $0.configuration = .several(["a", "b"])
            $0.defaults.context = JSONObject([("team", "x")])
            $0.defaults.threadID = "0123456789abcdef"
            $0.defaults.rails = JSONObject([("input", ["one rail"]), ("output", ["none of this"])])
            $0.defaults.outputVars = true
            $0.defaults.llmParams = JSONObject([("temperature", 0)])
            $0.defaults.log = JSONObject([("activated_rails", false), ("llm_calls", true)])
        }
        let guardrails = try #require(body["guardrails"])
        #expect(guardrails["config_ids"] == ["a", "b"] && guardrails["config_id"] == nil)
        #expect(guardrails["context"] == ["team": "x"] && guardrails["thread_id"] == "0123456789abcdef")
        #expect(guardrails["options"]?["rails"]?["input"] == ["one rail"])
        #expect(guardrails["options"]?["rails"]?["output"] == false)
        #expect(guardrails["options"]?["output_vars"] == true)
        #expect(guardrails["options"]?["llm_params"] == ["temperature": 0])
        // Without the log nobody would know what a rail has stopped.
        #expect(guardrails["options"]?["log"] == ["activated_rails": true, "llm_calls": true])
    }

    private static let pass = #"{"choices":[{"message":{"role":"assistant","content":"hi"}}]}"#

    private static func verdict(
        _ body: String, status: Int = 200,
        _ check: NeMoGuardrailsCheck = .input(model: "m", messages: [["role": "user", "content": "hi"]])
    ) throws -> NeMoGuardrailsVerdict {
        try NeMoGuardrailsVerdict(status: status, body: Array(body.utf8), to: check)
    }

    private static func answer(
        content: String = "hi", role: String = "assistant", name: String? = nil, rails: String = "[]"
    ) -> String {
        var message = JSONObject([("role", .string(role)), ("content", .string(content))])
        message["name"] = name.map { .string($0) }
        let text = JSONValue.object(message).compactText
        return #"{"choices":[{"message":\#(text)}],"guardrails":{"log":{"activated_rails":\#(rails)}}}"#
    }

    @Test(
        "a rail with a name that stops or refuses blocks, whatever the answer says",
        arguments: [
            (#"[{"name":"a","stop":false},{"name":"b","stop":true}]"#, "b"),
            (#"[{"name":"a","decisions":["refuse to respond"]}]"#, "a"),
            (#"[{"stop":true}]"#, ""), (#"[{"name":7,"stop":true}]"#, ""), (#"[{"name":"a","stop":"true"}]"#, ""),
            (#"[{"name":"a","decisions":["refused"]}]"#, ""), ("[]", ""),
        ])
    func blocking(_ rails: String, _ rail: String) throws {
        let verdict = try Self.verdict(Self.answer(rails: rails))
        #expect(verdict == (rail.isEmpty ? .passed : .blocked(rail: rail)))
    }

    @Test("a changed text is a modification of input and output")
    func modified() throws {
        #expect(try Self.verdict(Self.answer(content: "ho")) == .modified("ho"))
        #expect(try Self.verdict(Self.answer(content: "yes"), .output(model: "m", text: "yes")) == .passed)
        #expect(try Self.verdict(Self.answer(content: "no"), .output(model: "m", text: "yes")) == .modified("no"))
    }

    @Test(
        "a tool's result is read from a tool message, or from an object with a result",
        arguments: [
            ("tool", #"{"r":2}"#, NeMoGuardrailsVerdict.modified(["r": 2])), ("tool", #"{"r":1}"#, .passed),
            ("assistant", #"{"result":{"r":2}}"#, .modified(["r": 2])),
            ("assistant", #"{"tool_name":"t","result":null}"#, .modified(.null)),
            ("assistant", #"{"result":{"r":1}}"#, .passed), ("assistant", "", .passed), ("assistant", "words", .passed),
            ("assistant", "[1]", .passed), ("assistant", #"{"other":1}"#, .passed),
        ])
    func toolResults(_ role: String, _ content: String, _ expected: NeMoGuardrailsVerdict) throws {
        let check = NeMoGuardrailsCheck.toolOutput(name: "t", arguments: [:], result: ["r": 1])
        #expect(try Self.verdict(Self.answer(content: content, role: role), check) == expected)
    }

    @Test(
        "what is no answer is a failure without a word of it",
        arguments: [
            (200, "secret"), (200, "{}"), (200, #"{"choices":[]}"#), (200, #"{"choices":[{"message":"secret"}]}"#),
            (200, #"{"choices":[{"message":{"content":null}}]}"#), (200, pass), (200, answer(rails: "null")),
            (200, answer(rails: "{}")), (200, answer(content: "secret", rails: "true")), (500, #"{"error":"secret"}"#),
            (302, pass),
            (404, ""),
        ])
    func failures(_ status: Int, _ body: String) {
        let failure = #expect(throws: NeMoGuardrailsFailure.self) { try Self.verdict(body, status: status) }
        #expect(failure?.status == status && failure?.message.contains("secret") == false)
        #expect(failure?.kind == (status == 200 ? .wrongAnswer : .status))
        if status == 500 {
            #expect(
                failure?.message == "remote request failed with status 500; error body omitted from marks (18 bytes)")
        }
    }

    @Test("a tool message of another tool, or one that is no JSON, is a failure")
    func wrongTool() {
        let check = NeMoGuardrailsCheck.toolOutput(name: "t", arguments: [:], result: 1)
        for answer in [
            Self.answer(content: "1", role: "tool", name: "u"), Self.answer(content: "words", role: "tool"),
            Self.answer(content: #"{"tool_name":"u","result":1}"#),
        ] {
            #expect(throws: NeMoGuardrailsFailure.self) { try Self.verdict(answer, check) }
        }
    }

    @Test("the messages of a request are checked up to the user's last one, parts as their text")
    func requestCheck() throws {
        let body: JSONValue = [
            "model": "m", "tools": [],
            "messages": [
                ["role": "system", "content": "s"],
                [
                    "role": "user",
                    "content": [["type": "text", "text": "a"], ["type": "image_url"], ["type": "text", "text": "b"]],
                ],
                ["role": "assistant", "content": "x"],
            ],
        ]
        let expected = NeMoGuardrailsCheck.input(
            model: "m", messages: [["role": "system", "content": "s"], ["role": "user", "content": "a\nb"]])
        #expect(try NeMoGuardrailsCheck(request: body) == expected)
        #expect(throws: NeMoGuardrailsFailure.self) { try NeMoGuardrailsCheck.rewritten(body, text: "c") }
        #expect(try NeMoGuardrailsCheck(request: ["messages": [["role": "system"]]]) == nil)
        #expect(throws: NeMoGuardrailsFailure.self) { try NeMoGuardrailsCheck(request: ["input": "hi"]) }
        let plain: JSONValue = ["messages": [["role": "user", "content": "old"], ["role": "tool", "content": "t"]]]
        let rewritten = try NeMoGuardrailsCheck.rewritten(plain, text: "new")
        #expect(rewritten == ["messages": [["role": "user", "content": "new"], ["role": "tool", "content": "t"]]])
    }

    private static func end(_ category: String, data: String) throws -> Event {
        try WorkerMessages.event(
            """
            {"kind":"scope","scope_category":"end","category":"\(category)","atof_version":"0.1","name":"t","attributes":[],\
            "uuid":"018f0000-0000-7000-8000-000000000001","timestamp":1,"data":\(data),"metadata":{"m":1},\
            "parent_uuid":"018f0000-0000-7000-8000-000000000009","category_profile":{"annotated_response":{"a":1},"tool_result_annotation":1}}
            """)
    }

    private static let response =
        #"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"key"}}]}"#

    /// Plans, answers the check, and applies for good.
    private static func run(
        _ event: Event, _ outcome: NeMoGuardrailsOutcome?, _ change: (inout NeMoGuardrails) -> Void = { _ in }
    ) throws -> (event: Event, notes: ChainNotes, checks: [NeMoGuardrailsCheck]) {
        var settings = settings
        settings.checksToolOutput = true
        change(&settings)
        var chain = MiddlewareChain(NeMoGuardrailsStep.steps(of: settings))
        var notes = ChainNotes()
        notes.workers.isPlanning = true
        var planning = chain
        _ = planning.apply(event, tenant: "t", &notes)
        let checks = notes.workers.checks.map(\.check)
        var exchange = notes.workers
        if let outcome { exchange.answered([], checks.map { _ in outcome }) }
        exchange.isPlanning = false
        var final = ChainNotes()
        final.workers = exchange
        switch chain.apply(event, tenant: "t", &final) {
        case .unchanged: return (event, final, checks)
        case .changed(let packed): return (try unpack(packed), final, checks)
        case .dropped: throw NeMoGuardrailsFailure(.unsupported, "dropped")
        }
    }

    private static func unpack(_ packed: [UInt8]) throws -> Event {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    private static func verdict(_ verdict: NeMoGuardrailsVerdict) -> NeMoGuardrailsOutcome {
        .success(NeMoGuardrailsAnswer(status: 200, verdict: verdict))
    }

    @Test("a blocked response is removed with its annotation, a changed one rewritten, one that passes stays")
    func output() throws {
        let event = try Self.end("llm", data: Self.response)
        let blocked = try Self.run(event, Self.verdict(.blocked(rail: "r")))
        #expect(blocked.checks == [.output(model: "", text: "key")])
        #expect(blocked.event.data == nil && blocked.event.categoryProfile?.value["annotated_response"] == nil)
        #expect(blocked.event.metadata?.value == ["m": 1])
        let modified = try Self.run(event, Self.verdict(.modified("safe")))
        #expect(modified.event.data?.value["choices"]?[0]?["message"] == ["role": "assistant", "content": "safe"])
        #expect(modified.event.data?.value["object"] == "chat.completion")
        #expect(modified.event.categoryProfile?.value["annotated_response"] == nil)
        let passed = try Self.run(event, Self.verdict(.passed))
        #expect(passed.event.data?.value == event.data?.value && passed.notes.failures.isEmpty)
    }

    @Test("a tool's result is removed, rewritten or left alike")
    func toolOutput() throws {
        let event = try Self.end("tool", data: #"{"r":1}"#)
        let blocked = try Self.run(event, Self.verdict(.blocked(rail: "r")))
        #expect(blocked.checks == [.toolOutput(name: "t", arguments: [:], result: ["r": 1])])
        #expect(blocked.event.data == nil && blocked.event.categoryProfile?.value["tool_result_annotation"] == nil)
        let modified = try Self.run(event, Self.verdict(.modified(["r": 2])))
        #expect(modified.event.data?.value == ["r": 2])
        let off = try Self.run(event, nil) { $0.checksToolOutput = false }
        #expect(off.checks.isEmpty && off.event.data?.value == ["r": 1])
    }

    @Test("marks of a check tell how it ended, and are the same for the same event")
    func marks() throws {
        let event = try Self.end("tool", data: #"{"r":1}"#)
        let marks = try Self.run(event, Self.verdict(.blocked(rail: "a rail"))).notes.injected.map(Self.unpack)
        #expect(marks.map(\.name) == ["nemo_guardrails.remote.start", "nemo_guardrails.remote.end"])
        #expect(marks.map(\.parentUUID) == [event.parentUUID, event.parentUUID] && marks[0].uuid != marks[1].uuid)
        #expect(event.timestamp < marks[0].timestamp && marks[0].timestamp < marks[1].timestamp)
        #expect(
            marks[0].data?.value
                == ["stream": false, "config_id": "plain", "surface": "tool_output", "tool_name": "t"])
        #expect(marks[1].data?.value["http_status"] == 200 && marks[1].data?.value["blocked_by"] == "a rail")
        let again = try Self.run(event, Self.verdict(.blocked(rail: "a rail"))).notes.injected
        #expect(again == marks.map { $0.packed.array })
        let failure = NeMoGuardrailsFailure(.status, status: 503, "remote request failed with status 503")
        let failed = try Self.run(event, .failure(failure)).notes.injected.map(Self.unpack)
        #expect(failed.map(\.name) == ["nemo_guardrails.remote.start", "nemo_guardrails.remote.error"])
        #expect(failed[1].data?.value["http_status"] == 503)
        #expect(failed[1].data?.value["error"] == "remote request failed with status 503")
    }

    @Test("what cannot be checked is removed, or stays where the configuration says so")
    func failing() throws {
        let failure = NeMoGuardrailsOutcome.failure(.init(.timeout, "late"))
        let responses = [Self.response, #"{"choices":[]}"#, #"{"text":"no chat completion"}"#]
        for data in responses {
            let event = try Self.end("llm", data: data)
            let closed = try Self.run(event, failure)
            #expect(closed.event.data == nil && closed.notes.failures.count == 1)
            let open = try Self.run(event, failure) { $0.onFailure = .open }
            #expect(open.event.data?.value == event.data?.value && open.notes.failures.count == 1)
        }
        let unasked = try Self.run(try Self.end("llm", data: Self.response), nil)
        #expect(unasked.event.data == nil && unasked.notes.failures.first?.reason == "unasked")
        // A response in which the model calls tools says nothing.
        let calls = try Self.end("llm", data: #"{"choices":[{"message":{"content":null,"tool_calls":[]}}]}"#)
        let silent = try Self.run(calls, failure)
        #expect(silent.checks.isEmpty && silent.event.data != nil)
    }

    private static func end(_ category: String, data: String = "null", profile: JSONValue) throws -> Event {
        try WorkerMessages.event(
            """
            {"kind":"scope","scope_category":"end","category":"\(category)","atof_version":"0.1","name":"t","attributes":[],\
            "uuid":"018f0000-0000-7000-8000-000000000001","timestamp":1,"data":\(data),"category_profile":\(profile.compactText)}
            """)
    }

    @Test(
        "all that a response says is checked, wherever it says it",
        arguments: [
            (nil, ["annotated_response": ["message": "BAD"]], "BAD"),
            (
                nil, ["annotated_response": ["message": [["type": "text", "text": "BAD"], ["refusal": "no"]]]],
                "BAD\nno"
            ),
            (nil, ["annotated_response": ["message": .null, "refusal": "BAD"]], "BAD"),
            (nil, ["annotated_response": "BAD"], "BAD"),
            (["content": .null, "refusal": "BAD"], [:], "BAD"),
            (["content": "fine", "reasoning_content": "BAD"], [:], "fine\nBAD"),
            (["content": "fine"], ["annotated_response": ["message": "fine"]], "fine"),
            (["content": "fine"], ["annotated_response": ["message": "BAD"]], "fine\nBAD"),
        ] as [(JSONValue?, JSONValue, String)])
    func saidElsewhere(_ message: JSONValue?, _ profile: JSONValue, _ text: String) throws {
        func body(_ message: JSONValue) -> JSONValue { ["choices": [["message": message]]] }
        let data = message.map { body($0).compactText } ?? "null"
        let event = try Self.end("llm", data: data, profile: profile)
        let failure = NeMoGuardrailsOutcome.failure(.init(.timeout, "late"))
        for outcome in [Self.verdict(.blocked(rail: "r")), failure] {
            let closed = try Self.run(event, outcome)
            #expect(closed.checks == [.output(model: "", text: text)])
            #expect(closed.event.data == nil && closed.event.categoryProfile?.value["annotated_response"] == nil)
        }
        // What has several places cannot be rewritten, and goes.
        let modified = try Self.run(event, Self.verdict(.modified("safe")))
        let isPlain = message == ["content": "fine"] && text == "fine"
        #expect(modified.event.data?.value == (isPlain ? body(["content": "safe"]) : nil))
        #expect(modified.event.categoryProfile?.value["annotated_response"] == nil)
    }

    @Test("a tool's result of which there is the annotation only is checked by it")
    func annotatedResult() throws {
        let event = try Self.end("tool", profile: ["tool_result_annotation": ["r": 1], "tool_call_id": "c"])
        let failure = NeMoGuardrailsOutcome.failure(.init(.timeout, "late"))
        for outcome in [Self.verdict(.blocked(rail: "r")), Self.verdict(.modified(["r": 2])), failure] {
            let closed = try Self.run(event, outcome)
            #expect(closed.checks == [.toolOutput(name: "t", arguments: [:], result: ["r": 1])])
            #expect(closed.event.data == nil && closed.event.categoryProfile?.value == ["tool_call_id": "c"])
        }
        let nothing = try Self.run(try Self.end("tool", profile: ["tool_call_id": "c"]), Self.verdict(.passed))
        #expect(nothing.checks.isEmpty)
    }
}
