import ATOF
import Middleware
import NATSTransport
import Testing

@testable import Collector

@Suite("Workers before the act")
struct WorkerDeciderTests {
    private static func settings(_ change: (inout WorkerSettings) -> Void = { _ in }) -> WorkerSettings {
        var settings = WorkerSettings(name: "w", surfaces: [.toolConditional, .llmConditional, .mark])
        settings.deadline = .seconds(20)
        change(&settings)
        return settings
    }

    private static func deciding(
        _ rig: Rig, _ settings: WorkerSettings, _ body: (WorkerDecider) async throws -> Void
    ) async throws {
        let pool = WorkerPool(
            rig.jetStream.connection, [settings], metrics: Metrics(), logger: LogLines().logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pool.run() }
            defer { group.cancelAll() }
            try await body(try #require(WorkerDecider(settings, pool)))
        }
    }

    private static func context(_ call: GuardQuestion.Call, tenant: String = "acme") -> GuardContext {
        GuardContext(tenant: tenant, question: GuardQuestion(name: "delete_file", call: call))
    }

    private static let tool = GuardQuestion.Call.tool(arguments: ["path": "/tmp/x"])
    private static var deadline: ContinuousClock.Instant { .now + .seconds(20) }

    @Test("its verdict is the guardrail's")
    func verdicts() async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig) { call in
                let isTool = call.surface == "tool_conditional"
                return .init([["verdict": ["allowed": .bool(!isTool), "reason": isTool ? "destructive" : ""]]])
            }
            try await Self.deciding(rig, Self.settings()) { decider in
                let rejected = try await decider.evaluate(Self.context(Self.tool), until: Self.deadline)
                #expect(
                    rejected
                        == GuardVerdict(
                            evaluated: ["workers/w"], rejection: .init(rule: "workers/w", reason: "destructive")))
                let llm = GuardQuestion.Call.llm(headers: JSONObject(), content: ["model": "m"])
                let allowed = try await decider.evaluate(Self.context(llm), until: Self.deadline)
                #expect(allowed == GuardVerdict(evaluated: ["workers/w"]))
            }
            #expect(worker.calls.first?.json?["items"] == [["name": "delete_file", "value": ["path": "/tmp/x"]]])
            #expect(worker.calls.last?.json?["items"]?[0]?["value"] == ["headers": [:], "content": ["model": "m"]])
        }
    }

    @Test("one that fails is an error and no allow, unless it fails open; other tenants are not asked about")
    func failures() async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig, behaviour: .fails) { call in .init(results: call.items) }
            try await Self.deciding(rig, Self.settings()) { decider in
                let failure = await #expect(throws: GuardFailure.self) {
                    try await decider.evaluate(Self.context(Self.tool), until: Self.deadline)
                }
                #expect(failure?.code == .ruleFailed && failure?.message == "workers/w: worker_error")
            }
            try await Self.deciding(rig, Self.settings { $0.onFailure = [.toolConditional: .open] }) { decider in
                let verdict = try await decider.evaluate(Self.context(Self.tool), until: Self.deadline)
                #expect(verdict == GuardVerdict(evaluated: ["workers/w"]))
            }
            try await Self.deciding(rig, Self.settings { $0.tenants = ["other"] }) { decider in
                let verdict = try await decider.evaluate(Self.context(Self.tool), until: Self.deadline)
                #expect(verdict == GuardVerdict(evaluated: []))
            }
            #expect(worker.calls.count == 2)
        }
    }

    @Test("a worker without conditional rules decides nothing")
    func nothing() async throws {
        try await Rig.with { rig in
            let settings = WorkerSettings(name: "w", surfaces: [.mark])
            let pool = WorkerPool(
                rig.jetStream.connection, [settings], metrics: Metrics(), logger: LogLines().logger)
            #expect(WorkerDecider(settings, pool) == nil)
        }
    }
}
