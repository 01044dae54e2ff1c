internal import ATOF

/// A rule on single events as a step of the chain (`docs/components/guardrails.md`).
///
/// Rules stand in the chain by their own priority, so that one may look before another component redacts, or after it.
package struct GuardrailStep: ChainStep {
    private let rule: GuardrailRule

    package var name: String { "guardrails.\(rule.name)" }
    package var priority: Int32 { rule.priority }

    /// - Returns: nil for a rule that has nothing to do on the stream.
    package init?(_ rule: GuardrailRule) {
        let onStream: Set<GuardrailRule.Action> = [.alert, .annotate, .redact, .dropPayload, .dropEvent]
        // An event does not tell its agent.
        guard !rule.condition.isOnRuns, rule.selection.agents.isEmpty, !rule.actions.isDisjoint(with: onStream) else {
            return nil
        }
        self.rule = rule
    }

    package func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        guard isChosen(draft), let finding = finding(in: draft) else { return .pass }
        // A tool that is denied is so once, though its scope has two events.
        if rule.actions.contains(.alert), finding.isNews {
            notes.alerts.append(.init(rule: rule.name, message: finding.reason, event: draft.event.uuid))
        }
        if let obstacle = finding.obstacle { notes.failures.append(.init(step: name, reason: obstacle.rawValue)) }
        if rule.actions.contains(.dropEvent) { return .drop(rule: rule.name) }
        var isChanged = false
        // What is found in a name or in the metadata is no payload, and would stay.
        if rule.actions.contains(.redact) || rule.isContent && rule.actions.contains(.dropPayload),
            let redacted = finding.redacted
        {
            draft = redacted
            isChanged = true
        }
        if rule.actions.contains(.dropPayload) {
            draft.dropPayload()
            isChanged = true
        }
        if rule.actions.contains(.annotate), let annotation = rule.annotation {
            isChanged = draft.annotate(annotation) || isChanged
        }
        if isChanged { notes.changes[name, default: 0] += 1 }
        return .pass
    }

    /// A call of a model is chosen by its name or by its model's.
    private func isChosen(_ draft: EventDraft) -> Bool {
        let selection = rule.selection
        guard selection.matches(tenant: draft.tenant) else { return false }
        let category = draft.event.category?.raw
        if selection.matches(category: category, name: draft.name) { return true }
        guard !selection.names.isEmpty, draft.event.category?.known == .llm,
            let model = draft.categoryProfile?["model_name"]?.stringValue
        else { return false }
        return selection.matches(category: category, name: model)
    }

    // MARK: Findings

    private struct Finding {
        /// Whether it says something that no other event of the scope says.
        var isNews = true
        let reason: String
        /// Why the rule fires without knowing.
        var obstacle: GuardrailRule.Violation.Obstacle?
        /// The event without what was found; nil where there is nothing to redact.
        var redacted: EventDraft?
    }

    /// - Returns: nil when the rule does not fire.
    private func finding(in draft: EventDraft) -> Finding? {
        switch rule.condition {
        case .tools(let lists):
            guard !draft.event.isMark, draft.event.category?.known == .tool, lists.fires(for: draft.name) else {
                return nil
            }
            return Finding(isNews: draft.event.kind == .scopeStart, reason: rule.reason)
        case .arguments(let tests):
            guard draft.event.kind == .scopeStart, draft.event.category?.known == .tool else { return nil }
            // Null is what a tool without arguments has.
            let arguments = draft.data ?? .null
            guard let found = GuardrailRule.finding(of: tests, in: arguments) else { return nil }
            var redacted = draft
            redacted.data = GuardrailRule.redacted(arguments, at: tests, with: rule.replacement)
            var finding = Finding(reason: rule.reason(for: found), redacted: redacted)
            if case .unchecked(let obstacle) = found.violation { finding.obstacle = obstacle }
            return finding
        case .content(let test):
            var redacted = draft
            return redacted.redact(by: test) ? Finding(reason: rule.reason, redacted: redacted) : nil
        case .budget, .loop: return nil
        }
    }
}

/// Of what a rule redacts, or drops the payload or the event for, nothing may come from behind it either.
extension GuardrailStep: RedactingStep {
    var redactsLate: Bool { true }

    private var hiddenContent: GuardrailRule.ContentTest? {
        guard case .content(let test) = rule.condition,
            !rule.actions.isDisjoint(with: [.redact, .dropPayload, .dropEvent])
        else { return nil }
        return test
    }

    func redact(_ draft: inout EventDraft) {
        guard let test = hiddenContent, isChosen(draft) else { return }
        _ = draft.redact(by: test)
    }

    /// Whom a rule is for is not asked: the text is of no event.
    func redacted(name: String) -> String? { hiddenContent?.redacted(text: name) }
}

extension GuardrailRule {
    fileprivate var isContent: Bool { if case .content = condition { true } else { false } }
}

extension EventDraft {
    /// What a producer's payload is: data, what was made of requests, answers and results, and what ATOF does not know.
    fileprivate mutating func dropPayload() {
        data = nil
        unknownFields = nil
        guard case .object(var profile) = categoryProfile else { return }
        for key in ["annotated_request", "annotated_response", "tool_result_annotation"] where profile[key] != nil {
            profile[key] = nil
            categoryProfile = .object(profile)
        }
    }

    /// - Returns: whether that changed anything; metadata that are no object are left alone.
    fileprivate mutating func annotate(_ annotation: GuardrailRule.Annotation) -> Bool {
        guard var object = metadata.map({ $0.objectValue }) ?? JSONObject(), object[annotation.key] != annotation.value
        else { return false }
        object[annotation.key] = annotation.value
        metadata = .object(object)
        return true
    }

    /// - Returns: whether the test has found anything.
    fileprivate mutating func redact(by test: GuardrailRule.ContentTest) -> Bool {
        var isFound = redact(\.data, originalData, by: test)
        isFound = redact(\.metadata, originalMetadata, by: test) || isFound
        isFound = redact(\.categoryProfile, originalCategoryProfile, by: test) || isFound
        isFound = redact(\.unknownFields, originalUnknownFields, by: test) || isFound
        guard let redacted = test.redacted(text: name) else { return isFound }
        name = redacted.isEmpty ? "redacted" : redacted
        return true
    }

    /// - Parameter original: the text of a payload that no step has replaced: most hold nothing, and need not be parsed to see that.
    private mutating func redact(
        _ path: WritableKeyPath<EventDraft, JSONValue?>, _ original: RawJSON?, by test: GuardrailRule.ContentTest
    ) -> Bool {
        if let original, !test.mayMatch(original) { return false }
        guard let value = self[keyPath: path], let redacted = test.redacted(value) else { return false }
        self[keyPath: path] = redacted
        return true
    }
}

extension GuardrailRules {
    /// The rules on single events as steps of the chain.
    package var steps: [GuardrailStep] { rules.compactMap { GuardrailStep($0) } }
}
