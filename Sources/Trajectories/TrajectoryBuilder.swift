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
    private let pricing: PricingSources

    /// - Parameter pricing: prices of calls whose cost nobody reported.
    package init(origin: Origin, agent: AgentDescription, pricing: PricingSources = PricingSources()) {
        self.origin = origin
        self.agent = agent
        self.pricing = pricing
    }

    /// - Parameter events: those of the trajectory, in the order of their arrival.
    package func document(of events: [Event]) -> JSONValue {
        switch origin {
        case .manual(let sessionID):
            let scopes = events.compactMap { event in
                event.isMark ? nil : ScopeEvent(event, json: EventJSONEncoder.value(of: event))
            }
            return .object(
                conversion(
                    of: scopes, sessionID: sessionID, trajectoryID: sessionID, agent: agent.json(defaultModel: nil)))
        case .dispatcher(let opener):
            return .object(dispatched(events, opener: opener))
        }
    }

    /// The document with what the dispatcher adds (`atif-trajectories.md` 4.3).
    private func dispatched(_ events: [Event], opener: EventUUID) -> JSONObject {
        let observed = events.map(EventJSONEncoder.value)
        let scopes = zip(events, observed).compactMap { event, json in ScopeEvent(event, json: json) }
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
        document["extra"] = ["nemo_relay": .object(relay), "observed_events": .array(observed)]
        return document
    }

    /// By time; what has the same time stays in the order of arrival.
    private static func sorted(_ events: [ScopeEvent]) -> [ScopeEvent] {
        events.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }

    private func conversion(
        of scopes: [ScopeEvent], sessionID: String, trajectoryID: String, agent: JSONValue
    ) -> JSONObject {
        let events = TrajectoryBuilder.sorted(scopes)
        let index = ScopeIndex(events, pricing: pricing)
        let duplicates = DuplicateCalls(events, index: index)
        if let conversion = TreeConversion(
            events, sessionID: sessionID, trajectoryID: trajectoryID, agent: agent, index: index, duplicates: duplicates
        ) {
            return conversion.document
        }
        var machine = StepMachine(index: index, duplicates: duplicates, events: events)
        for event in events where event.category != .agent { machine.receive(.scope(event)) }
        return TrajectoryBuilder.document(
            sessionID: sessionID, trajectoryID: trajectoryID, agent: agent, steps: machine.finish())
    }

    static func document(sessionID: String, trajectoryID: String, agent: JSONValue, steps: [Step]) -> JSONObject {
        JSONObject([
            ("schema_version", "ATIF-v1.7"), ("session_id", .string(sessionID)),
            ("trajectory_id", .string(trajectoryID)),
            ("agent", agent), ("steps", .array(steps.enumerated().map { $1.json(id: $0 + 1) })),
            ("final_metrics", FinalMetrics.json(of: steps)),
        ])
    }
}
