import ATOF
import Collector
import Middleware
import NATSTransport
import Stages
import Testing

@Suite("Budgets that begin anew", .timeLimit(.minutes(2)))
struct BudgetResetTests {
    private static func ask(_ rig: Rig, _ id: String) async throws -> GuardReply.Decision {
        try await GuardClient(rig.jetStream.connection).ask(
            .tool("search", callID: id), tenant: "acme", timeout: .seconds(20)
        ).decision
    }

    @Test("an exhausted budget begins anew when the tenant's counters are reset, by the command or by hand")
    func exhausted() async throws {
        try await Rig.with { rig in
            try await rig.guarding(rules: [.budget("calls", limit: 2)], members: 2) { _ in
                for round in 0..<2 {
                    // On a busy machine a question can go unanswered; one that is asked again counts once.
                    for call in 0..<2 {
                        try await eventually("call \(call) is allowed") {
                            try await Self.ask(rig, "\(round)/\(call)") == .allow
                        }
                    }
                    try await eventually("the budget is used up") {
                        try await Self.ask(rig, "\(round)/2") == .reject(rule: "calls", reason: "calls is used up")
                    }
                    if round == 0 {
                        let reset = ["guard", "budgets", "--nats", rig.server.url, "--tenant", "acme", "--reset"]
                        let asked = try await SkeinProcess.run(reset, directory: rig.directory)
                        #expect(asked.code == 2 && asked.errors.contains("--yes"), "\(asked)")
                        let done = try await SkeinProcess.run(reset + ["--yes"], directory: rig.directory)
                        #expect(done.code == 0 && done.output == "the budgets of acme begin anew\n", "\(done)")
                    } else {
                        #expect(try await BudgetList.reset(rig.jetStream, tenant: "acme"))
                        #expect(try await !BudgetList.reset(rig.jetStream, tenant: "acme"))
                    }
                    let number = round
                    try await eventually("it begins anew") { try await Self.ask(rig, "\(number)/new") == .allow }
                    #expect(try await BudgetList.reset(rig.jetStream, tenant: "acme"))
                    try await eventually("it begins anew") { try await Self.ask(rig, "\(number)/x") == .allow }
                    #expect(try await BudgetList.reset(rig.jetStream, tenant: "acme"))
                }
            }
        }
    }

    @Test("of a tenant that has used none there is nothing to reset, and a tenant has to be named")
    func none() async throws {
        try await Rig.with { rig in
            try await rig.guarding(rules: [.budget("calls", limit: 2)]) { _ in
                let none = try await SkeinProcess.run(
                    ["guard", "budgets", "--nats", rig.server.url, "--tenant", "acme", "--reset", "--yes"],
                    directory: rig.directory)
                #expect(none.code == 0 && none.output == "no budget of acme has been used\n", "\(none)")
                for (arguments, name) in [(["--reset"], "--tenant"), (["--yes"], "--reset")] {
                    let wrong = try await SkeinProcess.run(
                        ["guard", "budgets", "--nats", rig.server.url] + arguments, directory: rig.directory)
                    #expect(wrong.code == 2 && wrong.errors.contains(name), "\(wrong)")
                }
            }
        }
    }
}
