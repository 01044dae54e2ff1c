import ATOF
import Adaptive
import AgentKit
import Collector
import Foundation
import NATSTransport
import Stages
import Synchronization
import Testing

/// Agents, the stage that learns from their runs, and the service that tells them what it has learned.
@Suite("Hints of the collectors", .timeLimit(.minutes(2)))
struct HintTests {
    private static let header = "x-nemo-relay-adaptive-agent-hints"

    private static func configuration(
        _ rig: Rig, _ settings: AdaptiveSettings? = AdaptiveSettings(learnsLatency: true, answersHints: true)
    ) throws -> CollectorConfiguration {
        var configuration = try rig.configuration()
        configuration.trajectories = nil
        configuration.adaptive = settings
        return configuration
    }

    /// An agent of a process of its own, with the switch on.
    private static func agent<Result>(
        _ rig: Rig, timeout: Duration = .seconds(5), _ body: (AgentRuntime, SkeinPublisher) async throws -> Result
    ) async throws -> Result {
        try await rig.runningAgent({ AgentSettings(hints: $0.hints(timeout: timeout)) }, body)
    }

    /// A run of three model calls, and the hints that each request had.
    private static func run(_ runtime: AgentRuntime, agent: String = "planner") async throws -> [JSON?] {
        let seen = Mutex<[JSON?]>([])
        try await runtime.withScope(.agent, agent) { scope in
            for (name, tokens) in [("plan", 100), ("act", 20), ("answer", 300)] {
                let request = ModelRequest(content: ["model": "m", "messages": [["role": "user", "content": "hi"]]])
                try await scope.callModel(name, request, model: "m", codec: .openAIChat) { live in
                    seen.withLock { $0.append(live.headers[Self.header]) }
                    #expect(live.content["nvext"]?["agent_hints"] == live.headers[Self.header])
                    return [
                        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
                        "choices": [
                            ["index": 0, "finish_reason": "stop", "message": ["role": "assistant", "content": "y"]]
                        ],
                        "usage": [
                            "prompt_tokens": 1, "completion_tokens": JSON(tokens), "total_tokens": JSON(tokens + 1),
                        ],
                    ]
                }
            }
        }
        return seen.withLock { $0 }
    }

