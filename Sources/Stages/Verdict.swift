package import ATOF
internal import Middleware

/// What made a rule on runs fire: the start or end of a scope, or the time of a trajectory.
struct Happening: Sendable {
    let uuid: EventUUID
    let parent: EventUUID?
    let name: String
    let category: Event.Category.Known
    let tenant: String
    let agent: String?
    let time: EventTime
    /// Of a model's call, when it is told.
    var model: String?

    init(
        uuid: EventUUID, parent: EventUUID?, name: String, category: Event.Category.Known, tenant: String,
        agent: String?,
        time: EventTime
    ) {
        self.uuid = uuid
        self.parent = parent
        self.name = name
        self.category = category
        self.tenant = tenant
        self.agent = agent
        self.time = time
    }

    /// - Parameter readsModel: whether somebody asks for the model.
    init(
        event: Event, name: String, category: Event.Category.Known, tenant: String, scope: WatchedScopes.Scope,
        readsModel: Bool
    ) {
        self.init(
            uuid: event.uuid, parent: event.parentUUID, name: name, category: category, tenant: tenant,
            agent: scope.agent, time: event.timestamp)
        if readsModel, category == .llm { model = event.categoryProfile?.value["model_name"]?.stringValue }
    }

    /// A call of a model is chosen by its name or by its model's.
    func isChosen(by rule: GuardrailRule) -> Bool {
        let selection = rule.selection
        return selection.matches(tenant: tenant) && selection.matches(agent: agent)
            && (selection.matches(category: category.rawValue, name: name)
                || model.map { selection.matches(category: category.rawValue, name: $0) } ?? false)
    }
}

/// How much of a budget is spent, in words and figures.
enum Firing {
    static func text(of budget: GuardrailRule.Budget, _ sum: UInt64) -> String {
        "\(words(sum, budget.measure)), the budget is \(words(budget.limit, budget.measure))"
    }

    static func counts(of budget: GuardrailRule.Budget, _ sum: UInt64) -> [String: UInt64] {
        [name(of: budget.measure): sum, "limit": budget.limit]
    }

    private static func words(_ amount: UInt64, _ measure: GuardrailRule.Budget.Measure) -> String {
        switch measure {
        case .calls: "\(amount) calls"
        case .toolCalls: "\(amount) calls of tools"
        case .llmCalls: "\(amount) calls of models"
        case .tokens: "\(amount) tokens"
        case .cost: "\(Double(amount) / 1e9) USD"
        case .wallTime: "\(Double(amount / 1_000_000) / 1000) s"
        case .depth: "depth \(amount)"
        case .fanOut: "\(amount) scopes below one"
        }
    }

    private static func name(of measure: GuardrailRule.Budget.Measure) -> String {
        switch measure {
        case .calls, .toolCalls, .llmCalls, .tokens, .depth: measure.rawValue
        case .cost: "cost_nano_usd"
        case .wallTime: "wall_time_nanos"
        case .fanOut: measure.rawValue
        }
    }
}

/// A rule on runs that fired: a guardrail's scope and a rejection mark in the shapes of the reference
/// (`middleware-guardrails-pii.md` 4.2), to be published as a producer's events.
///
/// All of it derives from the rule and what made it fire, so that who comes to the same verdict again publishes the same events: the
/// second ones are duplicates. The act has happened already: the metadata say so.
package struct Verdict: Sendable {
    package let rule: String
    package let tenant: String
    package let trajectory: EventUUID
    package let root: EventUUID
    /// Packed, in their order: start and end of the scope, and the mark.
    package let events: [[UInt8]]
    private let seed: Fingerprint

    init(
        rule: String, reason: String, tenant: String, trajectory: EventUUID, root: EventUUID, happening: Happening,
        counts: [String: UInt64]
    ) {
        self.rule = rule
        self.tenant = tenant
        self.trajectory = trajectory
        self.root = root
        let occasion = [rule, tenant, trajectory.description, happening.uuid.description]
        seed = Fingerprint(occasion.joined(separator: "/"))
        let scope = Fingerprint("scope", occasion.joined(separator: "/")).uuid
        let mark = Fingerprint("mark", occasion.joined(separator: "/")).uuid
        var target: JSONObject
        switch happening.category {
        case .tool:
            target = JSONObject([
                ("kind", "tool_conditional_execution"), ("target_name", .string(happening.name)),
            ])
        case .llm: target = JSONObject([("kind", "llm_conditional_execution")])
        case .agent, .function, .retriever, .embedder, .reranker, .guardrail, .evaluator, .custom, .unknown:
            // No call: the reference has no word for what is decided about a scope.
            target = JSONObject([("kind", "scope_conditional_execution"), ("target_name", .string(happening.name))])
        }
        let rejection = JSONObject([("rejected", true), ("rejection_reason", .string(reason))])
        var decision = rejection
        decision["allowed"] = false
        var metadata = JSONObject([
            ("skein.guardrail.rule", .string(rule)), ("skein.guardrail.stage", "watch"),
            ("skein.guardrail.event_uuid", .string(happening.uuid.description)),
        ])
        for (name, count) in counts { metadata["skein.guardrail.\(name)"] = .count(count) }
        func event(
            _ kind: Event.Kind, _ uuid: EventUUID, after microseconds: Int, _ name: String, category: String?,
            _ data: JSONObject
        ) -> [UInt8] {
            var fields = EventFields(
                kind: kind, uuid: uuid, timestamp: happening.time.adding(microseconds: microseconds), name: name)
            // Above the trajectory's own scope it would not belong to it.
            fields.parentUUID = happening.uuid == trajectory ? trajectory : happening.parent ?? trajectory
            fields.propagationRootUUID = root
            fields.category = category
            fields.data = Array(data.compactText.utf8)
            fields.metadata = Array(metadata.compactText.utf8)
            return fields.packed()
        }
        events = [
            event(.scopeStart, scope, after: 0, rule, category: "guardrail", target),
            event(.scopeEnd, scope, after: 1, rule, category: "guardrail", decision),
            event(.mark, mark, after: 2, happening.name, category: nil, rejection),
        ]
    }

    /// The events as a message of EVENTS.
    package var payload: [UInt8] {
        var writer = EventBatchWriter()
        for event in events { writer.append(packed: event) }
        return writer.bytes
    }

    /// All of a run's come to one partition of EVENTS.
    package var subject: String { SkeinSubjects.events(tenant: tenant, key: root.description) }

    /// The same for the same verdict.
    package var id: String { "verdict/\(tenant)/\(seed.uuid)" }
}

extension EventTime {
    /// A little later; the same at the end of what can be written.
    fileprivate func adding(microseconds: Int) -> EventTime {
        let nanos = UInt64(nanoseconds) + UInt64(microseconds) * 1000
        return EventTime(
            seconds: seconds + Int64(nanos / 1_000_000_000), nanoseconds: UInt32(nanos % 1_000_000_000)) ?? self
    }
}
