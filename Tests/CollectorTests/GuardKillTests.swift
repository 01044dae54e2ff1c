import ATOF
import Collector
import Foundation
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Guard service, with SIGKILL", .timeLimit(.minutes(3)))
struct GuardKillTests {
    private static let agents = 8
    private static let calls = 60
    private static let limit = 300

    private static func configuration(_ rig: Rig) throws -> String {
        try rig.file(
            "guard.toml",
            """
            [nats]
            urls = ["\(rig.server.url)"]
            [collector]
            partitions = 4
            [http]
            enabled = false
            [[components]]
            kind = "guardrails"
            [[components.config.rules]]
            name = "no-shell"
            actions = ["reject"]
            tools = { deny = ["shell*"] }
            [[components.config.rules]]
            name = "calls"
            actions = ["reject"]
            reason = "too many calls"
            budget = { measure = "calls", limit = \(limit), per = "tenant", window_seconds = 86400 }
            """)
    }

    private final class Answers: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    /// What an agent that asks for one call after the other has seen.
    private struct Seen: Sendable {
        var allowed = 0
        var rejected = 0
        var timeouts = 0
    }

    @Test(
        "of two of three members under load: an agent loses one timeout for each at the most, and the budget lets exactly its limit through"
    )
    func members() async throws {
        try await Rig.with { rig in
            let file = try GuardKillTests.configuration(rig)
            let members = try (0..<3).map { _ in
                try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            }
            try await eventually("three members answer") { try await rig.guardMembers().count == 3 }
            let answers = Answers()
            let seen = try await withThrowingTaskGroup(of: Seen.self) { group in
                for agent in 0..<GuardKillTests.agents {
                    group.addTask {
                        try await rig.withAgent { connection in
                            try await GuardKillTests.act(GuardClient(connection), agent) { answers.add() }
                        }
                    }
                }
                for (number, member) in members.dropLast().enumerated() {
                    try await eventually("the agents are in the middle") {
                        answers.count >= GuardKillTests.agents * GuardKillTests.calls * (number + 1) / 4
                    }
                    try await member.kill()
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let (allowed, rejected) = seen.reduce((0, 0)) { ($0.0 + $1.allowed, $0.1 + $1.rejected) }
            #expect(allowed == GuardKillTests.limit)
            #expect(rejected == 180)
            #expect(seen.allSatisfy { $0.timeouts <= 2 }, "\(seen.map(\.timeouts))")
            let shell = try await GuardClient(rig.jetStream.connection).ask(.tool("shell"), tenant: "acme")
            #expect(shell.decision == .reject(rule: "no-shell", reason: "the rule no-shell does not allow it"))
            let outcome = try await members[2].stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }

    /// Asks for one call after the other; one that is not answered is asked again, once.
    private static func act(_ client: GuardClient, _ agent: Int, answered: @escaping @Sendable () -> Void) async throws
        -> Seen
    {
        var seen = Seen()
        for call in 0..<calls {
            let question = GuardQuestion.tool("search", agent: "agent-\(agent)", callID: "\(call)")
            let reply: GuardReply
            do {
                reply = try await client.ask(question, tenant: "acme", timeout: .seconds(1))
            } catch let error as NATSError where error.code == .timeout {
                seen.timeouts += 1
                reply = try await client.ask(question, tenant: "acme", timeout: .seconds(1))
            }
            answered()
            switch reply.decision {
            case .allow: seen.allowed += 1
            case .reject: seen.rejected += 1
            case .transform, .error: throw Failure("call \(call) of agent \(agent): \(reply.decision)")
            }
        }
        return seen
    }

    @Test("the command asks as an agent does, and shows the budgets")
    func command() async throws {
        try await Rig.with { rig in
            let file = try GuardKillTests.configuration(rig)
            let ask = ["guard", "ask", "--nats", rig.server.url, "--tenant", "acme"]
            let nobody = try await SkeinProcess.run(ask + ["--tool", "search"], directory: rig.directory)
            #expect(nobody.code == 1)
            #expect(nobody.errors.contains("no collector answers"), "\(nobody.errors)")
            let member = try SkeinProcess(["collect", "--config", file], directory: rig.directory)
            try await eventually("the member answers") { try await rig.guardMembers().count == 1 }
            let allowed = try await SkeinProcess.run(
                ask + ["--tool", "search", "--arguments", "{\"q\":1}", "--call-id", "1"], directory: rig.directory)
            #expect(allowed.code == 0 && allowed.output == "allow\n", "\(allowed)")
            let denied = try await SkeinProcess.run(ask + ["--tool", "shell_exec"], directory: rig.directory)
            #expect(denied.code == 1)
            #expect(denied.output.contains("no-shell"), "\(denied)")
            let json = try await SkeinProcess.run(
                ask + ["--llm", "chat", "--request", #"{"headers":{},"content":{}}"#, "--format", "json"],
                directory: rig.directory)
            #expect(json.code == 0 && json.output.contains(#""decision":"allow""#), "\(json)")
            let budgets = try await SkeinProcess.run(
                ["guard", "budgets", "--nats", rig.server.url], directory: rig.directory)
            #expect(budgets.code == 0 && budgets.output.contains("acme  calls  tenant acme: 2 since "), "\(budgets)")
            let wrong: [([String], String)] = [
                (["--tool", "a", "--llm", "b"], "--tool"), ([], "--tool"),
                (["--tool", "a", "--arguments", "{"], "--arguments"),
                (["--llm", "a", "--request", "[]"], "--request"),
                (["--tool", "a", "--trajectory", "x"], "--trajectory"),
                (["--tool", "a", "--timeout", "0"], "--timeout"),
            ]
            for (arguments, name) in wrong {
                let outcome = try await SkeinProcess.run(ask + arguments, directory: rig.directory)
                #expect(outcome.code == 2, "\(arguments): \(outcome)")
                #expect(outcome.errors.contains(name), "\(arguments): \(outcome.errors)")
            }
            let outcome = try await member.stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }
}
