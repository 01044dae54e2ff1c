internal import ATOF

/// The attributes of log records (`otel-projections.md` 5.1, 10).
enum LogRules {
    static let severityKey = "nemo_relay.log.severity"

    /// The severity that the metadata asks for; nil when it is none.
    static func severity(_ metadata: JSONValue?) -> LogSeverity? {
        guard let value = metadata?[severityKey] else { return .info }
        return value.stringValue.flatMap { LogSeverity(word: $0) }
    }

    /// - Parameter traceID: of the parent.
    static func attributes(
        _ event: Event, metadata: JSONValue?, traceID: EventUUID?
    ) -> [ProjectedLogRecord.Attribute] {
        var attributes: [ProjectedLogRecord.Attribute] = []
        attributes.reserveCapacity(10)
        func add(_ name: String, _ value: JSONValue?) {
            if let value { attributes.append(.init("nemo_relay.\(name)", value)) }
        }
        add("atof.version", "0.1")
        add("mark.name", .string(event.name))
        add("mark.uuid", .string(event.uuid.description))
        // A producer that propagates no root has the trace's: the UUID of the root span.
        add("session.instance_id", (event.propagationRootUUID ?? traceID).map { .string($0.description) })
        add("mark.parent_uuid", event.parentUUID.map { .string($0.description) })
        add("mark.category", event.category.map { .string($0.raw) })
        add("mark.category_profile", event.categoryProfile?.value.nonNull)
        add("mark.data_schema.name", event.dataSchema.map { .string($0.name) })
        add("mark.data_schema.version", event.dataSchema.map { .string($0.version) })
        add("mark.metadata", remaining(metadata))
        return attributes
    }

    /// The metadata without the severity; nil when nothing else is in it.
    private static func remaining(_ metadata: JSONValue?) -> JSONValue? {
        guard case .object(var members) = metadata else { return metadata }
        members[severityKey] = nil
        return members.isEmpty ? nil : .object(members)
    }
}
