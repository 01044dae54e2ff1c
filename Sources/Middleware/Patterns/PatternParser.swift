/// Reads the syntax of Rust's `regex` crate: no look-around and no back references, Unicode throughout unless `(?-u)`.
struct PatternParser {
    struct Flags {
        var ignoresCase = false
        var multiLine = false
        var dotMatchesNewline = false
        var swapsGreed = false
        var unicode = true
        var ignoresSpace = false
        var anyLineEnding = false
    }

    /// Deeper nesting is refused, so that no pattern can exhaust the stack.
    static let deepest = 250

    let scalars: [Unicode.Scalar]
    var index = 0
    var flags = Flags()
    var depth = 0
    /// By index from 1; nil for groups without a name.
    private(set) var groupNames: [String?] = []

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    mutating func parse() throws(PatternError) -> PatternNode {
        let node = try alternatives()
        if index < scalars.count { throw failure("unopened group: `)` closes nothing") }
        return node
    }

    func failure(_ reason: String, at place: Int? = nil) -> PatternError {
        PatternError(position: (place ?? index) + 1, reason: reason)
    }

    var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

    func peek(_ offset: Int) -> Unicode.Scalar? {
        index + offset < scalars.count ? scalars[index + offset] : nil
    }

    mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[index...].starts(with: wanted) else { return false }
        index += wanted.count
        return true
    }

    /// Under the flag `x` white space and comments mean nothing.
    mutating func skipIgnored() {
        guard flags.ignoresSpace else { return }
        while let scalar = next {
            if scalar.properties.isPatternWhitespace {
                index += 1
            } else if scalar == "#" {
                while let scalar = next, scalar != "\n" { index += 1 }
            } else {
                return
            }
        }
    }

    /// Flags that are set inside of a group end with it.
    private mutating func alternatives() throws(PatternError) -> PatternNode {
        let outer = flags
        defer { flags = outer }
        depth += 1
        defer { depth -= 1 }
        if depth > PatternParser.deepest { throw failure("nested deeper than \(PatternParser.deepest) levels") }
        var choices: [PatternNode] = []
        var sequence: [PatternNode] = []
        while true {
            skipIgnored()
            guard let scalar = next, scalar != ")" else { break }
            if scalar == "|" {
                index += 1
                choices.append(PatternParser.joined(sequence))
                sequence = []
            } else if let atom = try atom() {
                sequence.append(try repeated(atom))
            }
        }
        choices.append(PatternParser.joined(sequence))
        return choices.count == 1 ? choices[0] : .alternatives(choices)
    }

    private static func joined(_ nodes: [PatternNode]) -> PatternNode {
        switch nodes.count {
        case 0: .empty
        case 1: nodes[0]
        default: .sequence(nodes)
        }
    }

    /// - Returns: nil for flags, which match nothing.
    private mutating func atom() throws(PatternError) -> PatternNode? {
        let scalar = scalars[index]
        switch scalar {
        case "(": return try group()
        case "[": return .scalar(try bracketed())
        case "\\": return try escaped()
        case ".":
            index += 1
            return .scalar(try anyScalar())
        case "^":
            index += 1
            if !flags.multiLine { return .assertion(.textStart) }
            return .assertion(flags.anyLineEnding ? .anyLineStart : .lineStart)
        case "$":
            index += 1
            if !flags.multiLine { return .assertion(.textEnd) }
            return .assertion(flags.anyLineEnding ? .anyLineEnd : .lineEnd)
        case "*", "+", "?", "{": throw failure("repetition operator `\(scalar)` without anything to repeat")
        default:
            index += 1
            return .scalar(literal(scalar))
        }
    }

    func literal(_ scalar: Unicode.Scalar) -> ScalarSet { cased(ScalarSet(scalar)) }

    /// The set with everything that is the same without regard to case, under the flag `i`.
    func cased(_ set: ScalarSet) -> ScalarSet {
        guard flags.ignoresCase else { return set }
        return flags.unicode ? CaseFolding.closed(set) : CaseFolding.closedASCII(set)
    }

    private func anyScalar() throws(PatternError) -> ScalarSet {
        guard flags.unicode else { throw failure(PatternParser.notUTF8, at: index - 1) }
        if flags.dotMatchesNewline { return .all }
        return (flags.anyLineEnding ? ScalarSet([0x0A...0x0A, 0x0D...0x0D]) : ScalarSet([0x0A...0x0A])).inverted
    }

    static let notUTF8 = "without the flag `u` this matches single bytes of longer characters, which texts do not have"

    // MARK: - Groups

    private mutating func group() throws(PatternError) -> PatternNode? {
        let start = index
        index += 1
        for look in ["?=", "?!", "?<=", "?<!"] where take(look) {
            throw failure("look-around (`(\(look)`) is not supported", at: start)
        }
        if take("?P<") || take("?<") { return try capture(start, name: try name()) }
        guard take("?") else { return try capture(start, name: nil) }
        var inner = flags
        let scoped = try readFlags(&inner)
        if !scoped {
            flags = inner
            return nil
        }
        let outer = flags
        flags = inner
        let node = try alternatives()
        flags = outer
        try close(start)
        return node == .empty ? .sequence([]) : node
    }

    private mutating func capture(_ start: Int, name: String?) throws(PatternError) -> PatternNode {
        groupNames.append(name)
        let number = groupNames.count
        let node = try alternatives()
        try close(start)
        return .group(node, index: number)
    }

    private mutating func close(_ start: Int) throws(PatternError) {
        guard next == ")" else { throw failure("unclosed group", at: start) }
        index += 1
    }

    private mutating func name() throws(PatternError) -> String {
        let start = index
        var name = ""
        while let scalar = next, scalar != ">" {
            let isFirst = name.isEmpty
            let isNamePart =
                scalar == "_" || scalar.properties.isAlphabetic
                || !isFirst && ("0"..."9" ~= scalar || scalar == "." || scalar == "[" || scalar == "]")
            guard isNamePart else { throw failure("`\(scalar)` cannot be in the name of a group") }
            name.unicodeScalars.append(scalar)
            index += 1
        }
        guard next == ">" else { throw failure("unclosed name of a group", at: start) }
        if name.isEmpty { throw failure("the name of a group is empty", at: start) }
        if groupNames.contains(name) { throw failure("a second group of the same name", at: start) }
        index += 1
        return name
    }

    /// Reads what follows `(?`. Returns whether the flags are for a group only, `(?i:…)`.
    private mutating func readFlags(_ flags: inout Flags) throws(PatternError) -> Bool {
        let start = index
        var isOn = true
        var seen: Set<Unicode.Scalar> = []
        var isEmpty = true
        while let scalar = next {
            index += 1
            switch scalar {
            case "-":
                if !isOn { throw failure("a second `-` among flags", at: index - 1) }
                isOn = false
                isEmpty = true
            case ":", ")":
                if isEmpty, !isOn { throw failure("no flag behind `-`", at: index - 1) }
                if isEmpty, scalar == ")" { throw failure("a group of flags without a flag", at: start) }
                return scalar == ":"
            default:
                if !seen.insert(scalar).inserted { throw failure("flag `\(scalar)` twice", at: index - 1) }
                isEmpty = false
                switch scalar {
                case "i": flags.ignoresCase = isOn
                case "m": flags.multiLine = isOn
                case "s": flags.dotMatchesNewline = isOn
                case "U": flags.swapsGreed = isOn
                case "u": flags.unicode = isOn
                case "x": flags.ignoresSpace = isOn
                case "R": flags.anyLineEnding = isOn
                default: throw failure("unknown flag `\(scalar)`", at: index - 1)
                }
            }
        }
        throw failure("unclosed group", at: start - 2)
    }

    // MARK: - Repetitions

    private mutating func repeated(_ atom: PatternNode) throws(PatternError) -> PatternNode {
        var node = atom
        var count = 0
        while true {
            skipIgnored()
            let bounds: (minimum: Int, maximum: Int?)
            switch next {
            case "*": bounds = (0, nil)
            case "+": bounds = (1, nil)
            case "?": bounds = (0, 1)
            case "{": bounds = try counted()
            default: return node
            }
            index += 1
            count += 1
            if depth + count > PatternParser.deepest {
                throw failure("nested deeper than \(PatternParser.deepest) levels")
            }
            let isLazy = next == "?"
            if isLazy { index += 1 }
            node = .repetition(
                node, minimum: bounds.minimum, maximum: bounds.maximum, greedy: isLazy == flags.swapsGreed)
        }
    }

    /// Reads `{n`, `{n,` or `{n,m` and stops at the closing brace.
    private mutating func counted() throws(PatternError) -> (Int, Int?) {
        let start = index
        index += 1
        let minimum = try number(start)
        var maximum: Int? = minimum
        if next == "," {
            index += 1
            skipIgnored()
            maximum = next == "}" ? nil : try number(start)
        }
        guard next == "}" else { throw failure("unclosed counted repetition", at: start) }
        if let maximum, maximum < minimum {
            throw failure("counted repetition of at least \(minimum) and at most \(maximum)", at: start)
        }
        return (minimum, maximum)
    }

    private mutating func number(_ start: Int) throws(PatternError) -> Int {
        skipIgnored()
        var value: Int?
        while let scalar = next, "0"..."9" ~= scalar {
            value = (value ?? 0) * 10 + Int(scalar.value - 0x30)
            if value! > 100_000 { throw failure("counted repetition of more than 100,000", at: start) }
            index += 1
        }
        skipIgnored()
        guard let value else {
            throw failure(
                next == nil ? "unclosed counted repetition" : "a counted repetition wants a decimal number", at: start)
        }
        return value
    }
}
