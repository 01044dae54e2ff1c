import ATOF
import Adaptive
import Testing

@Suite("What is learned of model calls")
struct PredictionModelTests {
    private static let second: UInt64 = 1_000_000_000

    /// The run of the specification's example (`adaptive.md` 4.3): 10 s; `plan` 0 to 2 s, `act` 3 to 4 s, `answer` 5 to 9 s.
    private static let example = run([
        ("plan", 0, 2, 100), ("act", 3, 4, 20), ("answer", 5, 9, 300),
    ])

    private static func run(
        _ calls: [(name: String, start: UInt64, end: UInt64?, tokens: UInt64)], scopes: [String] = ["planner"],
        lasting: UInt64 = 10
    ) -> CompletedRun {
        CompletedRun(
            startedAt: 100 * second, endedAt: (100 + lasting) * second,
            calls: calls.map { call in
                CompletedRun.Call(
                    name: call.name, scopePath: scopes, startedAt: (100 + call.start) * second,
                    endedAt: call.end.map { (100 + $0) * second }, outputTokens: call.tokens)
            })
    }

    private static func question(
        _ name: String, _ index: UInt32 = 1, scopes: [String] = ["planner"], manual: UInt32? = nil
    ) -> HintQuestion {
        HintQuestion(agent: "planner", scopePath: scopes, callName: name, callIndex: index, manualSensitivity: manual)
    }

    private static func model(_ runs: CompletedRun...) -> PredictionModel {
        var model = PredictionModel(tenant: "acme", agent: "planner")
        _ = model.learn(runs.enumerated().map { (UInt64($0.offset + 1), $0.element) }, partition: 0)
        return model
    }

    /// Of a question and the model of the example: output tokens, interarrival, sensitivity, priority and requests.
    struct Expected: Sendable {
        let question: HintQuestion
        let output: UInt32
        let interarrival: UInt32
        let sensitivity: Double
        let priority: Int32
        let total: UInt32
    }

    @Test(
        "the specification's example gives its levels, for each call and for all together",
        arguments: [
            Expected(
                question: question("plan"), output: 100, interarrival: 1000, sensitivity: 5, priority: 0, total: 3),
            Expected(question: question("act"), output: 20, interarrival: 1000, sensitivity: 1, priority: 4, total: 2),
            Expected(
                question: question("answer"), output: 300, interarrival: 0, sensitivity: 2, priority: 3, total: 1),
            // Another name: all calls of the scope. The mean of 1, 0 and a third is level 3.
            Expected(
                question: question("other"), output: 300, interarrival: 1000, sensitivity: 3, priority: 2, total: 2),
            // Another scope: all calls of the agent. An index that never was: the calls of all.
            Expected(
                question: question("plan", 7, scopes: ["planner", "deep"]), output: 300, interarrival: 1000,
                sensitivity: 3, priority: 2, total: 8),
        ])
    func hints(expected: Expected) throws {
        let hints = try #require(Self.model(Self.example).hints(for: expected.question))
        #expect(hints.outputLength == expected.output)
        #expect(hints.interarrival == expected.interarrival)
        #expect(hints.latencySensitivity == expected.sensitivity)
        #expect(hints.priority == expected.priority)
        #expect(hints.totalRequests == expected.total)
        #expect(hints.prefixID == "planner-d\(expected.question.scopePath.count)")
    }

    @Test("an index has figures of its own, and those of all indexes stand in where there are none")
    func indexes() throws {
        let model = Self.model(Self.run([("a", 0, 1, 10), ("a", 2, 3, 20), ("b", 4, 5, 5)]))
        #expect(model.hints(for: Self.question("a", 1))?.outputLength == 10)
        #expect(model.hints(for: Self.question("a", 2))?.outputLength == 20)
        #expect(model.hints(for: Self.question("a", 2))?.totalRequests == 3)
        #expect(model.hints(for: Self.question("a", 9))?.outputLength == 20)
        #expect(Self.model().hints(for: Self.question("a")) == nil)
    }

    @Test(
        "overlapping calls are one step; a call without an end is no sample but what the next one waits for; equal calls are in the middle"
    )
    func shapes() {
        let parallel = Self.model(Self.run([("a", 0, 4, 0), ("b", 1, 2, 0), ("c", 5, 10, 0)]))
        // Steps {a, b} and {c}: raw 0.2+0.3+0.2, 0.05+0.3+0.2 and 0.25+0+0.2.
        #expect(parallel.hints(for: Self.question("a"))?.latencySensitivity == 5)
        #expect(parallel.hints(for: Self.question("b"))?.latencySensitivity == 3)
        #expect(parallel.hints(for: Self.question("c"))?.latencySensitivity == 1)
        // The next call begins before this one ends: no time is left.
        #expect(parallel.hints(for: Self.question("a"))?.interarrival == 0)
        let open = Self.model(Self.run([("a", 0, 1, 0), ("lost", 3, nil, 0)]))
        #expect(open.hints(for: Self.question("a"))?.interarrival == 2000)
        #expect(open.hints(for: Self.question("a"))?.totalRequests == 1)
        #expect(open.hints(for: Self.question("a"))?.latencySensitivity == 3)
        #expect(open.hints(for: Self.question("lost"))?.interarrival == 2000)
    }

