package import ATOF

/// The rules in their order, ready to be asked. Pure: the same rules and request give the same answer.
package struct GuardrailEvaluator: Sendable {
    private let rules: [GuardrailRule]
    private let asked: [GuardrailRule]
    private let budgets: [GuardrailRule]

    package init(_ rules: GuardrailRules) {
        self.rules = rules.inOrder
        asked = self.rules.filter { !$0.condition.isOnRuns && !$0.actions.isDisjoint(with: [.reject, .redact]) }
        budgets = self.rules.filter { rule in
            if case .budget(let budget) = rule.condition {
                rule.actions.contains(.reject) && budget.measure.isCountable
            } else {
                false
            }
        }
    }

    /// Whether anything has to be asked before the act.
    package var isEmpty: Bool { asked.isEmpty && budgets.isEmpty }

    /// What the rules on single events say. The first that rejects ends it; what one redacts the next ones see redacted.
    package func decide(_ request: GuardRequest) -> GuardAnswer {
        var answer = GuardAnswer(decision: .allow, evaluated: [], alerts: [])
        var request = request
        for rule in asked where rule.selection.matches(request) {
            answer.evaluated.append(rule.name)
            guard fires(rule, request) else { continue }
            if rule.actions.contains(.alert) {
                answer.alerts.append(.init(rule: rule.name, message: rule.reason))
            }
            if rule.actions.contains(.reject) {
                answer.decision = .reject(rule: rule.name, reason: rule.reason)
                return answer
            }
            if rule.actions.contains(.redact), redact(&request, by: rule) { answer.decision = .transformed(request) }
        }
        return answer
    }

    /// The budgets that count before the act and that the request counts for, in the order of their rules.
    package func budgets(for request: GuardRequest) -> [BudgetClaim] {
        budgets.compactMap { rule in
            guard case .budget(let budget) = rule.condition, budget.measure.counts(request.call.kind),
                rule.selection.matches(request)
            else { return nil }
            let owner: String =
                switch budget.owner {
                case .tenant: ""
                case .agent: request.agent ?? ""
                case .trajectory: request.trajectory?.description ?? ""
                }
            return BudgetClaim(
                rule: rule.name, reason: rule.reason, budget: budget,
                key: .init(rule: rule.name, tenant: request.tenant, owner: owner),
                alerts: rule.actions.contains(.alert))
        }
    }

    /// - Returns: whether that changed anything.
    private func redact(_ request: inout GuardRequest, by rule: GuardrailRule) -> Bool {
        let before = request.call
        switch (rule.condition, request.call) {
        case (.arguments(let tests), .tool(let name, let arguments)):
            request.call = .tool(
                name: name, arguments: GuardrailRule.redacted(arguments, at: tests, with: rule.replacement))
        case (.content(let test), .tool(let name, let arguments)):
            if let redacted = test.redacted(arguments) { request.call = .tool(name: name, arguments: redacted) }
        case (.content(let test), .llm(let name, let model, let body)):
            if let redacted = test.redacted(body) { request.call = .llm(name: name, model: model, request: redacted) }
        case (.tools, _), (.arguments, .llm), (.budget, _), (.loop, _): break
        }
        return request.call != before
    }

    private func fires(_ rule: GuardrailRule, _ request: GuardRequest) -> Bool {
        switch (rule.condition, request.call) {
        case (.tools(let lists), .tool(let name, _)): lists.fires(for: name)
        case (.arguments(let tests), .tool(_, let arguments)): tests.allSatisfy { $0.holds(for: arguments) }
        case (.content(let test), .tool(let name, let arguments)):
            test.redacted(arguments) != nil || test.redacted(text: name) != nil
        case (.content(let test), .llm(_, _, let body)): test.redacted(body) != nil
        case (.tools, .llm), (.arguments, .llm), (.budget, _), (.loop, _): false
        }
    }
}

extension GuardrailRule {
    /// Arguments with something else at the places that tests look at.
    static func redacted(_ arguments: JSONValue, at tests: [ArgumentTest], with replacement: String) -> JSONValue {
        tests.reduce(arguments) { $0.replacing(at: $1.pointer, with: .string(replacement)) }
    }
}

extension GuardrailRule.Selection {
    /// A request has no event: its category is the kind of the call, its name the call's, or the model's.
    package func matches(_ request: GuardRequest) -> Bool {
        let names: [String] =
            switch request.call {
            case .tool(let name, _): [name]
            case .llm(let name, let model, _): [name] + (model.map { [$0] } ?? [])
            }
        return matches(tenant: request.tenant) && matches(agent: request.agent)
            && names.contains { matches(category: request.call.kind.rawValue, name: $0) }
    }
}

extension GuardrailRule.ArgumentTest {
    package func holds(for arguments: JSONValue) -> Bool {
        guard let value = arguments.value(at: pointer) else { return false }
        switch test {
        case .pattern(let pattern): return value.stringValue.map { pattern.matches($0) } ?? false
        case .equals(let expected):
            if value == expected { return true }
            // Between integers there is nothing else to say; a double holds not every one of them.
            if value.isInteger, expected.isInteger { return false }
            return value.numberValue.map { $0 == expected.numberValue } ?? false
        case .range(let minimum, let maximum):
            guard let number = value.numberValue else { return false }
            return number >= minimum ?? -.infinity && number <= maximum ?? .infinity
        }
    }
}

extension JSONValue {
    fileprivate var isInteger: Bool { int64Value != nil || uint64Value != nil }
}
