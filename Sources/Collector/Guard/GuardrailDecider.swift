internal import ATOF
package import Middleware
internal import Stages

/// A rule of the `guardrails` component, asked before the act.
struct GuardrailDecider: GuardDecider {
    let name: String
    let priority: Int32
    var judgesRewritten: Bool { true }
    private let evaluator: GuardrailEvaluator

    /// - Returns: nil for a rule that has nothing to say before the act.
    init?(_ rule: GuardrailRule) {
        evaluator = GuardrailEvaluator(GuardrailRules(rules: [rule]))
        guard !rule.condition.isOnRuns, !evaluator.isEmpty else { return nil }
        (name, priority) = (rule.name, rule.priority)
    }

    func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict {
        let answer = evaluator.decide(GuardRequest(context))
        var verdict = GuardVerdict(
            evaluated: answer.evaluated, alerts: answer.alerts.map { .init(rule: $0.rule, message: $0.message) })
        if case .reject(let rule, let reason) = answer.decision {
            verdict.rejection = .init(rule: rule, reason: reason)
        }
        return verdict
    }

    func rewrite(
        _ context: GuardContext, until deadline: ContinuousClock.Instant
    ) async throws -> GuardQuestion.Call? {
        guard case .transformed(let request) = evaluator.decide(GuardRequest(context)).decision else { return nil }
        return try request.questionCall
    }
}

/// The budgets of the `guardrails` component that count calls. What a call will cost, or how many tokens it takes, nobody knows before it:
/// those budgets are watched behind the act only.
struct GuardrailBudgets: GuardBudgets {
    private let evaluator: GuardrailEvaluator

    /// - Returns: nil when there is none.
    init?(_ rules: GuardrailRules) {
        let counting = rules.rules.filter { rule in
            guard case .budget(let budget) = rule.condition else { return false }
            return rule.actions.contains(.reject) && budget.measure.isKnownBefore
        }
        if counting.isEmpty { return nil }
        evaluator = GuardrailEvaluator(GuardrailRules(rules: counting))
    }

    func demands(of context: GuardContext) -> [GuardDemand] {
        evaluator.budgets(for: GuardRequest(context)).map { claim in
            let subject: BudgetSubject =
                switch claim.budget.owner {
                case .tenant: .tenant
                case .agent: .agent(claim.key.owner)
                // Calls that name no trajectory share one.
                case .trajectory: .trajectory(context.question.trajectory ?? EventUUID(high: 0, low: 0))
                }
            return GuardDemand(
                BudgetDemand(
                    budget: claim.rule, subject: subject, limit: claim.budget.limit, window: claim.budget.window),
                reason: claim.reason, alerts: claim.alerts)
        }
    }
}

extension GuardPolicy {
    /// What the `guardrails` component says before the act, and what others do. With the component on, agents are answered even if no rule
    /// of it is for them.
    package init(_ rules: GuardrailRules?, beside others: [any GuardDecider] = []) {
        self.init(
            deciders: (rules?.rules ?? []).compactMap { GuardrailDecider($0) } + others,
            budgets: [rules.flatMap { GuardrailBudgets($0) }].compactMap { $0 },
            isOn: rules != nil || !others.isEmpty)
    }
}

extension GuardRequest {
    fileprivate init(_ context: GuardContext) {
        let question = context.question
        let call: Call =
            switch question.call {
            case .tool(let arguments): .tool(name: question.name, arguments: arguments)
            case .llm(let headers, let content):
                .llm(
                    name: question.name, model: content["model"]?.stringValue,
                    request: .object(JSONObject([("headers", .object(headers)), ("content", content)])))
            }
        self.init(
            tenant: context.tenant, agent: question.agent, trajectory: question.trajectory, call: call)
    }

    fileprivate var questionCall: GuardQuestion.Call {
        get throws {
            switch call {
            case .tool(_, let arguments): return .tool(arguments: arguments)
            case .llm(_, _, let request):
                guard let headers = request["headers"]?.objectValue, let content = request["content"] else {
                    throw GuardFailure(.ruleFailed, "a rule made a request without headers and content")
                }
                return .llm(headers: headers, content: content)
            }
        }
    }
}
