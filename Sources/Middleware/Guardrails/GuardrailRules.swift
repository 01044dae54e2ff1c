package import ATOF

/// The `guardrails` component as it was configured and found valid: an organisation's rules for what its agents do.
///
/// A rule with a condition on single events works in `process`, one on whole runs in `watch`; those with the action `reject` are asked
/// before the act too (`GuardrailEvaluator`).
package struct GuardrailRules: Sendable, Hashable {
    package var rules: [GuardrailRule] = []

    package init(rules: [GuardrailRule] = []) { self.rules = rules }

    /// Lower priority first, then the bytes of the name (`middleware-guardrails-pii.md` 2.2).
    package var inOrder: [GuardrailRule] {
        rules.sorted { left, right in
            left.priority != right.priority
                ? left.priority < right.priority : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }
    }

    /// The rules on runs, in order: without any nobody has to watch.
    package var onRuns: [GuardrailRule] { inOrder.filter(\.condition.isOnRuns) }
}

/// One rule: whom it is for, when it fires, and what happens then.
package struct GuardrailRule: Sendable, Hashable {
    /// `[a-z0-9_-]+`, unique in the component: a token of the subject of its alerts.
    package var name: String
    package var priority: Int32 = 100
    package var selection = Selection()
    package var condition: Condition
    package var actions: Set<Action>
    /// What `redact` puts in the place of what it takes away.
    package var replacement = GuardrailRule.defaultReplacement
    /// What `annotate` writes into the metadata.
    package var annotation: Annotation?
    /// What agents and readers of trajectories are told; never a payload.
    package var reason: String

    package static let defaultReplacement = "[REDACTED]"

    package init(name: String, condition: Condition, actions: Set<Action>, reason: String) {
        self.name = name
        self.condition = condition
        self.actions = actions
        self.reason = reason
    }

    /// Whom a rule is for. An empty list chooses everything.
    package struct Selection: Sendable, Hashable {
        package var tenants: [NameGlob] = []
        /// Names of the nearest agent around a call. An event in `process` does not tell it.
        package var agents: [NameGlob] = []
        /// Categories of events; of a call `tool` or `llm`.
        package var categories: Set<String> = []
        /// Names of events: of a tool, of a call of a model.
        package var names: [NameGlob] = []

        package init() {}

        package func matches(tenant: String) -> Bool { tenants.isEmpty || tenants.matches(tenant) }

        /// Nil is an agent that is not known, which no pattern matches.
        package func matches(agent: String?) -> Bool {
            agents.isEmpty || agent.map { agents.matches($0) } ?? false
        }

        package func matches(category: String?, name: String) -> Bool {
            (categories.isEmpty || category.map { categories.contains($0) } ?? false)
                && (names.isEmpty || names.matches(name))
        }
    }

    package enum Action: String, Sendable, Hashable, CaseIterable {
        /// Somebody is told on `skein.v1.alerts.<tenant>.<rule>`.
        case alert
        /// Single events: the metadata gets a key.
        case annotate
        /// Single events: what matched is replaced.
        case redact
        /// Single events: the event goes on without its payload.
        case dropPayload = "drop_payload"
        /// Single events: nobody behind `process` sees the event.
        case dropEvent = "drop_event"
        /// Before the act: the agent is told not to do it.
        case reject
        /// Runs: a guardrail's scope and a rejection mark become part of the trajectory.
        case verdict
    }

    package struct Annotation: Sendable, Hashable {
        package var key: String
        package var value: JSONValue

        package init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// When a rule fires.
    package enum Condition: Sendable, Hashable {
        case tools(ToolLists)
        /// All of the tests hold.
        case arguments([ArgumentTest])
        case content(ContentTest)
        case budget(Budget)
        case loop(Loop)

        /// The only category of events and calls that it can fire for; nil for several.
        package var category: Event.Category.Known? {
            switch self {
            case .tools, .arguments: .tool
            case .content: nil
            case .budget(let budget):
                switch budget.measure {
                case .toolCalls: .tool
                case .llmCalls, .tokens, .cost: .llm
                case .calls, .wallTime, .depth, .fanOut: nil
                }
            case .loop(let loop):
                switch loop.call {
                case .tool: .tool
                case .llm: .llm
                }
            }
        }

        package var isOnRuns: Bool {
            switch self {
            case .tools, .arguments, .content: false
            case .budget, .loop: true
            }
        }
    }
}
