/// Looks at the headers of tables in a TOML document, of which its parser relies on one thing without looking: that a name begins behind the
/// brackets. It ends the process otherwise.
struct TableHeaders {
    private var rest: Substring.UTF8View
    private var line = 1

    /// The line of the first header without a name; nil when all have one, or when something before it is no TOML: the parser says so.
    static func lineWithoutName(in text: String) -> Int? {
        var headers = TableHeaders(rest: text[...].utf8)
        if headers.rest.starts(with: "\u{FEFF}".utf8) { headers.rest = headers.rest.dropFirst(3) }
        while !headers.rest.isEmpty {
            headers.skipSpace()
            switch headers.rest.first {
            case UInt8(ascii: "["): if !headers.headerHasName() { return headers.line }
            case UInt8(ascii: "#"), UInt8(ascii: "\n"), nil: break
            default: headers.skipValue()
            }
            headers.skipLine()
        }
        return nil
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }

    /// To the beginning of the next line.
    private mutating func skipLine() {
        rest = rest.drop { $0 != UInt8(ascii: "\n") }.dropFirst()
        line += 1
    }

    private mutating func headerHasName() -> Bool {
        rest = rest.dropFirst()
        if rest.first == UInt8(ascii: "[") { rest = rest.dropFirst() }
        rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
        guard let byte = rest.first else { return true }
        return TableHeaders.beginsName(byte)
    }

    private static func beginsName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "_-\"'".utf8.contains(byte)
        }
    }

    /// To the end of the line on which a key's value ends: texts and lists may go over several.
    private mutating func skipValue() {
        var depth = 0
        while let byte = rest.first {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                skipText(byte)
                continue
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: "#"):
                rest = rest.drop { $0 != UInt8(ascii: "\n") }
                continue
            case UInt8(ascii: "\n"):
                if depth <= 0 { return }
                line += 1
            default: break
            }
            rest = rest.dropFirst()
        }
    }

    private mutating func skipText(_ quote: UInt8) {
        let isLong = rest.prefix(3).elementsEqual(repeatElement(quote, count: 3))
        rest = rest.dropFirst(isLong ? 3 : 1)
        while let byte = rest.first {
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                // A line may end behind it.
                if rest.dropFirst().first == UInt8(ascii: "\n") { line += 1 }
                rest = rest.dropFirst(2)
                continue
            }
            if byte == quote, !isLong || rest.prefix(3).elementsEqual(repeatElement(quote, count: 3)) {
                rest = rest.dropFirst(isLong ? 3 : 1)
                return
            }
            if byte == UInt8(ascii: "\n") {
                // No text of one line goes on behind it; the parser says so.
                if !isLong { return }
                line += 1
            }
            rest = rest.dropFirst()
        }
    }
}
