import ATOF
import AgentKit
import Testing

@Suite("Recorded sequences: marks, propagation, concurrency")
struct RecordedMarkTests {
    let recorder = Recorder()
    var runtime: AgentRuntime { recorder.runtime }

    @Test("severities")
    func severities() async throws {
        let words = ["Trace", "Debug", "Info", "Warn", "Error"]
        runtime.withScope(.agent, "agent") { scope in
            for (word, severity) in zip(words, Severity.allCases) {
                scope.mark("sev", severity: severity, data: ["s": JSON("LogSeverity.\(word)")])
            }
            scope.mark("meta-sev", metadata: ["k": 1, "nemo_relay.log.severity": "warning"])
            scope.mark("meta-bad", metadata: ["nemo_relay.log.severity": "fatal"])
            scope.mark("both", severity: .error, metadata: ["nemo_relay.log.severity": "info"])
        }
        try RecordedSequence.expect(recorder, equals: "28-marks-severity")
    }

    @Test("measurements of all kinds")
    func measurements() async throws {
        try runtime.withScope(.agent, "agent") { scope in
            for index in 0..<3 {
                try scope.metrics(
                    "tokenomics",
                    [
                        MetricMeasurement(
                            .counter, "tokens.saved", .unsigned(10 + UInt64(index)), unit: "{token}",
                            description: "Tokens",
                            attributes: ["arr": ["a", "b"], "b": true, "f": 0.5, "model": "m1", "n": 1]),
                        MetricMeasurement(.counter, "cost", .double(0.25), unit: "USD"),
                        MetricMeasurement(.upDownCounter, "inflight", .signed(index < 2 ? 1 : -1)),
                        MetricMeasurement(.upDownCounter, "ud.f", .double(-0.5)),
                        MetricMeasurement(.gauge, "temp", .double(20.5 + Double(index))),
                        MetricMeasurement(.gauge, "temp.i", .signed(Int64(-index))),
                        MetricMeasurement(.gauge, "temp.u", .unsigned(UInt64(index))),
                        MetricMeasurement(
                            .histogram, "lat", .double(12.5 * Double(index + 1)), unit: "ms",
                            boundaries: [10, 20, 40]),
                        MetricMeasurement(.histogram, "size", .unsigned(UInt64(index * 100))),
                    ])
            }
            let last = MetricMeasurement(
                .counter, "tokens.saved", .unsigned(5), unit: "{token}", description: "Tokens",
                attributes: ["model": "m2"])
            try scope.metrics("tokenomics", [last], metadata: ["a": 1])
        }
        try RecordedSequence.expect(recorder, equals: "29-marks-metrics")
    }

