package import ATOF
package import Stages

/// Which budgets a call counts for.
package protocol GuardBudgets: Sendable {
    /// In the order of their rules.
    func demands(of context: GuardContext) -> [GuardDemand]
}

/// A budget's demand, and what is said when it has no room.
package struct GuardDemand: Sendable, Hashable {
    package let demand: BudgetDemand
    package let reason: String
    /// Whether exceeding it is told.
    package let alerts: Bool

    package init(_ demand: BudgetDemand, reason: String, alerts: Bool = false) {
        self.demand = demand
        self.reason = reason
        self.alerts = alerts
    }
}

/// Everything that agents are answered by: deciders in their order, then budgets.
package struct GuardPolicy: Sendable {
    package let deciders: [any GuardDecider]
    package let budgets: [any GuardBudgets]

    /// Whether agents are answered at all: by whoever has no guardrails they are not, or it would allow what another member rejects.
    package let isOn: Bool

    package init(deciders: [any GuardDecider] = [], budgets: [any GuardBudgets] = [], isOn: Bool = true) {
        self.isOn = isOn
        self.deciders = deciders.sorted { left, right in
            left.priority != right.priority
                ? left.priority < right.priority : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }
        self.budgets = budgets
    }

    /// What came of a question.
    package struct Outcome: Sendable, Hashable {
        package var reply: GuardReply
        package var alerts: [GuardVerdict.Alert] = []
    }

    /// Asks the deciders on the call as it is asked for, and the first rejection ends it; then lets them rewrite it, one after the other,
    /// and rules judge what they made of it; then counts it against the budgets. So a call that is rejected is never counted.
    ///
    /// - Parameters:
    ///   - now: looked at between any two steps: nothing begins behind the deadline.
    ///   - count: asks whoever counts the tenant's calls.
    package func answer(
        _ context: GuardContext, until deadline: ContinuousClock.Instant, now: () -> ContinuousClock.Instant = { .now },
        count: ([BudgetDemand]) async -> BudgetVerdict
    ) async -> Outcome {
        var evaluations: [GuardReply.Evaluation] = []
        var alerts: [GuardVerdict.Alert] = []
        func reject(_ rejection: GuardVerdict.Rejection, by name: String) -> Outcome {
            evaluations.append(.init(name: name, outcome: .rejected(reason: rejection.reason)))
            return outcome(.reject(rule: rejection.rule, reason: rejection.reason))
        }
        func outcome(_ decision: GuardReply.Decision) -> Outcome {
            Outcome(reply: GuardReply(decision, evaluations: evaluations), alerts: alerts)
        }
        for decider in deciders {
            if now() >= deadline { return outcome(.error(.late("before \(decider.name) was asked"))) }
            do {
                let verdict = try await decider.evaluate(context, until: deadline)
                alerts += verdict.alerts
                for name in verdict.evaluated.dropLast(verdict.rejection == nil ? 0 : 1) {
                    evaluations.append(.init(name: name, outcome: .allowed))
                }
                if let rejection = verdict.rejection {
                    return reject(rejection, by: verdict.evaluated.last ?? rejection.rule)
                }
            } catch {
                let failure = GuardFailure.failed(decider.name, error)
                evaluations.append(.init(name: decider.name, outcome: .failed(failure.message)))
                return outcome(.error(failure))
            }
        }
        var rewritten = context
        // Rules in front of somebody else who rewrites the call have not seen it: they are asked once more.
        let order = Array(deciders.indices) + deciders.indices.filter { deciders[$0].judgesRewritten }
        var lastStranger = -1
        for (step, index) in order.enumerated() where step < deciders.count || index < lastStranger {
            let decider = deciders[index]
            if now() >= deadline { return outcome(.error(.late("before \(decider.name) could rewrite the request"))) }
            do {
                if decider.judgesRewritten, rewritten != context {
                    let verdict = try await decider.evaluate(rewritten, until: deadline)
                    alerts += verdict.alerts.filter { !alerts.contains($0) }
                    if let rejection = verdict.rejection {
                        return reject(rejection, by: verdict.evaluated.last ?? rejection.rule)
                    }
                }
                guard let call = try await decider.rewrite(rewritten, until: deadline) else { continue }
                guard call.kind == context.question.call.kind else {
                    return outcome(
                        .error(GuardFailure(.ruleFailed, "\(decider.name): made a call of another kind of it")))
                }
                if !decider.judgesRewritten, call != rewritten.question.call { lastStranger = index }
                rewritten.question.call = call
            } catch {
                return outcome(.error(.failed(decider.name, error)))
            }
        }
        let demands = budgets.flatMap { $0.demands(of: context) }
        if !demands.isEmpty {
            if now() >= deadline { return outcome(.error(.late("before the budgets were asked"))) }
            switch await count(demands.map(\.demand)) {
            case .counted: evaluations += demands.map { .init(name: $0.demand.budget, outcome: .allowed) }
            case .exhausted(let exhausted, _):
                let before = demands.prefix { $0.demand != exhausted }
                evaluations += before.map { .init(name: $0.demand.budget, outcome: .allowed) }
                let demand = demands.first { $0.demand == exhausted }
                let reason = demand?.reason ?? "the budget \(exhausted.budget) is exhausted"
                evaluations.append(.init(name: exhausted.budget, outcome: .rejected(reason: reason)))
                if demand?.alerts == true { alerts.append(.init(rule: exhausted.budget, message: reason)) }
                return outcome(.reject(rule: exhausted.budget, reason: reason))
            case .expired: return outcome(.error(.late("before the budgets could count it")))
            case .unavailable(let reason): return outcome(.error(GuardFailure(.budgetUnavailable, reason)))
            }
        }
        let call = rewritten.question.call
        return outcome(call == context.question.call ? .allow : .transform(call))
    }
}

extension GuardFailure {
    static func late(_ when: String) -> GuardFailure {
        GuardFailure(.deadlineExceeded, "the deadline was over \(when)")
    }

    fileprivate static func failed(_ decider: String, _ error: any Error) -> GuardFailure {
        if let failure = error as? GuardFailure { return failure }
        return GuardFailure(.ruleFailed, "\(decider): \(error)")
    }
}
