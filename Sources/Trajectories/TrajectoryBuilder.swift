package import ATOF
package import LLMCodecs

/// Builds the ATIF v1.7 document of a trajectory from its events (`atif-trajectories.md` 2.4 to 4).
package struct TrajectoryBuilder: Sendable {
    /// Who asks for the document.
    package enum Origin: Sendable {
        /// A caller that chose the session id and takes everything.
        case manual(sessionID: String)
        /// The dispatcher, for the trajectory that a scope opened.
        case dispatcher(opener: EventUUID)
    }

    private let origin: Origin
    private let agent: AgentDescription
    private let compatibility: Compatibility
    private let pricing: PricingSources

    /// - Parameters:
    ///   - compatibility: `strict` gives the reference's document where that is invalid, loses something or says
    ///     something false (`docs/deviations.md`).
    ///   - pricing: prices of calls whose cost nobody reported.
    package init(
        origin: Origin, agent: AgentDescription, compatibility: Compatibility,
        pricing: PricingSources = PricingSources()
    ) {
        self.origin = origin
        self.agent = agent
        self.compatibility = compatibility
        self.pricing = pricing
    }

    /// - Parameter events: those of the trajectory, in the order of their arrival.
    package func document(of events: [Event]) -> JSONValue { draft(of: events).value }

    /// The document, with payloads that are not parsed yet.
    ///
    /// - Parameter events: those of the trajectory, in the order of their arrival.
    package func draft(of events: [Event]) -> JSONDraft {
        let scopes = events.indices.compactMap { ScopeEvent(events[$0]) }
        switch origin {
        case .manual(let sessionID):
            return .object(
                conversion(
                    of: scopes, sessionID: sessionID, trajectoryID: sessionID, agent: agent.json(defaultModel: nil)))
        case .dispatcher(let opener):
            return .object(dispatched(events, scopes, opener: opener))
        }
    }

    /// The document with what the dispatcher adds (`atif-trajectories.md` 4.3).
    private func dispatched(_ events: [Event], _ scopes: [ScopeEvent], opener: EventUUID) -> JSONDraft.Object {
        let opening = events.first { $0.uuid == opener && $0.kind == .scopeStart }
        // The root of the emitting stack: the events say it by the root that they propagate; older producers at least
        // by the opener's parent.
        let instance = (opening?.propagationRootUUID ?? opening?.parentUUID ?? opener).description
        var document = conversion(
            of: scopes, sessionID: (opening?.propagationRootUUID ?? opener).description,
            trajectoryID: opener.description,
            agent: agent.json(defaultModel: "unknown"))
        let metadata = opening?.metadata?.value
        var relay = JSONObject([("session_instance_id", .string(instance))])
        relay["session_id"] = metadata?["session_id"]?.stringValue.map { .string($0) }
        relay["user_id"] = metadata?["user_id"]?.stringValue.map { .string($0) }
        var extra =
            document["extra"].flatMap { if case .object(let own) = $0 { own } else { nil } }
            ?? JSONDraft.Object(JSONObject())
        extra["nemo_relay"] = .value(.object(relay))
        let isStrict = compatibility.isStrict
        extra["observed_events"] = .drafts(count: events.count) {
            isStrict ? TrajectoryBuilder.known(events[$0]) : EventJSONEncoder.draft(of: events[$0])
        }
        document["extra"] = .object(extra)
        return document
    }

    /// Without the members that ATOF does not define, which the reference loses.
    private static func known(_ event: Event) -> JSONDraft {
        let draft = EventJSONEncoder.draft(of: event)
        guard let unknown = event.unknownFields?.value.objectValue, case .object(var object) = draft else {
            return draft
        }
        // What has the name of a known member was replaced by it already.
        for key in unknown.keys where !members.contains(key) || event.isMark && scopeMembers.contains(key) {
            object[key] = nil
        }
        return .object(object)
    }

    private static let scopeMembers: Set<String> = ["attributes", "scope_category"]
    private static let members = scopeMembers.union([
        "atof_version", "category", "category_profile", "data", "data_schema", "kind", "metadata", "name",
        "parent_uuid", "propagation_root_uuid", "timestamp", "uuid",
    ])

    /// By time; what has the same time stays in the order of arrival. Yet no end comes before its own start, and no start before its
    /// parent's; in the reference they may.
    private func sorted(_ events: [ScopeEvent]) -> [ScopeEvent] {
        let isSorted = zip(events, events.dropFirst()).allSatisfy { $0.time <= $1.time }
        var sorted = events
        if !isSorted {
            sorted = events.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
                .map(\.element)
        }
        if !compatibility.isStrict { SimultaneousEvents.order(&sorted) }
        return sorted
    }

    private func conversion(
        of scopes: [ScopeEvent], sessionID: String, trajectoryID: String, agent: JSONValue
    ) -> JSONDraft.Object {
        let events = sorted(scopes)
        let index = ScopeIndex(events, compatibility: compatibility, pricing: pricing)
        let duplicates = DuplicateCalls(events, index: index)
        if let conversion = TreeConversion(
            events, sessionID: sessionID, trajectoryID: trajectoryID, agent: agent, index: index, duplicates: duplicates
        ) {
            return conversion.document
        }
        var machine = StepMachine(index: index, duplicates: duplicates, events: events)
        for event in events where event.category != .agent { machine.receive(.scope(event)) }
        var steps: [Step]
        let agents: [AgentStep]
        (steps, agents) = machine.finish()
        if steps.isEmpty, !compatibility.isStrict { steps = [TrajectoryBuilder.placeholder(at: events.first?.time)] }
        return TrajectoryBuilder.document(
            sessionID: sessionID, trajectoryID: trajectoryID, agent: agent, steps: steps,
            agents: agents, metrics: FinalMetrics(of: steps, compatibility), extra: index.extra(ofUnended: events),
            index: index)
    }

    /// The step of a trajectory that has none of its own: the schema wants one.
    static func placeholder(at time: EventTime?) -> Step {
        var step = Step(source: .system, time: time)
        step.message = "Nothing was observed that makes a step."
        return step
    }

    /// - Parameters:
    ///   - agents: what belongs to the steps of model calls.
    ///   - extra: what the steps do not say.
    static func document(
        sessionID: String, trajectoryID: String, agent: JSONValue, steps: [Step], agents: [AgentStep],
        metrics: FinalMetrics, extra: JSONObject, index: ScopeIndex
    ) -> JSONDraft.Object {
        var document = JSONDraft.Object(
            JSONObject([
                ("schema_version", "ATIF-v1.7"), ("session_id", .string(sessionID)),
                ("trajectory_id", .string(trajectoryID)), ("agent", agent), ("final_metrics", metrics.json),
            ]))
        document["steps"] = .elements(StepList(steps: steps, agents: agents, index: index))
        if !extra.isEmpty { document["extra"] = .object(JSONDraft.Object(extra)) }
        return document
    }
}
