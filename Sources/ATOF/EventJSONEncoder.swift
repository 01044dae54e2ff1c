/// Writes events as canonical ATOF JSON: every key, nulls included, sorted at every level (`atif-trajectories.md` 1.7).
package enum EventJSONEncoder {
    /// The event as one JSON object.
    package static func value(of event: Event) -> JSONValue {
        var object = event.unknownFields?.value.objectValue ?? JSONObject()
        object["atof_version"] = .string(event.atofVersion)
        object["category"] = event.category.map { .string($0.raw) } ?? .null
        object["category_profile"] = event.categoryProfile?.value ?? .null
        object["data"] = event.data?.value ?? .null
        object["data_schema"] =
            event.dataSchema.map { ["name": .string($0.name), "version": .string($0.version)] } ?? .null
        object["metadata"] = event.metadata?.value ?? .null
        object["name"] = .string(event.name)
        object["parent_uuid"] = event.parentUUID.map { .string($0.description) } ?? .null
        if let root = event.propagationRootUUID { object["propagation_root_uuid"] = .string(root.description) }
        object["timestamp"] = .string(event.timestamp.rfc3339)
        object["uuid"] = .string(event.uuid.description)
        switch event.kind {
        case .mark: object["kind"] = "mark"
        case .scopeStart, .scopeEnd:
            object["kind"] = "scope"
            object["attributes"] = .array(event.attributes.map { .string($0) })
            object["scope_category"] = event.kind == .scopeStart ? "start" : "end"
        }
        return .object(object)
    }

    /// One line without its line feed.
    package static func line(_ event: Event) -> [UInt8] {
        var writer = JSONWriter(capacity: event.packed.count * 2)
        writer.write(value(of: event))
        return writer.bytes
    }
}
