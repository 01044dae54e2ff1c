/// Writes events as canonical ATOF JSON: every key, nulls included, sorted at every level (`atif-trajectories.md` 1.7).
package enum EventJSONEncoder {
    /// The event as one JSON object.
    package static func value(of event: Event) -> JSONValue { draft(of: event).value }

    /// The event as one JSON object, with payloads that are not parsed yet.
    package static func draft(of event: Event) -> JSONDraft {
        var plain = plainMembers(of: event)
        if let unknown = event.unknownFields?.value.objectValue {
            // Of a repeated key the known member counts.
            plain = JSONObject(unordered: unknown.members + plain.members)
        }
        var object = JSONDraft.Object(plain)
        func add(_ key: String, _ payload: RawJSON?) {
            object[key] = payload.map { .payload(.init($0)) } ?? .value(.null)
        }
        add("category_profile", event.categoryProfile)
        add("data", event.data)
        add("metadata", event.metadata)
        return .object(object)
    }

    /// What is no payload.
    private static func plainMembers(of event: Event) -> JSONObject {
        var members: [JSONObject.Member] = []
        members.reserveCapacity(11)
        func add(_ key: String, _ value: JSONValue?) {
            members.append(JSONObject.Member(key: key, value: value ?? .null))
        }
        // In the order of the keys.
        add("atof_version", .string(event.atofVersion))
        if !event.isMark { add("attributes", .array(event.attributes.map { .string($0) })) }
        add("category", event.category.map { .string($0.raw) })
        add("data_schema", event.dataSchema.map { ["name": .string($0.name), "version": .string($0.version)] })
        add("kind", event.isMark ? "mark" : "scope")
        add("name", .string(event.name))
        add("parent_uuid", event.parentUUID.map { .string($0.description) })
        if let root = event.propagationRootUUID { add("propagation_root_uuid", .string(root.description)) }
        if !event.isMark { add("scope_category", event.kind == .scopeStart ? "start" : "end") }
        add("timestamp", .string(event.timestamp.rfc3339))
        add("uuid", .string(event.uuid.description))
        return JSONObject(ascending: members)
    }

    /// One line without its line feed.
    package static func line(_ event: Event) -> [UInt8] {
        var writer = JSONWriter(capacity: event.packed.count * 2)
        writer.write(draft(of: event))
        return writer.bytes
    }
}
