import AgentKit
import Collector
import Foundation
import Middleware
import NATSTransport
import Stages
import Testing

/// A whole agent: its scopes, its publisher, and the collectors that decide.
@Suite("An agent with AgentKit", .timeLimit(.minutes(2)))
struct AgentKitInCollectorTests {
    private static func running<Result>(
        _ rig: Rig, failsOpen: Bool = false, _ body: (AgentRuntime, SkeinPublisher) async throws -> Result
    ) async throws -> Result {
        try await rig.runningAgent(
            { AgentSettings(remoteGuards: $0.guards(timeout: .seconds(5), failsOpen: failsOpen)) }, body)
    }

    @Test("the collectors' rules reject and rewrite its calls, and what happened is published")
    func decided() async throws {
        let redacting = GuardrailRule(
            name: "redact", condition: .arguments([.init(pointer: "/key", test: .equals("s3cret"))]),
            actions: [.redact], reason: "it is secret")
        try await Rig.with { rig in
            try await rig.guarding(rules: [.denying("deny", "delete_*"), redacting]) { _ in
                try await Self.running(rig) { runtime, publisher in
                    try await runtime.withScope(.agent, "planner") { scope in
                        let seen = try await scope.callTool("search", ["key": "s3cret"]) { arguments in
                            ["seen": arguments["key"] ?? .null]
                        }
                        #expect(seen["seen"]?.description.contains("REDACTED") == true)
                        await #expect(throws: AgentKitError.self) {
                            try await scope.callTool("delete_all", ["path": "/"]) { _ in "gone" }
                        }
                    }
                    #expect(await publisher.flush(timeout: .seconds(30)))
                }
                try await eventually("what happened is processed") {
                    let messages = try await rig.contents(of: SkeinSubjects.processedStream)
                    let text = String(decoding: messages.flatMap(\.payload), as: UTF8.self)
                    return text.contains("search") && text.contains("deny says no")
                }
            }
        }
    }

    @Test("without an answer a call is aborted, or goes on when that was asked for")
    func nobody() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            for failsOpen in [false, true] {
                try await Self.running(rig, failsOpen: failsOpen) { runtime, _ in
                    let result: JSON? = await runtime.withScope(.agent, "planner") { scope in
                        try? await scope.callTool("search", [:]) { _ in "found" }
                    }
                    #expect((result != nil) == failsOpen)
                }
            }
        }
    }
}
