package import ATOF

/// A payload: a value, or text that is JSON already and is passed on as it is.
///
///     let arguments: JSON = ["path": "/tmp/x", "limit": 10]
///     let response = JSON.encoded(bytesFromTheProvider)
///
/// Encoded text is not looked at on its way into an event. It is parsed when somebody asks for a member, such as a codec or a guardrail;
/// what is no JSON then reads as one string that holds the text.
public struct JSON: Sendable {
    package enum Storage: Sendable {
        case value(JSONValue)
        case encoded([UInt8])
    }

    package let storage: Storage

    package init(_ value: JSONValue) { storage = .value(value) }

    private init(storage: Storage) { self.storage = storage }

    /// The absent payload.
    public static let null = JSON(JSONValue.null)

    /// JSON text that exists already, such as a provider's answer. It is neither copied nor checked.
    public static func encoded(_ text: [UInt8]) -> JSON { JSON(storage: .encoded(text)) }

    /// The members of an object. Of a repeated key the last value counts.
    public static func object(_ members: some Sequence<(key: String, value: JSON)>) -> JSON {
        JSON(.object(JSONObject(members.map { ($0.key, $0.value.value) })))
    }

    /// The elements of an array.
    public static func array(_ elements: some Sequence<JSON>) -> JSON { JSON(.array(elements.map(\.value))) }

    /// A string.
    public init(_ text: String) { self.init(.string(text)) }
    /// A boolean.
    public init(_ flag: Bool) { self.init(.bool(flag)) }
    /// A floating-point number; one that is not finite is written as null.
    public init(_ number: Double) { self.init(.double(number)) }
    /// An integer; beyond 64 bits a floating-point number.
    public init(_ number: some BinaryInteger) {
        if let signed = Int64(exactly: number) {
            self.init(.int(signed))
        } else if let unsigned = UInt64(exactly: number) {
            self.init(.unsigned(unsigned))
        } else {
            self.init(.double(Double(number)))
        }
    }

    /// The value; encoded text is parsed for it.
    package var value: JSONValue {
        switch storage {
        case .value(let value): value
        case .encoded(let text): text.isEmpty ? .null : text.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
        }
    }

    /// The text as events carry it: empty for null.
    package var bytes: [UInt8] {
        switch storage {
        case .encoded(let text): return text
        case .value(.null): return []
        case .value(let value):
            var writer = JSONWriter(capacity: 256)
            writer.write(value)
            return writer.bytes
        }
    }

    /// Whether this is the absent payload, encoded or not.
    public var isNull: Bool {
        switch storage {
        case .value(let value): value.isNull
        // Encoded null is short, so nothing longer is parsed for this.
        case .encoded(let text): text.isEmpty || text.count <= 16 && value.isNull
        }
    }

    // MARK: Reading

    /// The text of a string; nil for anything else.
    public var stringValue: String? { value.stringValue }
    /// The value of a boolean; nil for anything else.
    public var boolValue: Bool? { value.boolValue }
    /// The value of an integer; nil for anything else, also for `1.0`.
    public var intValue: Int? { value.int64Value.flatMap { Int(exactly: $0) } }
    /// Any number.
    public var doubleValue: Double? { value.numberValue }
    /// The elements of an array; nil for anything else.
    public var arrayValue: [JSON]? { value.arrayValue?.map { JSON($0) } }
    /// The members of an object; nil for anything else.
    public var objectValue: [String: JSON]? {
        value.objectValue.map { object in
            Dictionary(object.map { ($0.key, JSON($0.value)) }, uniquingKeysWith: { $1 })
        }
    }

    /// The member of an object; nil when this is no object or has no such key. Setting a member of what is no object makes one; setting
    /// nil removes the member.
    public subscript(key: String) -> JSON? {
        get { value[key].map { JSON($0) } }
        set {
            var object = value.objectValue ?? JSONObject()
            object[key] = newValue?.value
            self = JSON(.object(object))
        }
    }

    /// The element of an array; nil when this is no array or is shorter.
    public subscript(index: Int) -> JSON? { value[index].map { JSON($0) } }

    /// Compact JSON text; of encoded text, the text.
    public var text: String {
        switch storage {
        case .value(let value): value.compactText
        case .encoded(let text): text.isEmpty ? "null" : String(decoding: text, as: UTF8.self)
        }
    }

    /// Key by key, where the right one wins; anything that is no object is replaced whole (`middleware-guardrails-pii.md` 1.1).
    package func merging(_ other: JSON) -> JSON {
        if other.isNull { return self }
        if isNull { return other }
        guard var merged = value.objectValue, let additions = other.value.objectValue else { return other }
        for member in additions { merged[member.key] = member.value }
        return JSON(.object(merged))
    }
}

extension JSON: Hashable {
    /// Whether they are the same value, however it is held.
    public static func == (left: JSON, right: JSON) -> Bool { left.value == right.value }

    /// Of the value, however it is held.
    public func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

extension JSON: CustomStringConvertible {
    /// Compact JSON text.
    public var description: String { text }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral,
    ExpressibleByStringInterpolation
{
    /// A string.
    public init(stringLiteral value: String) { self.init(.string(value)) }
    /// An integer.
    public init(integerLiteral value: Int64) { self.init(.int(value)) }
    /// A boolean.
    public init(booleanLiteral value: Bool) { self.init(.bool(value)) }
    /// A floating-point number, also of `1.0`.
    public init(floatLiteral value: Double) { self.init(.double(value)) }
    /// An array.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    /// An object. Of a repeated key the last value counts.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self.init(.object(JSONObject(elements.map { ($0.0, $0.1.value) })))
    }
    /// Null.
    public init(nilLiteral: ()) { self.init(.null) }
}
