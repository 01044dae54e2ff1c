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
            guard let reason = reason(rule, request) else { continue }
            if rule.actions.contains(.alert) { answer.alerts.append(.init(rule: rule.name, message: reason)) }
            if rule.actions.contains(.reject) {
                answer.decision = .reject(rule: rule.name, reason: reason)
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

    /// What there is to tell of a rule that fires; nil of one that does not.
    private func reason(_ rule: GuardrailRule, _ request: GuardRequest) -> String? {
        if case .arguments(let tests) = rule.condition, case .tool(_, let arguments) = request.call {
            return GuardrailRule.finding(of: tests, in: arguments).map { rule.reason(for: $0) }
        }
        return fires(rule, request) ? rule.reason : nil
    }

    private func fires(_ rule: GuardrailRule, _ request: GuardRequest) -> Bool {
        switch (rule.condition, request.call) {
        case (.tools(let lists), .tool(let name, _)): lists.fires(for: name)
        case (.content(let test), .tool(let name, let arguments)):
            test.redacted(arguments) != nil || test.redacted(text: name) != nil
        case (.content(let test), .llm(_, _, let body)): test.redacted(body) != nil
        case (.tools, .llm), (.arguments, _), (.budget, _), (.loop, _): false
        }
    }
}

extension GuardrailRule {
    /// Arguments with something else at the places that tests look at.
    static func redacted(_ arguments: JSONValue, at tests: [ArgumentTest], with replacement: String) -> JSONValue {
        tests.reduce(arguments) { $0.replacing(at: $1.pointer, with: .string(replacement)) }
    }

    /// What tests that all hold have found in arguments.
    struct ArgumentFinding {
        /// Of the first test with a schema, and the pointer of that test.
        var violation: Violation?
        var pointer = ""
    }

    /// - Returns: nil when one of the tests does not hold.
    static func finding(of tests: [ArgumentTest], in arguments: JSONValue) -> ArgumentFinding? {
        var finding = ArgumentFinding()
        for test in tests {
            if case .violates(let schema) = test.test {
                guard let violation = arguments.value(at: test.pointer).flatMap({ schema.violation(by: $0) }) else {
                    return nil
                }
                if finding.violation == nil { finding = ArgumentFinding(violation: violation, pointer: test.pointer) }
            } else if !test.holds(for: arguments) {
                return nil
            }
        }
        return finding
    }

    /// The rule's reason, and what a schema has to say about it.
    func reason(for finding: ArgumentFinding) -> String {
        finding.violation.map { "\(reason): \($0.text(below: finding.pointer))" } ?? reason
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
        case .violates(let schema): return schema.violation(by: value) != nil
        }
    }
}

extension JSONValue {
    fileprivate var isInteger: Bool { int64Value != nil || uint64Value != nil }
}
