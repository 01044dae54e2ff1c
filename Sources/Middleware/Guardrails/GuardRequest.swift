package import ATOF

/// What an agent is about to do, and asks about first.
package struct GuardRequest: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case tool, llm
    }

    package enum Call: Sendable, Hashable {
        case tool(name: String, arguments: JSONValue)
        /// `name` is the call's, `request` is `{headers, content}` or the provider's body.
        case llm(name: String, model: String?, request: JSONValue)

        package var kind: Kind {
            switch self {
            case .tool: .tool
            case .llm: .llm
            }
        }
    }

    package var tenant: String
    /// The name of the nearest agent around the call.
    package var agent: String?
    /// The id of the trajectory: the UUID of the scope that opened it.
    package var trajectory: EventUUID?
    package var call: Call

    package init(tenant: String, agent: String? = nil, trajectory: EventUUID? = nil, call: Call) {
        self.tenant = tenant
        self.agent = agent
        self.trajectory = trajectory
        self.call = call
    }
}

package enum GuardDecision: Sendable, Hashable {
    case allow
    case reject(rule: String, reason: String)
    /// The agent may do this instead.
    case transformed(GuardRequest)
}

/// What the rules say about a request.
package struct GuardAnswer: Sendable, Hashable {
    package var decision: GuardDecision
    /// Rules that were asked, in order, up to the one that rejected: a guardrail's scope each (`middleware-guardrails-pii.md` 4.2).
    package var evaluated: [String]
    /// Rules that fired and want somebody to know.
    package var alerts: [RuleAlert]

    /// A rule that fired, and in one sentence why; without any payload.
    package struct RuleAlert: Sendable, Hashable {
        package let rule: String
        package let message: String

        package init(rule: String, message: String) {
            self.rule = rule
            self.message = message
        }
    }
}

/// A budget that a request counts for: whoever counts it adds to the sum of `key`, and rejects when that would exceed the limit.
package struct BudgetClaim: Sendable, Hashable {
    package let rule: String
    package let reason: String
    package let budget: GuardrailRule.Budget
    package let key: Key
    /// Whether exceeding it is told on `skein.v1.alerts.<tenant>.<rule>`.
    package let alerts: Bool

    /// Whose sum it is.
    package struct Key: Sendable, Hashable {
        package let rule: String
        package let tenant: String
        /// The agent's name or the trajectory's id; empty for a budget of the tenant, and for those who name none: they share one.
        package let owner: String
    }
}
