/// Reads ATOF JSON: one object a line (`atif-trajectories.md` 1).
///
/// The line is split into its top-level members first, and payloads keep their bytes: what simdjson refuses inside of a payload does not
/// cost the event (`JSONPolicy`).
package enum EventJSONDecoder {
    /// - Throws: `EventError` that names the key.
    package static func decode(_ line: [UInt8]) throws(EventError) -> EventFields {
        let members = try JSONMemberScanner.members(of: line)
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
        fields.data = try payload(members, "data")
        fields.metadata = try payload(members, "metadata")
        fields.categoryProfile = try payload(members, "category_profile")
        if let first = fields.categoryProfile.first, first != UInt8(ascii: "{") {
            throw EventError(.invalidField, field: "category_profile", "must be an object or null")
        }
        try readExtensions(members, into: &fields)
        return fields
    }

    private static let known: Set<String> = [
        "kind", "atof_version", "uuid", "parent_uuid", "timestamp", "name", "data", "data_schema", "metadata", "scope_category",
        "attributes", "category", "category_profile",
    ]

    /// The propagated root, and what ATOF 0.1 does not define: kept as it is.
    private static func readExtensions(_ members: [String: ArraySlice<UInt8>], into fields: inout EventFields) throws(EventError) {
        var unknown = JSONObject()
        for (key, raw) in members where !known.contains(key) {
            let value = raw.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
            if key == "propagation_root_uuid" {
                if case .string(let text) = value, let root = EventUUID(text) {
                    fields.propagationRootUUID = root
                    continue
                }
                if value.isNull { continue }
            }
            unknown[key] = value
        }
        if !unknown.isEmpty {
            var writer = JSONWriter()
            writer.write(unknown)
            fields.unknownFields = writer.bytes
        }
    }

    private static func missing(_ field: String) -> EventError {
        EventError(.missingField, field: field, "is missing")
    }

    private static func value(
        _ members: [String: ArraySlice<UInt8>], _ key: String
    ) throws(EventError) -> JSONValue? {
        guard let raw = members[key] else { return nil }
        let parsed: Result<JSONValue, JSONRefusal> = raw.withUnsafeBufferPointer { buffer in
            do throws(JSONRefusal) { return .success(try JSONParser.parse(buffer)) } catch { return .failure(error) }
        }
        switch parsed {
        case .success(let value): return value.nonNull
        case .failure: throw EventError(.invalidField, field: key, "is not valid JSON")
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
        case .int(let microseconds): return EventTime(epochMicroseconds: microseconds)
        case .some:
            throw EventError(
                .invalidField, field: "timestamp", "must be an RFC 3339 string or an integer of microseconds since 1970")
        }
    }

    private static func attributes(_ members: [String: ArraySlice<UInt8>]) throws(EventError) -> [String] {
        guard let value = try value(members, "attributes") else { throw missing("attributes") }
        guard let elements = value.arrayValue else { throw EventError(.invalidField, field: "attributes", "must be an array") }
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

    /// The bytes of a payload, checked or repaired; empty for null.
    private static func payload(_ members: [String: ArraySlice<UInt8>], _ key: String) throws(EventError) -> [UInt8] {
        guard let raw = members[key] else { return [] }
        if raw.elementsEqual("null".utf8) { return [] }
        let checked: Result<[UInt8], EventError> = raw.withUnsafeBufferPointer { buffer in
            do throws(JSONRefusal) {
                try JSONParser.validate(buffer)
                return .success(Array(raw))
            } catch {
                if error == .syntax { return .failure(EventError(.invalidJSON, field: key, "is not JSON")) }
                return .success(JSONPolicy.repairedText(of: buffer) ?? Array(raw))
            }
        }
        return try checked.get()
    }
}

/// Splits a JSON object into its top-level members without looking into the values.
enum JSONMemberScanner {
    /// Of a repeated key the last value counts.
    static func members(of line: [UInt8]) throws(EventError) -> [String: ArraySlice<UInt8>] {
        var scanner = Scanner(bytes: line)
        guard let members = scanner.object() else {
            throw EventError(.invalidJSON, "the line is not one JSON object")
        }
        return members
    }

    private struct Scanner {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func object() -> [String: ArraySlice<UInt8>]? {
            skipSpace()
            guard take("{") else { return nil }
            var members: [String: ArraySlice<UInt8>] = [:]
            skipSpace()
            if !take("}") {
                repeat {
                    skipSpace()
                    guard let key = key() else { return nil }
                    skipSpace()
                    guard take(":") else { return nil }
                    skipSpace()
                    guard let value = value() else { return nil }
                    members[key] = value
                    skipSpace()
                } while take(",")
                guard take("}") else { return nil }
            }
            skipSpace()
            return index == bytes.count ? members : nil
        }

        private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

        private mutating func skipSpace() {
            while index < bytes.count, Scanner.isSpace(bytes[index]) { index += 1 }
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        private mutating func key() -> String? {
            let start = index
            guard skipString() else { return nil }
            let text = bytes[start..<index]
            return text.withUnsafeBufferPointer { JSONPolicy.value(of: $0).stringValue }
        }

        /// Steps over a string with its quotes.
        private mutating func skipString() -> Bool {
            guard take("\"") else { return false }
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "\""):
                    index += 1
                    return true
                case UInt8(ascii: "\\"): index += 2
                default: index += 1
                }
            }
            return false
        }

        /// The bytes of a value: up to the comma or bracket that ends it on its own level.
        private mutating func value() -> ArraySlice<UInt8>? {
            let start = index
            var depth = 0
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "\""):
                    guard skipString() else { return nil }
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return trimmed(start) }
                    depth -= 1
                case UInt8(ascii: ","):
                    if depth == 0 { return trimmed(start) }
                default: break
                }
                index += 1
            }
            return nil
        }

        private func trimmed(_ start: Int) -> ArraySlice<UInt8>? {
            var end = index
            while end > start, Scanner.isSpace(bytes[end - 1]) { end -= 1 }
            return end > start ? bytes[start..<end] : nil
        }
    }
}
