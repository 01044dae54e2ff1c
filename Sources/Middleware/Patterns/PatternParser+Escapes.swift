extension PatternParser {
    /// What a backslash begins outside of brackets.
    mutating func escaped() throws(PatternError) -> PatternNode {
        let start = index
        switch peek(1) {
        case "b":
            index += 2
            return .assertion(.word(try braced() ?? .boundary, unicode: flags.unicode))
        case "B": return assertion(.word(.notBoundary, unicode: flags.unicode))
        case "<": return assertion(.word(.start, unicode: flags.unicode))
        case ">": return assertion(.word(.end, unicode: flags.unicode))
        case "A": return assertion(.textStart)
        case "z": return assertion(.textEnd)
        default: break
        }
        if let set = try namedClass() { return .scalar(set) }
        let (scalar, isByte) = try character()
        if isByte, !flags.unicode { throw failure(PatternParser.notUTF8, at: start) }
        return .scalar(literal(scalar))
    }

    private mutating func assertion(_ assertion: PatternAssertion) -> PatternNode {
        index += 2
        return .assertion(assertion)
    }

    /// The kind of edge in braces behind `\b`. What looks like a repetition is left to be read as one.
    private mutating func braced() throws(PatternError) -> PatternAssertion.WordEdge? {
        guard next == "{", let first = peek(1), first.properties.isAlphabetic || first == "-" else { return nil }
        for (name, edge) in [
            ("{start}", PatternAssertion.WordEdge.start), ("{end}", .end), ("{start-half}", .startHalf),
            ("{end-half}", .endHalf),
        ] where take(name) {
            return edge
        }
        throw failure("unknown kind of word boundary")
    }

    /// `\d`, `\w`, `\s`, `\p` and their opposites; nil when there is none here.
    mutating func namedClass() throws(PatternError) -> ScalarSet? {
        let start = index
        guard let letter = peek(1) else { throw failure("the pattern ends with a backslash") }
        var set: ScalarSet
        switch letter {
        case "d", "D": set = flags.unicode ? UnicodeTables.digits : UnicodeTables.asciiDigits
        case "s", "S": set = flags.unicode ? UnicodeTables.spaces : UnicodeTables.asciiSpaces
        case "w", "W": set = flags.unicode ? UnicodeTables.words : UnicodeTables.asciiWords
        case "p", "P":
            index += 2
            set = try property(start)
            return letter == "P" ? set.inverted : set
        default: return nil
        }
        index += 2
        if letter.properties.isUppercase {
            if !flags.unicode { throw failure(PatternParser.notUTF8, at: start) }
            set = set.inverted
        }
        return set
    }

    private mutating func property(_ start: Int) throws(PatternError) -> ScalarSet {
        if !flags.unicode { throw failure("classes of Unicode need the flag `u`", at: start) }
        guard let first = next else { throw failure("the pattern ends within an escape", at: start) }
        index += 1
        var name = String(first)
        if first == "{" {
            guard let end = scalars[index...].firstIndex(of: "}") else {
                throw failure("unclosed name of a class", at: start)
            }
            name = String(String.UnicodeScalarView(scalars[index..<end]))
            index = end + 1
        }
        var isInverted = false
        if let mark = name.firstIndex(of: "!"), name[mark...].hasPrefix("!=") {
            isInverted.toggle()
            name.remove(at: mark)
        }
        guard let set = UnicodeTables.property(name) else { throw failure("unknown class of Unicode", at: start) }
        let cased = cased(set)
        return isInverted ? cased.inverted : cased
    }

    /// A single character that a backslash names, and whether it was given as a byte that is none of ASCII.
    mutating func character() throws(PatternError) -> (Unicode.Scalar, isByte: Bool) {
        let start = index
        guard let letter = peek(1) else { throw failure("the pattern ends with a backslash") }
        index += 2
        switch letter {
        case "a": return ("\u{07}", false)
        case "f": return ("\u{0C}", false)
        case "n": return ("\n", false)
        case "r": return ("\r", false)
        case "t": return ("\t", false)
        case "v": return ("\u{0B}", false)
        case "x": return try hexadecimal(start, digits: 2)
        case "u": return try hexadecimal(start, digits: 4)
        case "U": return try hexadecimal(start, digits: 8)
        case "0"..."9": throw failure("back references are not supported", at: start)
        default:
            guard letter.isASCII, (0x20..<0x7F).contains(letter.value), !letter.properties.isAlphabetic, letter != "<",
                letter != ">"
            else { throw failure("unknown escape `\\\(letter)`", at: start) }
            return (letter, false)
        }
    }

    private mutating func hexadecimal(_ start: Int, digits: Int) throws(PatternError) -> (Unicode.Scalar, Bool) {
        var text = ""
        var isBraced = false
        if next == "{" {
            isBraced = true
            guard let end = scalars[index...].firstIndex(of: "}") else {
                throw failure("unclosed hexadecimal number", at: start)
            }
            text = String(String.UnicodeScalarView(scalars[index + 1..<end]))
            index = end + 1
        } else {
            guard index + digits <= scalars.count else {
                throw failure("the pattern ends within an escape", at: start)
            }
            text = String(String.UnicodeScalarView(scalars[index..<index + digits]))
            index += digits
        }
        guard !text.isEmpty, text.unicodeScalars.allSatisfy(\.properties.isASCIIHexDigit),
            let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value)
        else { throw failure("no hexadecimal number of a character", at: start) }
        return (scalar, !isBraced && digits == 2 && value > 0x7F)
    }
}
