import ATOF
import Collector
import Middleware
import Stages
import Synchronization
import Testing

@Suite("Guard policy")
struct GuardPolicyTests {
    /// Says what it is told to, and notes that it was asked.
    private struct Scripted: GuardDecider {
        enum Answer: Sendable {
            case allow
            case reject
            case fail
            case rewrite(JSONValue)
            case otherKind
        }

        let name: String
        var priority: Int32 = 100
        var answer = Answer.allow
        let seen: Seen

        func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict {
            seen.note("\(name)?")
            switch answer {
            case .reject:
                return GuardVerdict(evaluated: [name], rejection: .init(rule: name, reason: "\(name) says no"))
            case .fail: throw Failure("\(name) is gone")
            case .allow, .rewrite, .otherKind: return GuardVerdict(evaluated: [name])
            }
        }

        func rewrite(
            _ context: GuardContext, until deadline: ContinuousClock.Instant
        ) async throws -> GuardQuestion.Call? {
            seen.note("\(name)!")
            switch answer {
            case .rewrite(let value):
                guard case .tool(.array(let before)) = context.question.call else { throw Failure("not an array") }
                return .tool(arguments: .array(before + [value]))
            case .otherKind: return .llm(headers: JSONObject(), content: .null)
            case .allow, .reject, .fail: return nil
            }
        }
    }

    private final class Seen: Sendable {
        private let names = Mutex<[String]>([])
        func note(_ name: String) { names.withLock { $0.append(name) } }
        var all: [String] { names.withLock { $0 } }
    }

    private struct Fixed: GuardBudgets {
        let demands: [GuardDemand]
        func demands(of context: GuardContext) -> [GuardDemand] { demands }
    }

    private static let demand = BudgetDemand(budget: "calls", subject: .tenant, limit: 1)
    private static let context = GuardContext(tenant: "acme", question: .tool("search", ["first"]))

    private static func answer(
        _ policy: GuardPolicy, until deadline: ContinuousClock.Instant = .now + .seconds(60),
        count: ([BudgetDemand]) async -> BudgetVerdict = { _ in .unavailable("nobody was to be asked") }
    ) async -> GuardReply {
        await policy.answer(context, until: deadline, count: count).reply
    }

