/// What may be added to an event's metadata (`middleware-guardrails-pii.md` 6, injectors).
package enum InjectedMetadata {
    /// One wrong member spoils them all.
    package static func isValid(_ additions: JSONObject) -> Bool {
        additions.allSatisfy { isKey($0.key) && isValue($0.value) }
    }

    /// Dot-separated segments of `[A-Za-z0-9_-]`, none of them empty. The dots stay: a key is flat.
    package static func isKey(_ key: String) -> Bool {
        key.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { segment in
            !segment.isEmpty
                && segment.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }

    private enum Primitive { case bool, number, string }

    private static func primitive(_ value: JSONValue) -> Primitive? {
        switch value {
        case .bool: .bool
        case .int, .double: .number
        case .string: .string
        // An unsigned number is one that Int64 does not hold.
        case .unsigned, .null, .array, .object: nil
        }
    }

    /// A boolean, a string, a number that fits a signed integer or a double, or an array of one of these kinds.
    package static func isValue(_ value: JSONValue) -> Bool {
        guard let elements = value.arrayValue else { return primitive(value) != nil }
        let kinds = elements.map(primitive)
        return kinds.allSatisfy { $0 != nil && $0 == kinds.first }
    }
}
