/// What happens to a payload that simdjson refuses. An event is never lost for its payload:
///
/// | Refused for | Read as |
/// |---|---|
/// | a number beyond 64 bits | the same JSON with that number as a double; beyond a double, as a string of its digits |
/// | bytes that are not UTF-8 | the same JSON with U+FFFD in their place |
/// | a bad escape, a lone surrogate, a raw control character, depth of 256, anything else | one JSON string that holds the text |
///
/// `process` writes the repaired text into the event, so that everything behind it reads plain JSON.
package enum JSONPolicy {
    /// The value of a text, whatever simdjson thinks of it.
    package static func value(of text: UnsafeBufferPointer<UInt8>) -> JSONValue {
        do throws(JSONRefusal) {
            return try JSONParser.parse(text)
        } catch {
            return repaired(text, error)
        }
    }

    /// The text to go on with when `text` is not JSON that everybody reads; nil when it is.
    package static func repairedText(of text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        do throws(JSONRefusal) {
            try JSONParser.validate(text)
            return nil
        } catch {
            var writer = JSONWriter(capacity: text.count)
            writer.write(repaired(text, error))
            return writer.bytes
        }
    }

    private static func repaired(_ text: UnsafeBufferPointer<UInt8>, _ refusal: JSONRefusal) -> JSONValue {
        switch refusal {
        case .utf8:
            // Valid UTF-8 is not refused for UTF-8 again, so this goes one step deeper at most.
            return Array(String(decoding: text, as: UTF8.self).utf8).withUnsafeBufferPointer { value(of: $0) }
        case .number:
            do throws(JSONRefusal) {
                return try JSONParser.parse(withNumbersThatFit(text))
            } catch {
                return .string(String(decoding: text, as: UTF8.self))
            }
        case .syntax, .string, .depth, .memory:
            return .string(String(decoding: text, as: UTF8.self))
        }
    }

    /// Rewrites number tokens that 64 bits cannot hold: integers get an exponent, what exceeds a double becomes a string.
    private static func withNumbersThatFit(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count + 16)
        var index = 0
        var inString = false
        while index < text.count {
            let byte = text[index]
            if inString {
                result.append(byte)
                if byte == UInt8(ascii: "\\"), index + 1 < text.count {
                    index += 1
                    result.append(text[index])
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                index += 1
            } else if byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                let end = text[index...].firstIndex { !isNumberByte($0) } ?? text.count
                result += fitting(text[index..<end])
                index = end
            } else {
                inString = byte == UInt8(ascii: "\"")
                result.append(byte)
                index += 1
            }
        }
        return result
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    private static func fitting(_ token: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8] {
        let digits = String(decoding: token, as: UTF8.self)
        let isInteger = !token.contains {
            $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E")
        }
        if isInteger, Int64(digits) != nil || UInt64(digits) != nil { return Array(token) }
        // What is no number stays as it is, so that the text is refused again.
        guard let value = Double(digits) else { return Array(token) }
        if value.isInfinite { return Array("\"\(digits)\"".utf8) }
        return isInteger ? Array("\(digits)e0".utf8) : Array(token)
    }
}
