import ATOF
import Middleware
import NATSTransport
import Testing

@testable import Collector

@Suite("Workers that rewrite calls before the act", .timeLimit(.minutes(2)))
struct WorkerRewriteTests {
    private static func settings(_ change: (inout WorkerSettings) -> Void = { _ in }) -> WorkerSettings {
        var settings = WorkerSettings(name: "w", surfaces: [.toolIntercept, .llmIntercept])
        settings.deadline = .seconds(20)
        change(&settings)
        return settings
    }

    private static func deciding(
        _ rig: Rig, _ settings: WorkerSettings, _ body: (WorkerDecider) async throws -> Void
    ) async throws {
        let pool = WorkerPool(rig.jetStream.connection, [settings], metrics: Metrics(), logger: LogLines().logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pool.run() }
            defer { group.cancelAll() }
            try await body(try #require(WorkerDecider(settings, pool)))
        }
    }

    private static func context(_ call: GuardQuestion.Call) -> GuardContext {
        GuardContext(tenant: "acme", question: GuardQuestion(name: "mail", call: call))
    }

    private static let tool = GuardQuestion.Call.tool(arguments: ["to": "bob@x.io"])
    private static let llm = GuardQuestion.Call.llm(headers: JSONObject(), content: ["model": "m"])
    private static var deadline: ContinuousClock.Instant { .now + .seconds(20) }

    @Test("what it answers is what the call is made with; it is asked once, and allows everything")
    func rewrites() async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig) { call in
                call.surface == "tool_intercept"
                    ? .init([["value": ["to": "[email]"]]])
                    : .init([["value": ["headers": ["x-route": "eu"], "content": ["model": "small"]]]])
            }
            try await Self.deciding(rig, Self.settings()) { decider in
                let verdict = try await decider.evaluate(Self.context(Self.tool), until: Self.deadline)
                #expect(verdict == GuardVerdict(evaluated: []))
                let tool = try await decider.rewrite(Self.context(Self.tool), until: Self.deadline)
                #expect(tool == .tool(arguments: ["to": "[email]"]))
                let llm = try await decider.rewrite(Self.context(Self.llm), until: Self.deadline)
                #expect(llm == .llm(headers: JSONObject([("x-route", "eu")]), content: ["model": "small"]))
            }
            #expect(worker.calls.map(\.surface) == ["tool_intercept", "llm_intercept"])
            #expect(worker.calls.first?.json?["items"] == [["name": "mail", "value": ["to": "bob@x.io"]]])
            #expect(
                worker.calls.last?.json?["items"]
                    == [["name": "mail", "value": ["headers": [:], "content": ["model": "m"]]]])
        }
    }

    @Test(
        "what is no request of its kind ends the call, or leaves it as it was where it fails open",
        arguments: [
            ["value": ["content": 1]], ["value": 1], ["value": ["headers": [:], "content": 1]],
            ["value": ["headers": ["a": 1], "content": ["model": "m"]]],
            ["value": ["headers": [:], "content": ["model": "m"], "model": "n"]], ["omitted": true],
            ["verdict": ["allowed": true]],
            ["error": ["code": "x"]],
        ] as [JSONValue])
    func failures(_ result: JSONValue) async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig) { _ in .init([result]) }
            try await Self.deciding(rig, Self.settings()) { decider in
                let failure = await #expect(throws: GuardFailure.self) {
                    try await decider.rewrite(Self.context(Self.llm), until: Self.deadline)
                }
                #expect(failure?.code == .ruleFailed && failure?.message.hasPrefix("workers/w: ") == true)
            }
            try await Self.deciding(rig, Self.settings { $0.onFailure = [.llmIntercept: .open] }) { decider in
                let rewritten = try await decider.rewrite(Self.context(Self.llm), until: Self.deadline)
                #expect(rewritten == nil)
            }
            #expect(worker.calls.count == 2)
        }
    }

    @Test(
        "agents get the rewritten call, of several workers each what the one before made of it; nobody there is no allow"
    )
    func answered() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.trajectories = nil
            configuration.middleware.workers = ["a", "b"].map { name in
                var settings = WorkerSettings(name: name, surfaces: [.toolIntercept])
                settings.deadline = .seconds(10)
                return settings
            }
            let first = try await FakeWorker(rig, name: "a", surfaces: [.toolIntercept]) { call in
                .init([["value": ["by": ["a", call.json?["items"]?[0]?["value"]?["n"] ?? .null]]]])
            }
            let second = try await FakeWorker(rig, name: "b", surfaces: [.toolIntercept]) { call in
                .init([["value": ["by": ["b", call.json?["items"]?[0]?["value"]?["by"] ?? .null]]]])
            }
            try await rig.collecting(configuration) { _ in
                try await eventually("it answers") { try await rig.guardMembers().count == 1 }
                let client = GuardClient(rig.jetStream.connection)
                let reply = try await client.ask(.tool("t", ["n": 1]), tenant: "acme", timeout: .seconds(20))
                #expect(reply.decision == .transform(.tool(arguments: ["by": ["b", ["a", 1]]])))
                try await second.leave()
                let alone = try await client.ask(.tool("t", ["n": 1]), tenant: "acme", timeout: .seconds(20))
                guard case .error(let failure) = alone.decision else { throw Failure("\(alone.decision)") }
                #expect(failure.code == .ruleFailed && failure.message == "workers/b: gone")
            }
            #expect(first.calls.count == 2)
        }
    }
}
