/// Writes events as canonical ATOF JSON: every key, nulls included, sorted at every level (`atif-trajectories.md` 1.7).
package enum EventJSONEncoder {
    /// The event as one JSON object.
    package static func value(of event: Event) -> JSONValue {
        let known = members(of: event)
        guard let unknown = event.unknownFields?.value.objectValue else { return .object(JSONObject(ascending: known)) }
        // Of a repeated key the known member counts.
        return .object(JSONObject(unordered: unknown.members + known))
    }

    /// In the order of their keys.
    private static func members(of event: Event) -> [JSONObject.Member] {
        var members: [JSONObject.Member] = []
        members.reserveCapacity(14)
        func add(_ key: String, _ value: JSONValue?) {
            members.append(JSONObject.Member(key: key, value: value ?? .null))
        }
        add("atof_version", .string(event.atofVersion))
        if !event.isMark { add("attributes", .array(event.attributes.map { .string($0) })) }
        add("category", event.category.map { .string($0.raw) })
        add("category_profile", event.categoryProfile?.value)
        add("data", event.data?.value)
        add("data_schema", event.dataSchema.map { ["name": .string($0.name), "version": .string($0.version)] })
        add("kind", event.isMark ? "mark" : "scope")
        add("metadata", event.metadata?.value)
        add("name", .string(event.name))
        add("parent_uuid", event.parentUUID.map { .string($0.description) })
        if let root = event.propagationRootUUID { add("propagation_root_uuid", .string(root.description)) }
        if !event.isMark { add("scope_category", event.kind == .scopeStart ? "start" : "end") }
        add("timestamp", .string(event.timestamp.rfc3339))
        add("uuid", .string(event.uuid.description))
        return members
    }

    /// One line without its line feed.
    package static func line(_ event: Event) -> [UInt8] {
        var writer = JSONWriter(capacity: event.packed.count * 2)
        writer.write(value(of: event))
        return writer.bytes
    }
}
