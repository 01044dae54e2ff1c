/// Reads ATOF JSON: one object a line (`atif-trajectories.md` 1).
///
/// The line is split into its top-level members first, and payloads keep their bytes, also those that simdjson refuses: they do not cost
/// the event (`JSONPolicy`).
package enum EventJSONDecoder {
    /// - Throws: `EventError` that names the key.
    package static func decode(_ line: [UInt8]) throws(EventError) -> EventFields {
        let line = line.withoutByteOrderMark
        var members: [String: ArraySlice<UInt8>] = [:]
        var extensions: [(key: String, value: ArraySlice<UInt8>)] = []
        let scanned = try JSONMemberScanner.members(of: line)
        // Only of a line that simdjson refuses each member has to be looked at: a payload may be what it refuses for.
        if !line.withUnsafeBufferPointer(isJSON) {
            for member in scanned { try check(member.key, member.value) }
        }
        // Of a repeated key the last value counts.
        for member in scanned {
            if known.contains(member.key) { members[member.key] = member.value } else { extensions.append(member) }
        }
        let kind = try kind(members)
        guard let version = try text(members, "atof_version") else { throw missing("atof_version") }
        guard let uuidText = try text(members, "uuid") else { throw missing("uuid") }
        let uuid = try EventJSONDecoder.uuid(uuidText, field: "uuid")
        guard let name = try text(members, "name") else { throw missing("name") }
        var fields = EventFields(kind: kind, uuid: uuid, timestamp: try timestamp(members), name: name)
        fields.atofVersion = version
        if let parent = try text(members, "parent_uuid") {
            fields.parentUUID = try EventJSONDecoder.uuid(parent, field: "parent_uuid")
        }
        fields.category = try text(members, "category")
        if kind != .mark {
            if fields.category == nil { throw missing("category") }
            fields.attributes = try attributes(members)
        }
        fields.dataSchema = try dataSchema(members)
        fields.data = payload(members, "data")
        fields.metadata = payload(members, "metadata")
        fields.categoryProfile = payload(members, "category_profile")
        if let first = fields.categoryProfile.first, first != UInt8(ascii: "{") {
            throw EventError(.invalidField, field: "category_profile", "must be an object or null")
        }
        readExtensions(extensions, into: &fields)
        return fields
    }

    private static let known: Set<String> = [
        "kind", "atof_version", "uuid", "parent_uuid", "timestamp", "name", "data", "data_schema", "metadata",
        "scope_category",
        "attributes", "category", "category_profile",
    ]

    /// The propagated root, and what ATOF 0.1 does not define: kept as it is.
    private static func readExtensions(
        _ members: [(key: String, value: ArraySlice<UInt8>)], into fields: inout EventFields
    ) {
        guard !members.isEmpty else { return }
        var unknown = JSONObject(
            members.map { ($0.key, $0.value.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }) })
        let root = unknown["propagation_root_uuid"]
        fields.propagationRootUUID = root?.stringValue.flatMap { EventUUID($0) }
        if root == .null || fields.propagationRootUUID != nil { unknown["propagation_root_uuid"] = nil }
        if !unknown.isEmpty { fields.unknownFields = Array(unknown.compactText.utf8) }
    }

    private static func missing(_ field: String) -> EventError {
        EventError(.missingField, field: field, "is missing")
    }

    private static func value(
        _ members: [String: ArraySlice<UInt8>], _ key: String
    ) throws(EventError) -> JSONValue? {
        guard let raw = members[key] else { return nil }
        do throws(JSONRefusal) {
            return try raw.withUnsafeBufferPointer { buffer throws(JSONRefusal) in try JSONParser.parse(buffer) }
                .nonNull
        } catch {
            throw EventError(.invalidField, field: key, "is not valid JSON")
        }
    }

    private static func text(_ members: [String: ArraySlice<UInt8>], _ key: String) throws(EventError) -> String? {
        guard let value = try value(members, key) else { return nil }
        guard let text = value.stringValue else { throw EventError(.invalidField, field: key, "must be a string") }
        return text
    }

    private static func uuid(_ text: String, field: String) throws(EventError) -> EventUUID {
        guard let uuid = EventUUID(text) else { throw EventError(.invalidField, field: field, "is not a UUID") }
        return uuid
    }

    private static func kind(_ members: [String: ArraySlice<UInt8>]) throws(EventError) -> Event.Kind {
        switch try text(members, "kind") {
        case "mark": return .mark
        case "scope":
            switch try text(members, "scope_category") {
            case "start": return .scopeStart
            case "end": return .scopeEnd
            case nil: throw missing("scope_category")
            case .some: throw EventError(.invalidField, field: "scope_category", "must be start or end")
            }
        case nil: throw missing("kind")
        case .some: throw EventError(.invalidField, field: "kind", "must be scope or mark")
        }
    }

    private static func timestamp(_ members: [String: ArraySlice<UInt8>]) throws(EventError) -> EventTime {
        switch try value(members, "timestamp") {
        case nil: throw missing("timestamp")
        case .string(let text):
            guard let time = EventTime(rfc3339: text) else {
                throw EventError(.invalidField, field: "timestamp", "is not an RFC 3339 time with an offset")
            }
            return time
        case .int(let microseconds):
            let (seconds, rest) = EventTime.floorDivide(microseconds, 1_000_000)
            guard let time = EventTime(seconds: seconds, nanoseconds: UInt32(rest) * 1000) else {
                throw EventError(.invalidField, field: "timestamp", "is not in the years 0 to 9999")
            }
            return time
        case .some:
            throw EventError(
                .invalidField, field: "timestamp", "must be an RFC 3339 string or an integer of microseconds since 1970"
            )
        }
    }

    private static func attributes(_ members: [String: ArraySlice<UInt8>]) throws(EventError) -> [String] {
        guard let value = try value(members, "attributes") else { throw missing("attributes") }
        guard let elements = value.arrayValue else {
            throw EventError(.invalidField, field: "attributes", "must be an array")
        }
        let texts = elements.compactMap(\.stringValue)
        guard texts.count == elements.count else {
            throw EventError(.invalidField, field: "attributes", "must hold strings only")
        }
        return texts
    }

    private static func dataSchema(_ members: [String: ArraySlice<UInt8>]) throws(EventError) -> Event.DataSchema? {
        guard let value = try value(members, "data_schema") else { return nil }
        guard let name = value["name"]?.stringValue, let version = value["version"]?.stringValue else {
            throw EventError(.invalidField, field: "data_schema", "must be an object with the strings name and version")
        }
        return Event.DataSchema(name: name, version: version)
    }

    /// The bytes of a payload; empty for null.
    private static func payload(_ members: [String: ArraySlice<UInt8>], _ key: String) -> [UInt8] {
        guard let raw = members[key], !raw.withUnsafeBufferPointer(JSONText.isNull) else { return [] }
        return Array(raw)
    }

    private static func isJSON(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        do throws(JSONRefusal) {
            try JSONParser.validate(text)
            return true
        } catch {
            return false
        }
    }

    /// - Throws: `EventError` for a value that is not JSON: the structure of the line itself is in doubt then. For whatever else simdjson
    ///   refuses a value, that is the value's own fault.
    private static func check(_ key: String, _ value: ArraySlice<UInt8>) throws(EventError) {
        do throws(JSONRefusal) {
            try value.withUnsafeBufferPointer { buffer throws(JSONRefusal) in try JSONParser.validate(buffer) }
        } catch {
            guard error == .syntax else { return }
            // Keys that are not ATOF's are the producer's text, which errors do not repeat.
            if known.contains(key) { throw EventError(.invalidJSON, field: key, "is not JSON") }
            throw EventError(.invalidJSON, "a member of the line is not JSON")
        }
    }
}
