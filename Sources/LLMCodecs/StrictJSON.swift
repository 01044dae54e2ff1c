package import ATOF

/// JSON inside of a string, read as strictly as the providers' own parsers do (`codecs-and-pricing.md` 2.1).
package enum StrictJSON {
    /// - Returns: nil for what is not JSON: a byte order mark, a number beyond a double, nesting of 128 levels or more
    /// included. Integers
    ///   beyond 64 bits become doubles.
    package static func value(of text: String) -> JSONValue? {
        var text = text
        return text.withUTF8 { utf8 in
            if utf8.first == 0xEF { return nil }
            do throws(JSONRefusal) {
                let value = try JSONParser.parse(utf8)
                return isShallow(value, levels: 127) ? value : nil
            } catch {
                guard error == .number, !exceedsDouble(utf8) else { return nil }
                let value = JSONPolicy.value(of: utf8)
                // A text that is no JSON for other reasons as well: a string alone is never refused for a number.
                if case .string = value { return nil }
                return isShallow(value, levels: 127) ? value : nil
            }
        }
    }

    private static func isShallow(_ value: JSONValue, levels: Int) -> Bool {
        switch value {
        case .null, .bool, .int, .unsigned, .double, .string: true
        case .array(let elements): levels > 0 && elements.allSatisfy { isShallow($0, levels: levels - 1) }
        case .object(let object): levels > 0 && object.allSatisfy { isShallow($0.value, levels: levels - 1) }
        }
    }

    /// Whether a number outside of strings has no finite double.
    private static func exceedsDouble(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        var inString = false
        while index < text.count {
            let byte = text[index]
            if inString {
                if byte == UInt8(ascii: "\\") { index += 1 } else if byte == UInt8(ascii: "\"") { inString = false }
            } else if byte == UInt8(ascii: "\"") {
                inString = true
            } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                let token = text[index...].prefix {
                    ("0"..."9").contains(Unicode.Scalar($0)) || ".eE+-".utf8.contains($0)
                }
                if let number = Double(String(decoding: token, as: UTF8.self)), !number.isFinite { return true }
                index += token.count
                continue
            }
            index += 1
        }
        return false
    }
}
