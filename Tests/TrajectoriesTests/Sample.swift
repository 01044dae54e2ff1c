import ATOF

/// Makes events for tests; small numbers stand for UUIDs.
enum Sample {
    static func uuid(_ number: Int) -> EventUUID { EventUUID(high: 1, low: UInt64(number)) }

    static func fields(
        _ kind: Event.Kind, _ number: Int, in parent: Int? = nil, _ category: String = "function", at second: Int64 = 0,
        name: String = "name", data: JSONValue? = nil, metadata: JSONValue? = nil, profile: JSONValue? = nil
    ) -> EventFields {
        var fields = EventFields(
            kind: kind, uuid: uuid(number), timestamp: EventTime(epochMicroseconds: second * 1_000_000), name: name)
        fields.parentUUID = parent.map(uuid)
        if kind != .mark { fields.category = category }
        fields.data = data.map { Array($0.compactText.utf8) } ?? []
        fields.metadata = metadata.map { Array($0.compactText.utf8) } ?? []
        fields.categoryProfile = profile.map { Array($0.compactText.utf8) } ?? []
        return fields
    }

    static func events(_ fields: [EventFields]) throws -> [Event] {
        var writer = EventBatchWriter()
        for fields in fields { writer.append(packed: fields.packed()) }
        let batch = try EventBatch(unpacking: writer.bytes)
        return try (0..<batch.count).map { try batch.event(at: $0) }
    }
}
