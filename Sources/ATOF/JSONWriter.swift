/// Writes compact JSON text: no white space, keys in the order of their bytes, non-ASCII unescaped
/// (`otel-projections.md` 2.3).
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Any value.
    package mutating func write(_ value: JSONValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .int(let number): writeInteger(number)
        case .unsigned(let number): writeInteger(number)
        case .double(let number): write(number)
        case .string(let text): write(text)
        case .array(let elements):
            raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { raw(",") }
                write(element)
            }
            raw("]")
        case .object(let object): write(object)
        }
    }

    /// An object with its members in their order.
    package mutating func write(_ object: JSONObject) {
        raw("{")
        var first = true
        for member in object {
            if !first { raw(",") }
            first = false
            write(member.key)
            raw(":")
            write(member.value)
        }
        raw("}")
    }

    /// A text as it stands: punctuation, or a value that is JSON already.
    package mutating func raw(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Text that is JSON already.
    package mutating func raw(_ json: String) {
        var json = json
        json.withUTF8 { bytes.append(contentsOf: $0) }
    }

    private static let lineBreak: [UInt8] = [UInt8(ascii: "\n")] + Array(repeating: UInt8(ascii: " "), count: 64)

    /// A line feed and so many spaces.
    package mutating func newLine(indentedBy count: Int) {
        let short = min(count, 64)
        bytes.append(contentsOf: JSONWriter.lineBreak[...short])
        if count > short { bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: count - short)) }
    }

    /// A string with quotes and escapes.
    package mutating func write(_ text: String) {
        var text = text
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8 { utf8 in
            var start = 0
            while let index = JSONWriter.special(in: utf8, from: start) {
                bytes.append(contentsOf: utf8[start..<index])
                escape(utf8[index])
                start = index + 1
            }
            bytes.append(contentsOf: utf8[start...])
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// The first byte that has to be escaped; most texts have none, so eight are looked at together.
    private static func special(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        let raw = UnsafeRawBufferPointer(text)
        var index = start
        while index &+ 8 <= text.count {
            if hasSpecial(raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)) { break }
            index &+= 8
        }
        while index < text.count {
            let byte = text[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { return index }
            index &+= 1
        }
        return nil
    }

    /// Whether one of eight bytes is a control character, a quote or a backslash: a subtraction in each byte sets its highest bit then,
    /// and nowhere below the first such byte.
    private static func hasSpecial(_ bytes: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = bytes ^ (ones &* 0x22)
        let slashes = bytes ^ (ones &* 0x5C)
        let found =
            ((bytes &- ones &* 0x20) & ~bytes) | ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes)
        return found & (ones &* 0x80) != 0
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0x22, 0x5C: bytes.append(byte)
        default:
            raw("u00")
            for digit in [byte >> 4, byte & 15] {
                bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }

    /// The digits of an integer.
    package mutating func writeInteger(_ number: some FixedWidthInteger) {
        bytes.append(contentsOf: String(number).utf8)
    }

    /// The shortest text that reads back as the same double: decimal for 1e-5 ≤ |x| < 1e16, else with an exponent.
    package mutating func write(_ number: Double) {
        guard number.isFinite else { return raw("null") }
        bytes.append(contentsOf: JSONWriter.shortest(number).utf8)
    }

    private static func shortest(_ number: Double) -> String {
        let magnitude = abs(number)
        if magnitude == 0 || (magnitude >= 1e-3 && magnitude < 1e15) { return number.description }
        // Swift changes to exponents at other places, so the digits are taken from its text and set anew.
        let parts = magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var whole = Array(mantissa[0].utf8)
        let fraction = mantissa.count > 1 && mantissa[1] != "0" ? Array(mantissa[1].utf8) : []
        // The value is 0.DIGITS × 10^point.
        var point = whole.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        whole += fraction
        let zeros = whole.prefix { $0 == UInt8(ascii: "0") }.count
        whole.removeFirst(zeros)
        point -= zeros
        while whole.last == UInt8(ascii: "0") { whole.removeLast() }
        let digits = String(decoding: whole, as: UTF8.self)
        let sign = number < 0 ? "-" : ""
        if point > 16 || point < -4 {
            let exponent = point - 1
            let tail = digits.dropFirst()
            return
                "\(sign)\(digits.prefix(1))\(tail.isEmpty ? "" : ".\(tail)")e\(exponent < 0 ? "-" : "+")\(abs(exponent))"
        }
        if point <= 0 { return "\(sign)0.\(String(repeating: "0", count: -point))\(digits)" }
        if whole.count <= point { return "\(sign)\(digits)\(String(repeating: "0", count: point - whole.count)).0" }
        return "\(sign)\(digits.prefix(point)).\(digits.dropFirst(point))"
    }
}

extension JSONValue {
    /// The compact text of the value, `J(x)` of the specifications.
    package var compactText: String {
        var writer = JSONWriter()
        writer.write(self)
        return writer.text
    }
}

extension JSONObject {
    package var compactText: String { JSONValue.object(self).compactText }
}
