internal import CSimdJSON

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
///
/// Every thread has one parser, whose tape is read before `parse` returns, so nothing is shared between threads.
package enum JSONParser {
    /// - Throws: `JSONRefusal` for what is not JSON or cannot be held.
    package static func parse(_ text: UnsafeBufferPointer<UInt8>) throws(JSONRefusal) -> JSONValue {
        let parser = try parsed(text)
        var walk = TapeWalk(tape: skein_json_tape(parser), strings: skein_json_strings(parser))
        return walk.value()
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
        _ = try parsed(text)
    }

    private static func parsed(_ text: UnsafeBufferPointer<UInt8>) throws(JSONRefusal) -> OpaquePointer {
        guard let base = text.baseAddress, text.count > 0 else { throw .syntax }
        guard let parser = skein_json_thread_parser() else { throw .memory }
        switch skein_json_parse(parser, base, text.count) {
        case SKEIN_JSON_OK: return parser
        case SKEIN_JSON_NUMBER: throw .number
        case SKEIN_JSON_UTF8: throw .utf8
        case SKEIN_JSON_STRING: throw .string
        case SKEIN_JSON_DEPTH: throw .depth
        case SKEIN_JSON_MEMORY: throw .memory
        default: throw .syntax
        }
    }
}

/// Reads simdjson's tape from front to back. The depth is bounded by the parser.
private struct TapeWalk {
    let tape: UnsafePointer<UInt64>
    let strings: UnsafePointer<UInt8>
    var index = 1

    init(tape: UnsafePointer<UInt64>, strings: UnsafePointer<UInt8>) {
        self.tape = tape
        self.strings = strings
    }

    mutating func value() -> JSONValue {
        let word = tape[index]
        index += 1
        switch UInt8(truncatingIfNeeded: word >> 56) {
        case UInt8(ascii: "{"): return object(word)
        case UInt8(ascii: "["): return array(word)
        case UInt8(ascii: "\""): return .string(String(knownUTF8: text(word)))
        case UInt8(ascii: "l"):
            defer { index += 1 }
            return .int(Int64(bitPattern: tape[index]))
        case UInt8(ascii: "u"):
            defer { index += 1 }
            return .unsigned(tape[index])
        case UInt8(ascii: "d"):
            defer { index += 1 }
            return .double(Double(bitPattern: tape[index]))
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        default: return .null
        }
    }

    private func text(_ word: UInt64) -> UnsafeBufferPointer<UInt8> {
        let start = strings + Int(word & 0x00FF_FFFF_FFFF_FFFF)
        let length = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self)
        return UnsafeBufferPointer(start: start + 4, count: Int(length))
    }

    /// The number of members or elements; the tape counts up to 2^24 - 1.
    private func count(_ word: UInt64) -> Int { Int((word >> 32) & 0xFF_FFFF) }

    private mutating func array(_ word: UInt64) -> JSONValue {
        var elements: [JSONValue] = []
        elements.reserveCapacity(count(word))
        while UInt8(truncatingIfNeeded: tape[index] >> 56) != UInt8(ascii: "]") { elements.append(value()) }
        index += 1
        return .array(elements)
    }

    private mutating func object(_ word: UInt64) -> JSONValue {
        var members: [JSONObject.Member] = []
        members.reserveCapacity(count(word))
        while UInt8(truncatingIfNeeded: tape[index] >> 56) != UInt8(ascii: "}") {
            let key = text(tape[index])
            index += 1
            members.append(JSONObject.Member(key: key, value: value()))
        }
        index += 1
        return .object(JSONObject(unordered: members))
    }
}
