/// One JSON value, with the distinctions that the projections need: `1` and `1.0` differ, and integers reach from -2^63 to 2^64-1.
package enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Only integers above `Int64.max`; everything else is `int`.
    case unsigned(UInt64)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    package var isNull: Bool { if case .null = self { true } else { false } }

    package var stringValue: String? { if case .string(let text) = self { text } else { nil } }

    package var boolValue: Bool? { if case .bool(let flag) = self { flag } else { nil } }

    package var arrayValue: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }

    package var objectValue: JSONObject? { if case .object(let object) = self { object } else { nil } }

    /// The value as an integer that fits 64 bits with sign; never from a float, not even `1.0`.
    package var int64Value: Int64? { if case .int(let number) = self { number } else { nil } }

    /// The value as a non-negative integer; never from a float.
    package var uint64Value: UInt64? {
        switch self {
        case .int(let number): UInt64(exactly: number)
        case .unsigned(let number): number
        case .null, .bool, .double, .string, .array, .object: nil
        }
    }

    /// Any number as a double.
    package var numberValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .unsigned(let number): Double(number)
        case .double(let number): number
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// The member of an object; nil when this is no object or has no such key. An explicit null is `.null`.
    package subscript(key: String) -> JSONValue? {
        if case .object(let object) = self { object[key] } else { nil }
    }

    /// The element of an array; nil when this is no array or is shorter.
    package subscript(index: Int) -> JSONValue? {
        if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { nil }
    }

    /// The value, or nil for `null`: ATOF treats both the same.
    package var nonNull: JSONValue? { isNull ? nil : self }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}
