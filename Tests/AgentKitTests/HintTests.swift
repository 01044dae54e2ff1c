import ATOF
import AgentKit
import Synchronization
import Testing

@Suite("Hints in model requests")
struct HintTests {
    /// Answers always the same, and keeps what it was asked.
    final class Asker: HintAsker {
        private let answer: AgentHints?
        let questions = Mutex<[HintQuestion]>([])

        init(_ answer: AgentHints?) { self.answer = answer }

        func ask(_ question: HintQuestion) async -> AgentHints? {
            questions.withLock { $0.append(question) }
            return answer
        }
    }

    static let header = "x-nemo-relay-adaptive-agent-hints"
    static let learned = AgentHints(
        outputLength: 100, interarrival: 20, latencySensitivity: 3, prefixID: "planner-d2", totalRequests: 7)
    static let request = ModelRequest(content: [
        "model": "m", "messages": [["role": "user", "content": "hi"]], "nvext": ["kept": true],
    ])

    private func recorder(_ asker: Asker) -> Recorder {
        Recorder(settings: AgentSettings(hints: RemoteHints(asker: asker)))
    }

    @Test("are in the header and in the body, with a codec and without", arguments: [ModelCodec?.none, .openAIChat])
    func injected(codec: ModelCodec?) async throws {
        let recorder = recorder(Asker(Self.learned))
        try await recorder.runtime.currentScope.callModel("openai", Self.request, codec: codec) { live in
            let hints = JSON(Self.learned.json)
            #expect(live.headers[Self.header] == hints)
            #expect(live.content["nvext"] == ["kept": true, "agent_hints": hints])
            return 1
        }
        let start = try #require(try recorder.event(.scopeStart, "openai"))
        #expect(start.data?.value["headers"]?[Self.header] == Self.learned.json)
        #expect(start.data?.value["content"]?["nvext"]?["agent_hints"] == Self.learned.json)
        #expect(
            Self.learned.json == [
                "iat": 20, "latency_sensitivity": 3.0, "osl": 100, "prefix_id": "planner-d2", "priority": 2,
                "total_requests": 7,
            ])
    }

    @Test(
        "what cannot take them in the body has them in the header only",
        arguments: [["nvext": 1], [1], .null] as [JSON])
    func bodies(content: JSON) async throws {
        let recorder = recorder(Asker(Self.learned))
        try await recorder.runtime.currentScope.callModel("openai", ModelRequest(content: content)) { live in
            #expect(live.content == content)
            #expect(live.headers[Self.header] != nil)
            return 1
        }
    }

    @Test("the question names the outermost agent, the scopes, the call and how often it was made in its agent")
    func question() async throws {
        let asker = Asker(nil)
        let runtime = recorder(asker).runtime
        func call(_ name: String) async throws {
            try await callModel(name, Self.request) { _ in 1 }
        }
        try await runtime.withScope(.agent, "outer") { outer in
            try await call("plan")
            try await call("plan")
            try await runtime.withScope(.tool, "t") { _ in
                try await runtime.withScope(.function, "f") { _ in
                    try await runtime.withScope(
                        .agent, "inner", metadata: ["nemo_relay_adaptive": ["latency_sensitivity": 4]]
                    ) { _ in
                        outer.raiseLatencySensitivity(to: 2)
                        try await call("plan")
                        try await call("act")
                    }
                }
            }
            try await call("plan")
        }
        try await runtime.currentScope.callModel("alone", Self.request) { _ in 1 }
        let questions = asker.questions.withLock { $0 }
        #expect(questions.map(\.callName) == ["plan", "plan", "plan", "act", "plan", "alone"])
        #expect(questions.map(\.callIndex) == [1, 2, 1, 1, 3, 1])
        #expect(questions.map(\.agent) == Array(repeating: "outer", count: 5) + ["default-agent"])
        #expect(
            questions.map(\.scopePath) == [
                ["outer"], ["outer"], ["outer", "f", "inner"], ["outer", "f", "inner"], ["outer"], [],
            ])
        #expect(questions.map(\.manualSensitivity) == [nil, nil, 4, 4, 2, nil])
        #expect(questions[0].prefixID == "outer-d1")
        for question in questions { #expect(try HintQuestion(json: question.json) == question) }
    }

    /// What is said by hand of a scope, and what counts.
    @Test(
        "what was set by hand is never lowered, goes over what was learned where it is more, and does without an answer",
        arguments: [
            (levels: [2], learned: true, sensitivity: 3.0 as Double?, priority: 2), ([5], true, 5, 0),
            ([5, 1], true, 5, 0), ([1], false, 1, 4), ([-1], false, nil, 0), ([], false, nil, 0),
        ])
    func byHand(levels: [Int], learned: Bool, sensitivity: Double?, priority: Int) async throws {
        let recorder = recorder(Asker(learned ? Self.learned : nil))
        try await recorder.runtime.withScope(.agent, "a", metadata: ["x": 1]) { scope in
            for level in levels { scope.raiseLatencySensitivity(to: level) }
            try await scope.callModel("openai", Self.request) { live in
                let hints = live.headers[Self.header]
                #expect(hints?["latency_sensitivity"]?.doubleValue == sensitivity)
                #expect((hints == nil) == (sensitivity == nil))
                if sensitivity == nil { #expect(live.content == Self.request.content) }
                if sensitivity != nil { #expect(hints?["priority"] == JSON(priority)) }
                return 1
            }
        }
        let told = try recorder.event(.scopeEnd, "a")?.metadata?.value["nemo_relay_adaptive"]?["latency_sensitivity"]
        #expect(told == levels.max().flatMap { $0 < 0 ? nil : .int(Int64($0)) })
    }

    @Test("they come at their priority among the request intercepts")
    func order() async throws {
        let recorder = recorder(Asker(Self.learned))
        let seen = Mutex<[String: Bool]>([:])
        for (name, priority) in [("before", Int32(100)), ("after", 101)] {
            try recorder.runtime.register(
                .modelRequestIntercept(name, priority: priority) { _, request, annotation in
                    seen.withLock { $0[name] = request.headers[Self.header] != nil }
                    return ModelRequestOutcome(request, annotation: annotation)
                })
        }
        try await recorder.runtime.currentScope.callModel("openai", Self.request) { _ in 1 }
        #expect(seen.withLock { $0 } == ["before": false, "after": true])
    }

    @Test(
        "a question that cannot be read names the field",
        arguments: [
            ("{}", "call_name"), (#"{"call_name":1}"#, "call_name"),
            (#"{"call_name":"c","scope_path":"x"}"#, "scope_path"),
            (#"{"call_name":"c","scope_path":[1]}"#, "scope_path[0]"),
            (#"{"call_name":"c","call_index":-1}"#, "call_index"),
            (#"{"call_name":"c","run_id":"x"}"#, "run_id"), (#"{"call_name":"c","agent":7}"#, "agent"), ("[", ""),
        ])
    func refused(text: String, field: String) {
        let error = #expect(throws: GuardMessageError.self) { try HintQuestion(json: Array(text.utf8)) }
        #expect(error?.field == field)
    }
}
