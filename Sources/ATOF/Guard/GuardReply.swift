/// What an agent is answered before it acts.
package struct GuardReply: Sendable, Hashable {
    package enum Decision: Sendable, Hashable {
        case allow
        /// The call must not begin; the agent sees `guardrail rejected: <reason>`.
        case reject(rule: String, reason: String)
        /// Allowed with these arguments, headers and content in place of those that were asked for.
        case transform(GuardQuestion.Call)
        /// Nothing was decided, and the call must not begin: an error is never an allow.
        case error(GuardFailure)
    }

    /// A guardrail that was evaluated. The agent publishes a guardrail scope for each, whose end has this as `data`
    /// (`middleware-guardrails-pii.md` 4.2).
    package struct Evaluation: Sendable, Hashable {
        package enum Outcome: Sendable, Hashable {
            case allowed
            case rejected(reason: String)
            case failed(String)
        }

        package let name: String
        package let outcome: Outcome

        package init(name: String, outcome: Outcome) {
            self.name = name
            self.outcome = outcome
        }
    }

    package let decision: Decision
    /// In the order in which they were evaluated; the first that did not allow is the last.
    package let evaluations: [Evaluation]

    package init(_ decision: Decision, evaluations: [Evaluation] = []) {
        self.decision = decision
        self.evaluations = evaluations
    }
}

/// Why nothing was decided: names what failed, never what was asked.
package struct GuardFailure: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable, CaseIterable {
        /// The request cannot be read; asking again changes nothing.
        case badRequest = "bad_request"
        /// The deadline was over before everything was evaluated.
        case deadlineExceeded = "deadline_exceeded"
        /// The collector has as many requests under way as it takes; ask again.
        case busy
        /// A rule, a rewriting or a worker failed.
        case ruleFailed = "rule_failed"
        /// The budgets' counters cannot be read or written now.
        case budgetUnavailable = "budget_unavailable"
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
