internal import ATOF

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
        for rule in asked where rule.condition.isAbout(request.call.kind) && rule.selection.matches(request) {
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
        case (.content(let test), .llm(let name, _, let body)):
            test.redacted(body) != nil || test.redacted(text: name) != nil
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
        let read = arguments.readAsArguments
        for test in tests {
            // Text that is searched as a whole still is when it happens to be JSON.
            let values = [read.value(at: test.pointer, throughText: true)] + (test.pointer.isEmpty ? [arguments] : [])
            if case .violates(let schema) = test.test {
                let isHidden = test.pointer.isEmpty && arguments.isTextTooDeep
                let found = isHidden ? .unchecked(.tooDeep) : values[0].flatMap { schema.violation(by: $0) }
                guard let violation = found else { return nil }
                if finding.violation == nil { finding = ArgumentFinding(violation: violation, pointer: test.pointer) }
            } else if !values.contains(where: { $0.map(test.holds) ?? false }) {
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

extension GuardrailRule.Condition {
    /// Whether it can say anything of a call of the kind: who has no say was not asked.
    fileprivate func isAbout(_ call: GuardRequest.Kind) -> Bool {
        category.map { $0.rawValue == call.rawValue } ?? true
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
    /// - Parameter value: what the pointer names.
    fileprivate func holds(for value: JSONValue) -> Bool {
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
    /// Arguments as rules read them: of JSON text, as model APIs write the arguments of a call, what it holds; of none, which is null or an
    /// empty text, an object without members, so that a schema finds missing what it requires.
    fileprivate var readAsArguments: JSONValue {
        switch self {
        case .null: .object(JSONObject())
        case .string(let text):
            text.allSatisfy(\.isWhitespace) ? .object(JSONObject()) : JSONValue.held(in: text) ?? self
        case .bool, .int, .unsigned, .double, .array, .object: self
        }
    }

    /// Whether it is JSON text that a parser of its own might read, and ours does not for its depth.
    fileprivate var isTextTooDeep: Bool {
        guard case .string(let text) = self else { return false }
        do throws(JSONRefusal) {
            _ = try JSONParser.parse(text)
            return false
        } catch {
            return error == .depth
        }
    }

    fileprivate var isInteger: Bool { int64Value != nil || uint64Value != nil }
}