    @Test("measurements that are wrong are refused; a mark of the schema is the caller's own affair")
    func wrongMeasurements() async throws {
        let schema = EventSchema(name: "nemo.relay.metric_measurements", version: "1")
        func entry(_ name: JSON, _ value: JSON = 1) -> JSON {
            ["kind": "counter", "name": name, "value": value, "value_type": "u64"]
        }
        runtime.withScope(.agent, "agent") { scope in
            scope.mark("raw-valid", data: ["measurements": [entry("raw.counter", 3)]], schema: schema)
            scope.mark(
                "wrong-version", data: ["measurements": [entry("x", 3)]],
                schema: EventSchema(name: schema.name, version: "2"))
            scope.mark("empty", data: ["measurements": []], schema: schema)
            var unknown = entry("x")
            unknown["zzz"] = 1
            scope.mark("unknown-field", data: ["measurements": [unknown]], schema: schema)
            scope.mark("not-object", data: [1], schema: schema)
            scope.mark("bad-name", data: ["measurements": [entry("1bad")]], schema: schema)
            let gauge: JSON = ["kind": "gauge", "name": "RAW.counter", "value": 1.0, "value_type": "f64"]
            scope.mark("conflict", data: ["measurements": [gauge, entry("other")]], schema: schema)
            #expect {
                try scope.metrics("neg", [MetricMeasurement(.counter, "x", .double(-1))])
            } throws: { "\($0)" == "invalid argument: measurements[0] counter values must be non-negative" }
            #expect {
                try scope.metrics("none", [])
            } throws: { "\($0)" == "invalid argument: measurements must contain at least one entry" }
        }
        try RecordedSequence.expect(recorder, equals: "30-marks-metrics-invalid")
    }

    @Test("skills that tools load, and a history that is told once, until it is compacted")
    func skillsAndCompaction() async throws {
        typealias Scenario = RecordedScenarioTests
        let system: JSON = ["role": "system", "content": "sys"]
        let answer: JSON = ["role": "assistant", "content": "a1"]
        try await runtime.withScope(.agent, "agent", input: "x") { scope in
            try await scope.callTool("Skill", ["skill": "pdf-forms"], id: "s1") { _ in "loaded" }
            let path: JSON = ["file_path": "/home/u/.claude/skills/git-helper/SKILL.md"]
            try await scope.callTool("Read", path, id: "s2") { _ in "# skill" }
            let command: JSON = ["command": "cat ~/.codex/skills/db-tools/SKILL.md"]
            try await scope.callTool("Bash", command, id: "s3") { _ in "# skill" }
            let short = Scenario.request(system, Scenario.user("turn 1"))
            let long = Scenario.request(system, Scenario.user("turn 1"), answer, Scenario.user("turn 2"))
            func ask(_ request: ModelRequest, _ text: String) async throws {
                try await scope.callModel("openai", request, model: "gpt-4o-mini", codec: .openAIChat) { live in
                    #expect(live.content == request.content)
                    return Scenario.completed(text)
                }
            }
            try await ask(short, "a1")
            try await ask(long, "a2")
            scope.mark("compaction", data: ["after": 2, "before": 4], metadata: ["trigger": "auto"])
            try await ask(long, "a3")
        }
        try RecordedSequence.expect(recorder, equals: "31-compaction-and-skill-load")
    }

    @Test("marks outside of any scope, and of a scope that has ended")
    func orphans() async throws {
        await runtime.withStack { stack in
            stack.mark("before-any", severity: .warn, data: ["x": 1])
            let ended = stack.withScope(.agent, "agent") { scope in
                scope.mark("inside")
                return scope
            }
            stack.mark("after-root", data: ["y": 1])
            ended.mark("late-handle", severity: .error, data: ["z": 1])
        }
        try RecordedSequence.expect(recorder, equals: "33-orphan-marks") { events in
            // The reference names the root of the stack that the caller is on, AgentKit that of the mark's parent.
            var events = events
            guard case .object(var late) = events[5] else { return events }
            let parent = late["parent_uuid"]
            late["propagation_root_uuid"] = parent
            events[5] = .object(late)
            return events
        }
    }

    @Test("injected metadata: valid and invalid, and what is there already")
    func injection() async throws {
        typealias Scenario = RecordedScenarioTests
        try runtime.register(
            .metadataInjector("ids", priority: 1) { _ in
                [
                    "session_id": "inj-sess", "user_id": "inj-user", "trace_id": "0af7651916cd43dd8448eb211c80319c",
                    "span_id": "b7ad6b7169203331", "app.n": 3, "app.f": 1.5, "app.b": true, "app.tags": ["a", "b"],
                    "existing": "injected",
                ]
            })
        try runtime.register(
            .metadataInjector("later", priority: 2) { _ in ["existing": "later", "user_id": "other"] })
        try runtime.register(.metadataInjector("object") { _ in ["ok": 1, "bad": ["nested": 1]] })
        try runtime.register(.metadataInjector("key") { _ in ["a..b": 1] })
        try runtime.register(.metadataInjector("throws") { _ in throw ValueError(description: "no") })
        try await runtime.withScope(.agent, "agent", metadata: ["existing": "original"]) { scope in
            scope.mark("m", metadata: ["existing": "mark"])
            scope.mark("nonobj-meta", metadata: [1, 2])
            try await scope.callTool("t", [:], id: "c1") { _ in 1 }
            try await scope.callModel(
                "openai", Scenario.request(Scenario.user("x")), model: "gpt-4o-mini", codec: .openAIChat
            ) { _ in Scenario.completion }
        }
        try RecordedSequence.expect(recorder, equals: "48-metadata-injection")
    }

    // MARK: Propagation

    @Test("work that goes on below a scope of another process, with and without a root")
    func propagation() async throws {
        let root = try #require(EventUUID("01970000-0000-7000-8000-0000000000aa"))
        let parent = try #require(EventUUID("01970000-0000-7000-8000-0000000000bb"))
        let rooted = try PropagationContext(rootUUID: root, parentUUID: parent)
        let contexts = [
            rooted, try PropagationContext(rootUUID: nil, parentUUID: parent),
            // Headers, of which the context is the one that says more.
            try #require(
                try PropagationContext(headers: [
                    ("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                    ("skein-context", rooted.json),
                ])),
        ]
        for context in contexts {
            try await runtime.withContext(context) { bottom in
                try await runtime.withScope(.agent, "remote-child", metadata: ["session_id": "prop"]) { scope in
                    scope.mark("m")
                    try await scope.callTool("t", [:]) { _ in 1 }
                }
                bottom.mark("remote-orphan")
            }
        }
        try RecordedSequence.expect(recorder, equals: "51-propagation-context")
    }

    // MARK: Concurrency

    @Test("two agents as child tasks")
    func childTasks() async throws {
        let turns = Turns()
        @Sendable func agent(_ name: String, _ turn: [Int]) async throws {
            await turns.wait(for: turn[0])
            try await withScope(.agent, name, input: JSON(name)) { _ in
                turns.next()
                for index in 0..<2 {
                    await turns.wait(for: turn[index + 1])
                    try await callTool("\(name)-t\(index)", ["i": JSON(index)]) { _ in JSON(index) }
                    if index == 0 { turns.next() }
                }
            }
            turns.next()
        }
        try await runtime.withScope(.agent, "parent") { _ in
            async let first: Void = agent("A", [0, 2, 4])
            async let second: Void = agent("B", [1, 3, 5])
            _ = try await (first, second)
        }
        try RecordedSequence.expect(recorder, equals: "68-asyncio-concurrent-agents")
    }

    @Test("parallel tools that end in another order than they began")
    func parallelTools() async throws {
        let turns = Turns()
        try await runtime.withScope(.agent, "agent") { scope in
            let recorded = try RecordedSequence.events("06-parallel-tools-no-ids")
            try await scope.callModel(
                "openai", RecordedScenarioTests.request(RecordedScenarioTests.user("q")), codec: .openAIChat
            ) { _ in JSON(recorded[2]["data"] ?? .null) }
            @Sendable func lookup(_ key: Int, _ result: String, start: Int, end: Int) async throws {
                await turns.wait(for: start)
                try await scope.callTool("lookup", ["k": JSON(key)]) { _ in
                    turns.next()
                    await turns.wait(for: end)
                    return JSON(result)
                }
                turns.next()
            }
            async let first: Void = lookup(1, "first", start: 0, end: 5)
            async let second: Void = lookup(1, "second", start: 1, end: 3)
            async let third: Void = lookup(2, "third", start: 2, end: 4)
            _ = try await (first, second, third)
        }
        try RecordedSequence.expect(recorder, equals: "06-parallel-tools-no-ids") { events in
            // Recorded with calls that were reported by hand, whose ends say nothing of how they went.
            events.map { event in
                guard event["scope_category"] == "end", var object = event.objectValue else { return event }
                object["metadata"] = ["otel.status_code": "OK"]
                return .object(object)
            }
        }
    }
}
