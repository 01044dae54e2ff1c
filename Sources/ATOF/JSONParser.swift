/// What makes a text no JSON, or JSON that Skein cannot hold.
package enum JSONRefusal: Error, Sendable, Hashable, CaseIterable {
    /// Structure, literals, or more after the value.
    case syntax
    /// A number that 64 bits cannot hold.
    case number
    /// Bytes that are not UTF-8.
    case utf8
    /// A string with a raw control character, an unknown escape or a lone surrogate.
    case string
    /// Nested 256 levels or deeper; an empty innermost object or array does not count.
    case depth
    case memory
}

/// JSON text to values, by simdjson.
package enum JSONParser {
    /// - Throws: `JSONRefusal` for what is not JSON or cannot be held.
    package static func parse(_ text: UnsafeBufferPointer<UInt8>) throws(JSONRefusal) -> JSONValue {
        try JSONDocument(text).withRoot(\.value)
    }

    /// Parses a text that lies in an array.
    package static func parse(_ text: [UInt8]) throws(JSONRefusal) -> JSONValue {
        try text.withUnsafeBufferPointer { buffer throws(JSONRefusal) in try parse(buffer) }
    }

    /// Parses a text that lies in a string.
    package static func parse(_ text: String) throws(JSONRefusal) -> JSONValue {
        try parse(Array(text.utf8))
    }

    /// Whether a text is JSON that `parse` takes, without making the value.
    package static func validate(_ text: UnsafeBufferPointer<UInt8>) throws(JSONRefusal) {
        _ = try JSONDocument(text)
    }
}
