/// A text in which escapes of JSON are resolved once, with the way back: what strings hold that are JSON themselves, whole or in part.
struct UnescapedText {
    private(set) var bytes: [UInt8] = []
    /// Where in the source each byte began, and at last where the source ends.
    private(set) var origins: [UInt32] = []

    /// - Returns: nil when there is no escape.
    init?(_ text: UnsafeBufferPointer<UInt8>) {
        guard TextBytes.contains(text, UInt8(ascii: "\\")) else { return nil }
        bytes.reserveCapacity(text.count)
        origins.reserveCapacity(text.count + 1)
        var hasEscape = false
        var index = 0
        while index < text.count {
            guard text[index] == UInt8(ascii: "\\"), let escape = JSONEscape(at: index, in: text) else {
                append(text[index], index)
                index += 1
                continue
            }
            hasEscape = true
            for byte in UTF8.encode(escape.scalar)! { append(byte, index) }
            index += escape.length
        }
        if !hasEscape { return nil }
        origins.append(UInt32(text.count))
    }

    private mutating func append(_ byte: UInt8, _ origin: Int) {
        bytes.append(byte)
        origins.append(UInt32(origin))
    }

    /// The part of the source that a part of the text came from.
    func source(of range: Range<Int>) -> Range<Int> { Int(origins[range.lowerBound])..<Int(origins[range.upperBound]) }
}

/// One escape of JSON: a backslash and what follows.
struct JSONEscape {
    let scalar: Unicode.Scalar
    private(set) var length = 2

    /// - Returns: nil for a backslash that begins none.
    init?(at index: Int, in text: UnsafeBufferPointer<UInt8>) {
        guard index + 1 < text.count else { return nil }

        switch text[index + 1] {
        case UInt8(ascii: "\""): scalar = "\""
        case UInt8(ascii: "\\"): scalar = "\\"
        case UInt8(ascii: "/"): scalar = "/"
        case UInt8(ascii: "b"): scalar = "\u{08}"
        case UInt8(ascii: "f"): scalar = "\u{0C}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"):
            guard let unit = JSONEscape.unit(at: index + 2, in: text) else { return nil }
            if let scalar = Unicode.Scalar(UInt32(unit)) {
                self.scalar = scalar
                length = 6
                return
            }
            // Surrogates come in pairs.
            guard unit < 0xDC00, index + 7 < text.count, text[index + 6] == UInt8(ascii: "\\"),
                text[index + 7] == UInt8(ascii: "u"), let low = JSONEscape.unit(at: index + 8, in: text),
                (0xDC00...0xDFFF).contains(low),
                let pair = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
            else {
                scalar = "\u{FFFD}"
                length = 6
                return
            }
            scalar = pair
            length = 12
        default: return nil
        }
    }

    private static func unit(at index: Int, in text: UnsafeBufferPointer<UInt8>) -> UInt16? {
        guard index + 4 <= text.count else { return nil }
        var unit: UInt16 = 0
        for byte in text[index..<index + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}
