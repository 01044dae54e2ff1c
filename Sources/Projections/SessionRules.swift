internal import ATOF

/// Session identity, on trace roots and on marks named `session.start` (`otel-projections.md` 2.5, 10).
enum SessionRules {
    static func add(_ event: Event, _ payloads: EventPayloads, traceID: EventUUID, _ attributes: inout [Attribute]) {
        attributes.append("session.id", string: payloads.metadata?["session_id"])
        attributes.append("user.id", string: payloads.metadata?["user_id"])
        attributes.append("nemo_relay.agent.kind", string: payloads.metadata?["agent_kind"])
        // A producer that propagates no root has the trace's: the UUID of the root span.
        let instance = event.propagationRootUUID ?? traceID
        attributes.append(Attribute("nemo_relay.session.instance_id", instance.description))
    }
}
