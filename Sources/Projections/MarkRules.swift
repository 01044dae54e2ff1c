internal import ATOF

/// The attributes of marks (`otel-projections.md` 4).
enum MarkRules {
    static let metricSchema = "nemo.relay.metric_measurements"

    static func attributes(_ event: Event, _ payloads: EventPayloads, traceID: EventUUID) -> [Attribute] {
        var attributes = [
            Attribute("nemo_relay.mark.uuid", event.uuid.description),
            Attribute("nemo_relay.mark.parent_uuid", event.parentUUID?.description ?? ""),
        ]
        attributes.append("nemo_relay.mark.data", PayloadFields(payloads.data))
        attributes.append("nemo_relay.mark.metadata", PayloadFields(payloads.promotion.rest))
        if let category = event.category { attributes.append(Attribute("nemo_relay.mark.category", category.raw)) }
        attributes.append("nemo_relay.mark.category_profile", PayloadFields(payloads.profile))
        if event.name == "session.start" { SessionRules.add(event, payloads, traceID: traceID, &attributes) }
        return attributes
    }

    static func orphanShape(_ projection: ProjectionConfiguration.Projection, _ attributes: inout [Attribute]) {
        if projection == .openinference { attributes.append(Attribute("openinference.span.kind", "CHAIN")) }
        attributes.append(Attribute("nemo_relay.mark.orphan", .bool(true)))
    }

    static func toolShape(
        _ event: Event, _ payloads: EventPayloads, _ projection: ProjectionConfiguration.Projection, isOrphan: Bool,
        _ attributes: inout [Attribute]
    ) {
        attributes.append(Attribute("nemo_relay.mark.projection", "tool"))
        switch projection {
        case .genAI: break
        case .full: attributes.append(Attribute("nemo_relay.scope_type", "tool"))
        case .openinference:
            attributes.append(Attribute("openinference.span.kind", "TOOL"))
            attributes.append(Attribute("tool.name", event.name))
            attributes.append(Attribute("tool_call.function.name", event.name))
            if let data = payloads.data {
                attributes.append(Attribute("output.value", data.compactText))
                attributes.append(Attribute("output.mime_type", "application/json"))
            }
            if let metadata = payloads.promotion.rest { attributes.append(Attribute("metadata", metadata.compactText)) }
        }
        if isOrphan { attributes.append(Attribute("nemo_relay.mark.orphan", .bool(true))) }
    }
}