    @Test(
        "asks in the order of priorities and names, and the first reason ends it; nothing is rewritten or counted then")
    func order() async {
        let seen = Seen()
        let policy = GuardPolicy(
            deciders: [
                Scripted(name: "c", answer: .reject, seen: seen), Scripted(name: "z", priority: -1, seen: seen),
                Scripted(name: "a", answer: .rewrite(1), seen: seen), Scripted(name: "d", answer: .fail, seen: seen),
            ], budgets: [Fixed(demands: [GuardDemand(Self.demand, reason: "used up")])])
        let reply = await Self.answer(policy)
        #expect(reply.decision == .reject(rule: "c", reason: "c says no"))
        #expect(
            reply.evaluations == [
                .init(name: "z", outcome: .allowed), .init(name: "a", outcome: .allowed),
                .init(name: "c", outcome: .rejected(reason: "c says no")),
            ])
        #expect(seen.all == ["z?", "a?", "c?"])
    }

    @Test("requests are rewritten one after the other, when all have allowed what was asked for")
    func rewriting() async {
        let seen = Seen()
        let policy = GuardPolicy(deciders: [
            Scripted(name: "b", answer: .rewrite("second"), seen: seen),
            Scripted(name: "a", priority: 200, answer: .rewrite("third"), seen: seen),
        ])
        #expect(await Self.answer(policy).decision == .transform(.tool(arguments: ["first", "second", "third"])))
        #expect(seen.all == ["b?", "a?", "b!", "a!"])
    }

    /// Says no to arguments with a word in them, and puts another one in the place of a second.
    private static func rules(_ priority: Int32) throws -> GuardrailRules {
        func rule(_ name: String, _ word: String, _ actions: Set<GuardrailRule.Action>) throws -> GuardrailRule {
            let test = try GuardrailRule.ContentTest(matchers: [.pattern(word)], replacement: "[GONE]")
            var rule = GuardrailRule(name: name, condition: .content(test), actions: actions, reason: "no \(word)")
            rule.priority = priority
            return rule
        }
        return GuardrailRules(rules: [
            try rule("never", "bad", [.reject, .redact, .alert]), try rule("hide", "secret", [.redact]),
        ])
    }

    @Test(
        "rules judge what others make of a call, wherever they stand: a rejection is one, and what they redact is redacted",
        arguments: [50, 150] as [Int32])
    func judgedAgain(_ priority: Int32) async throws {
        let seen = Seen()
        let rules = try Self.rules(priority)
        func outcome(_ word: JSONValue) async -> GuardPolicy.Outcome {
            let policy = GuardPolicy(rules, beside: [Scripted(name: "w", answer: .rewrite(word), seen: seen)])
            return await policy.answer(Self.context, until: .now + .seconds(60)) { _ in .counted }
        }
        let rejected = await outcome("bad")
        #expect(rejected.reply.decision == .reject(rule: "never", reason: "no bad"))
        #expect(rejected.reply.evaluations.last == .init(name: "never", outcome: .rejected(reason: "no bad")))
        #expect(rejected.alerts == [.init(rule: "never", message: "no bad")])
        let hidden = await outcome("secret")
        #expect(hidden.reply.decision == .transform(.tool(arguments: ["first", "[GONE]"])))
        let good = await outcome("good")
        #expect(good.reply.decision == .transform(.tool(arguments: ["first", "good"])))
        #expect(seen.all == ["w?", "w!", "w?", "w!", "w?", "w!"])
    }

    @Test("a decider that fails is an error, never an allow, and names itself")
    func failure() async {
        let seen = Seen()
        let policy = GuardPolicy(deciders: [
            Scripted(name: "a", answer: .fail, seen: seen), Scripted(name: "b", seen: seen),
        ])
        let reply = await Self.answer(policy)
        #expect(reply.decision == .error(GuardFailure(.ruleFailed, "a: a is gone")))
        #expect(reply.evaluations == [.init(name: "a", outcome: .failed("a: a is gone"))])
        #expect(seen.all == ["a?"])
    }

    @Test("a request of another kind is an error")
    func otherKind() async {
        let policy = GuardPolicy(deciders: [Scripted(name: "a", answer: .otherKind, seen: Seen())])
        guard case .error(let failure) = await Self.answer(policy).decision else {
            Issue.record("it was let through")
            return
        }
        #expect(failure.code == .ruleFailed)
    }

    @Test("behind the deadline nothing is asked")
    func deadline() async {
        let seen = Seen()
        let policy = GuardPolicy(
            deciders: [Scripted(name: "a", seen: seen)],
            budgets: [Fixed(demands: [GuardDemand(Self.demand, reason: "used up")])])
        guard case .error(let failure) = await Self.answer(policy, until: .now - .seconds(1)).decision else {
            Issue.record("it was let through")
            return
        }
        #expect(failure.code == .deadlineExceeded)
        #expect(seen.all.isEmpty)
        let budgets = GuardPolicy(budgets: policy.budgets)
        guard case .error(let late) = await Self.answer(budgets, until: .now - .seconds(1)).decision else {
            Issue.record("it was let through")
            return
        }
        #expect(late.code == .deadlineExceeded)
    }

    @Test("budgets come last: counted is allowed, exhausted is a rejection with the budget's reason, all else an error")
    func budgets() async {
        let other = BudgetDemand(budget: "hourly", subject: .tenant, limit: 1)
        let policy = GuardPolicy(
            budgets: [
                Fixed(demands: [GuardDemand(Self.demand, reason: "used up"), GuardDemand(other, reason: "too fast")])
            ])
        var asked: [BudgetDemand] = []
        let allowed = await Self.answer(policy) { demands in
            asked = demands
            return .counted
        }
        #expect(asked == [Self.demand, other])
        #expect(allowed.decision == .allow)
        #expect(allowed.evaluations.map(\.name) == ["calls", "hourly"])
        let rejected = await Self.answer(policy) { _ in .exhausted(other, used: 1) }
        #expect(rejected.decision == .reject(rule: "hourly", reason: "too fast"))
        #expect(
            rejected.evaluations == [
                .init(name: "calls", outcome: .allowed), .init(name: "hourly", outcome: .rejected(reason: "too fast")),
            ])
        for (verdict, code) in [
            (BudgetVerdict.expired, GuardFailure.Code.deadlineExceeded), (.unavailable("x"), .budgetUnavailable),
        ] {
            guard case .error(let failure) = await Self.answer(policy, count: { _ in verdict }).decision else {
                Issue.record("\(verdict) was let through")
                continue
            }
            #expect(failure.code == code)
        }
    }

    @Test("the rules of the component: each in its order, redaction behind them, budgets of calls only")
    func rules() async {
        var redacting = GuardrailRule(
            name: "redact",
            condition: .arguments([.init(pointer: "/0", test: .equals("first"))]),
            actions: [.redact], reason: "it is secret")
        redacting.priority = 1
        let tokens = GuardrailRule(
            name: "tokens", condition: .budget(.init(measure: .tokens, limit: 1)), actions: [.reject], reason: "tokens")
        let policy = GuardPolicy(
            GuardrailRules(rules: [.denying("deny", "delete_*"), redacting, .budget("calls", limit: 5), tokens]))
        #expect(policy.deciders.map(\.name) == ["redact", "deny"])
        var counted: [BudgetDemand] = []
        let reply = await Self.answer(policy) { demands in
            counted = demands
            return .counted
        }
        #expect(reply.decision == .transform(.tool(arguments: ["[REDACTED]"])))
        #expect(counted == [BudgetDemand(budget: "calls", subject: .tenant, limit: 5)])
        let denied = await policy.answer(
            GuardContext(tenant: "acme", question: .tool("delete_file")), until: .now + .seconds(60)
        ) { _ in .counted }
        #expect(denied.reply.decision == .reject(rule: "deny", reason: "deny says no"))
    }
}