    @Test("what a run has shown is in the requests of the next one")
    func learned() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try Self.configuration(rig)) { collector in
                try await Self.agent(rig) { runtime, publisher in
                    try await eventually("the service answers") {
                        do throws(NATSError) {
                            _ = try await Self.ask(rig, #"{"call_name":"x"}"#)
                            return true
                        } catch {
                            return false
                        }
                    }
                    // The first run has taught nothing before it ends.
                    let untaught = try await Self.run(runtime)
                    #expect(untaught == [nil, nil, nil])
                    #expect(await publisher.flush(timeout: .seconds(30)))
                    try await rig.catchUp(collector)
                    var hints: [JSON?] = []
                    try await eventually("the next run has hints") {
                        hints = try await Self.run(runtime)
                        return hints.first != .some(nil)
                    }
                    // What runs meanwhile teaches the same.
                    #expect(hints.map { $0?["osl"]?.intValue } == [100, 20, 300])
                    #expect(hints.map { $0?["total_requests"]?.intValue } == [3, 2, 1])
                    #expect(hints.map { $0?["prefix_id"]?.stringValue } == Array(repeating: "planner-d1", count: 3))
                    // Nothing of another agent, and nothing of another tenant.
                    let foreignAgent = try await Self.run(runtime, agent: "other")
                    #expect(foreignAgent == [nil, nil, nil])
                }
                let answer = try await Self.ask(
                    rig, #"{"agent":"planner","scope_path":["planner"],"call_name":"act","call_index":1}"#)
                #expect(try JSONParser.parse(answer.payload)["osl"] == 20)
                #expect(answer.headers["Content-Type"] == "application/json")
                let foreign = try await Self.ask(
                    rig, #"{"agent":"planner","scope_path":["planner"],"call_name":"act"}"#, tenant: "other")
                #expect(String(decoding: foreign.payload, as: UTF8.self) == "{}")
                #expect(collector.metrics.total("skein_learn_runs_total") >= 1)
            }
        }
    }

    private static func ask(_ rig: Rig, _ question: String, tenant: String = "acme") async throws(NATSError)
        -> NATSMessage
    {
        try await rig.jetStream.connection.request(
            subject: SkeinSubjects.hints(tenant: tenant), headers: [:], payload: Array(question.utf8),
            timeout: .seconds(5))
    }

    @Test("without an answer calls go on without hints, but for what was set by hand")
    func nobody() async throws {
        try await Rig.with { rig in
            try await Self.agent(rig) { runtime, _ in
                let unanswered = try await Self.run(runtime)
                #expect(unanswered == [nil, nil, nil])
                try await runtime.withScope(.agent, "urgent") { scope in
                    scope.raiseLatencySensitivity(to: 5)
                    try await scope.callModel("m", ModelRequest(content: [:])) { live in
                        #expect(live.headers[Self.header]?["latency_sensitivity"]?.doubleValue == 5)
                        return 1
                    }
                }
            }
        }
    }

    @Test("somebody who never answers costs the deadline, and nothing else")
    func silence() async throws {
        try await Rig.with { rig in
            let silent = try await rig.jetStream.connection.subscribe(subject: SkeinSubjects.hints(tenant: "acme"))
            defer { silent.cancel() }
            try await Self.agent(rig, timeout: .milliseconds(20)) { runtime, _ in
                let begun = ContinuousClock.now
                let late = try await Self.run(runtime)
                #expect(late == [nil, nil, nil])
                #expect(begun.duration(to: .now) < .seconds(10))
            }
        }
    }

    @Test(
        "a question that cannot be answered is told why",
        arguments: [
            ("{", "acme", [:], "400"), (#"{"agent":"a"}"#, "acme", [:], "400"),
            (#"{"call_name":"c"}"#, "_", [:], "400"),
            (#"{"call_name":"c"}"#, "acme", ["Skein-Timeout-Millis": "soon"], "400"),
            (#"{"call_name":"c"}"#, "acme", ["Skein-Deadline": "2020-01-01T00:00:00Z"], "408"),
        ] as [(String, String, NATSHeaders, String)])
    func refused(question: String, tenant: String, headers: NATSHeaders, code: String) async throws {
        try await Rig.with { rig in
            try await rig.collecting(try Self.configuration(rig)) { _ in
                var answer: NATSMessage?
                try await eventually("the service answers") {
                    answer = try? await rig.jetStream.connection.request(
                        subject: SkeinSubjects.hints(tenant: tenant), headers: headers,
                        payload: Array(question.utf8), timeout: .seconds(5))
                    return answer != nil
                }
                #expect(answer?.headers["Nats-Service-Error-Code"] == code)
                #expect(answer.map { String(decoding: $0.payload, as: UTF8.self) } == "{}")
            }
        }
    }

    @Test("runs of one agent in all partitions are learned once, also by an owner that reads them again")
    func once() async throws {
        try await Rig.with { rig in
            var configuration = try Self.configuration(rig)
            // Nothing that the first has done is in a checkpoint.
            configuration.checkpointInterval = .seconds(3600)
            let first = Collector(configuration, logger: LogLines().logger)
            let running = Task { try await first.run() }
            try await Self.agent(rig) { runtime, publisher in
                for _ in 0..<30 { _ = try await Self.run(runtime) }
                #expect(await publisher.flush(timeout: .seconds(30)))
            }
            try await eventually("all runs are learned") { first.metrics.total("skein_learn_runs_total") == 30 }
            try await rig.catchUp(first)
            running.cancel()
            _ = await running.result
            let before = try await Self.models(rig)
            #expect(before.count == 1)
            try await rig.collecting(configuration) { second in
                try await eventually("the second has the tasks") { await second.tasks().count == 4 }
                try await rig.catchUp(second)
                #expect(
                    second.metrics.prometheusText().contains(#"skein_events_received_total{stage="learn"}"#))
                #expect(second.metrics.total("skein_learn_runs_total") == 0)
            }
            #expect(try await Self.models(rig) == before)
            #expect(try await rig.deadLetters().isEmpty)
        }
    }

    private static func models(_ rig: Rig) async throws -> [String: [UInt8]] {
        let bucket = try await KeyValueBucket.existing(rig.jetStream, name: SkeinSubjects.stateBucket)
        return Dictionary(
            try await bucket.entries(prefix: "adaptive", fromLeader: true).map { ($0.key, $0.value) },
            uniquingKeysWith: { $1 })
    }

    // MARK: Configuration

    struct Example: Sendable {
        let text: String
        var expected: AdaptiveSettings?
        var warnings: [String] = []
        var errors: [String] = []
    }

    @Test(
        "the reference's component says whether a collector learns and answers",
        arguments: [
            Example(text: "", expected: AdaptiveSettings()),
            Example(
                text:
                    "state = { backend = { kind = 'in_memory' } }\ntelemetry = { learners = ['latency_sensitivity'] }",
                expected: AdaptiveSettings(learnsLatency: true)),
            Example(
                text: "state = {}\ntelemetry = { learners = ['acg', 'never heard of'] }\nadaptive_hints = {}",
                expected: AdaptiveSettings(answersHints: true)),
            Example(
                text: "telemetry = { learners = ['latency_sensitivity'] }", expected: AdaptiveSettings(),
                warnings: ["adaptive.section_disabled_missing_state"]),
            Example(
                text: """
                    agent_id = 'a'
                    adaptive_hints = { priority = 5, break_chain = true, inject_header = false, inject_body_path = 'x' }
                    tool_parallelism = { mode = 'schedule' }
                    """, expected: AdaptiveSettings(answersHints: true), warnings: ["adaptive.unsupported_section"]),
            Example(
                text: "adaptive_hints = { prio = 5 }", expected: AdaptiveSettings(answersHints: true),
                warnings: ["adaptive.unknown_field"]),
            Example(text: "version = 2", errors: ["adaptive.unsupported_config_version"]),
            Example(
                text: "state = { backend = { kind = 'etcd' } }", expected: AdaptiveSettings(),
                warnings: ["adaptive.unknown_backend"]),
            Example(text: "adaptive_hints = 1", errors: ["adaptive.invalid_plugin_config"]),
        ])
    func component(example: Example) {
        let text = "version = 1\n[[components]]\nkind = 'adaptive'\n[components.config]\n\(example.text)\n"
        do throws(ConfigurationError) {
            let (configuration, diagnostics) = try ConfigurationReader.read(text: text, name: "", environment: [:])
            #expect(configuration.adaptive == example.expected)
            #expect(configuration.obstacles.isEmpty)
            #expect(diagnostics.map(\.code) == example.warnings)
            #expect(example.errors.isEmpty)
        } catch {
            #expect(error.diagnostics.filter { $0.level == .error }.map(\.code) == example.errors)
        }
    }
}