    @Test(
        "what was set by hand counts where it is more, and where nothing was learned",
        arguments: [
            (nil as UInt32?, 3.0 as Double?, 2 as Int32?), (2, 3, 2), (4, 4, 1), (9, 9, 0),
        ])
    func manual(level: UInt32?, sensitivity: Double?, priority: Int32?) throws {
        let question = Self.question("other", manual: level)
        let learned = Self.model(Self.example).hints(for: question)
        let combined = AgentHints.combined(learned, manual: level, prefixID: question.prefixID)
        #expect(combined?.latencySensitivity == sensitivity)
        #expect(combined?.priority == priority)
        #expect(combined?.outputLength == 300)
        let alone = AgentHints.combined(nil, manual: level, prefixID: "planner-d1")
        #expect(alone?.latencySensitivity == level.map { Double($0) })
        #expect(alone.map { $0.totalRequests + $0.outputLength + $0.interarrival } ?? 0 == 0)
    }

    @Test("a run that is read again is learned once, in each partition by its own time")
    func again() {
        var model = PredictionModel(tenant: "acme", agent: "planner")
        #expect(model.learn([(5, Self.example), (6, Self.example)], partition: 0) == 2)
        let before = model
        #expect(model.learn([(5, Self.example), (6, Self.example)], partition: 0) == 0)
        #expect(model == before)
        #expect(model.learn([(6, Self.example), (7, Self.example)], partition: 0) == 1)
        #expect(model.learn([(5, Self.example)], partition: 1) == 1)
        #expect(model.learn([(5, Self.example)], partition: 1) == 0)
    }

    @Test("a stored model is the same, and damage is an error")
    func storage() throws {
        var model = Self.model(Self.example)
        for time in 2..<40 {
            let calls = (0..<5).map {
                (name: "call-\($0)", start: UInt64($0), end: UInt64($0 + 1), tokens: UInt64(time))
            }
            _ = model.learn(
                [(UInt64(time), Self.run(calls, scopes: ["planner", "f\(time % 3)"]))], partition: time % 2)
        }
        let bytes = model.encoded()
        let read = try PredictionModel(bytes)
        #expect(read.encoded() == bytes)
        #expect(
            read.hints(for: Self.question("call-1", scopes: ["planner", "f1"]))
                == model.hints(for: Self.question("call-1", scopes: ["planner", "f1"])))
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: SnapshotError.self) { try PredictionModel(Array(bytes.prefix(count))) }
        }
    }

    @Test("a model fits into a message, whatever agents call their scopes and however long they run")
    func bounds() {
        var model = PredictionModel(tenant: "acme", agent: "planner")
        for time in 1..<300 {
            let calls = (0..<40).map {
                (name: "call", start: UInt64($0), end: UInt64($0 + 1), tokens: UInt64(time * 7919 % 1000 + $0))
            }
            let scopes = (0..<20).map { "scope \(time % 60) \($0)" }
            _ = model.learn([(UInt64(time), Self.run(calls, scopes: scopes, lasting: 60))], partition: 0)
        }
        #expect(model.encoded().count < 900_000)
        #expect(model.hints(for: Self.question("call"))?.outputLength ?? 0 > 800)
    }
}

@Suite("Quantiles in little room")
struct TDigestTests {
    @Test(
        "are exact for few values, at their places",
        arguments: [([5.0], 5.0), ([30, 10, 20], 30), ([], 0)] as [([Double], Double)])
    func few(values: [Double], ninetieth: Double) {
        var digest = TDigest()
        for value in values { digest.add(value) }
        #expect(digest.quantile(0.9) == ninetieth)
    }

    @Test("are near for many values in any order, in at most a hundred centroids once compressed")
    func many() {
        var digest = TDigest()
        for index in 0..<100_000 { digest.add(Double(index * 7919 % 100_000)) }
        for quantile in [0.1, 0.5, 0.9, 0.99] {
            #expect(abs(digest.quantile(quantile) - quantile * 100_000) < 1000)
        }
        #expect(digest.centroids.count <= TDigest.size * 2)
        digest.compress()
        #expect(digest.centroids.count <= TDigest.size)
        #expect(digest.centroids.reduce(0) { $0 + $1.weight } == 100_000)
        #expect(abs(TDigest(digest.centroids).quantile(0.9) - 90_000) < 1000)
        digest.add(.nan)
        #expect(digest.quantile(0.5).isFinite)
    }
}
