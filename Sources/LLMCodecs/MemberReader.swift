internal import ATOF

/// Reads the members of a provider's object with type checks, and remembers which it has read: the others are the extra
/// members.
struct MemberReader {
    let object: JSONObject
    let kind: CodecError.Kind
    /// A bit for each of the first members of the object; there are seldom more.
    private var known: UInt64 = 0
    private var furtherKnown: Set<Int> = []

    init(_ object: JSONObject, rejecting kind: CodecError.Kind) {
        self.object = object
        self.kind = kind
    }

    /// - Throws: `CodecError` unless the value is an object.
    init(_ value: JSONValue?, _ what: String, rejecting kind: CodecError.Kind) throws(CodecError) {
        guard let object = value?.objectValue else { throw CodecError(kind, "\(what) must be an object") }
        self.init(object, rejecting: kind)
    }

    /// Members that no call has asked for.
    var rest: JSONObject { isRead ? JSONObject() : object.filtered { !isKnown($0) } }

    /// Whether every member has been asked for: then nothing is left for keys that nobody has asked for yet.
    private var isRead: Bool { known.nonzeroBitCount + furtherKnown.count == object.count }

    private func isKnown(_ index: Int) -> Bool {
        index < 64 ? known & 1 << UInt64(index) != 0 : furtherKnown.contains(index)
    }

    /// The member as it is, an explicit null included.
    mutating func any(_ key: String) -> JSONValue? {
        guard let index = object.index(of: key) else { return nil }
        if index < 64 { known |= 1 << UInt64(index) } else { furtherKnown.insert(index) }
        return object.members[index].value
    }

    /// The member; nil for null and missing.
    mutating func present(_ key: String) -> JSONValue? {
        guard let value = any(key), !value.isNull else { return nil }
        return value
    }

    mutating func string(_ key: String) throws(CodecError) -> String? { try optional(key, "a string", \.stringValue) }
    mutating func bool(_ key: String) throws(CodecError) -> Bool? { try optional(key, "a boolean", \.boolValue) }
    mutating func number(_ key: String) throws(CodecError) -> Double? { try optional(key, "a number", \.numberValue) }
    mutating func integer(_ key: String) throws(CodecError) -> Int64? { try optional(key, "an integer", \.int64Value) }
    mutating func object(_ key: String) throws(CodecError) -> JSONObject? {
        try optional(key, "an object", \.objectValue)
    }
    mutating func array(_ key: String) throws(CodecError) -> [JSONValue]? {
        try optional(key, "an array", \.arrayValue)
    }

    mutating func unsigned(_ key: String) throws(CodecError) -> UInt64? {
        try optional(key, "a non-negative integer", \.uint64Value)
    }

    mutating func strings(_ key: String) throws(CodecError) -> [String]? {
        guard let elements = try array(key) else { return nil }
        let texts = elements.compactMap(\.stringValue)
        guard texts.count == elements.count else { throw CodecError(kind, "\(key) must hold strings only") }
        return texts
    }

    mutating func requiredArray(_ key: String) throws(CodecError) -> [JSONValue] {
        guard let elements = try array(key) else { throw CodecError(kind, "\(key) must be an array") }
        return elements
    }

    mutating func requiredString(_ key: String) throws(CodecError) -> String {
        guard let text = try string(key) else { throw CodecError(kind, "\(key) is missing") }
        return text
    }

    /// A string or a list of parts; nil for null and missing.
    ///
    /// - Parameter part: reads a part; without it the part has the form of annotations.
    mutating func content(_ key: String, part: ContentPart.Decoder? = nil) throws(CodecError) -> MessageContent? {
        guard let value = present(key) else { return nil }
        return try MessageContent(value, rejecting: kind, part: part)
    }

    /// A member that may be missing but not null.
    mutating func strict<Value>(
        _ key: String, _ type: String, _ read: (JSONValue) -> Value?
    ) throws(CodecError) -> Value? {
        guard let value = any(key) else { return nil }
        guard let typed = read(value) else { throw CodecError(kind, "\(key) must be \(type)") }
        return typed
    }

    /// Copies members of known types as they are; null counts as missing, but for members that may be anything.
    ///
    /// - Parameter table: keys that no call has asked for.
    mutating func copy(_ table: [WireMembers], into members: inout JSONObject) throws(CodecError) {
        for row in table {
            for key in row.keys {
                if isRead { return }
                guard let value = row.type == .any ? any(key) : present(key) else { continue }
                guard row.type.accepts(value) else {
                    throw CodecError(kind, "\(key) must be \(row.type.rawValue) or null")
                }
                members[key] = value
            }
        }
    }

    private mutating func optional<Value>(
        _ key: String, _ type: String, _ read: (JSONValue) -> Value?
    ) throws(CodecError) -> Value? {
        guard let value = present(key) else { return nil }
        guard let typed = read(value) else { throw CodecError(kind, "\(key) must be \(type) or null") }
        return typed
    }
}
