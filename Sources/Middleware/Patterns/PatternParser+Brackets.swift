extension PatternParser {
    /// A class in brackets, with what is nested in it: `[a-z&&[^aeiou]]`.
    mutating func bracketed() throws(PatternError) -> ScalarSet {
        let start = index
        depth += 1
        defer { depth -= 1 }
        if depth > PatternParser.deepest { throw failure("nested deeper than \(PatternParser.deepest) levels") }
        index += 1
        skipIgnored()
        let isInverted = next == "^"
        if isInverted { index += 1 }
        skipIgnored()
        var union = ScalarSet()
        // Hyphens and a bracket at the beginning stand for themselves.
        while next == "-" {
            union = union.union(ScalarSet("-"))
            index += 1
            skipIgnored()
        }
        if union.isEmpty, next == "]" {
            union = ScalarSet("]")
            index += 1
        }
        var left: (set: ScalarSet, operation: Operation)?
        while true {
            skipIgnored()
            guard let scalar = next else { throw failure("unclosed class", at: start) }
            if scalar == "]" { break }
            if let operation = setOperation() {
                left = (combined(left, cased(union)), operation)
                union = ScalarSet()
                continue
            }
            union = union.union(try item())
        }
        index += 1
        let set = combined(left, cased(union))
        if !isInverted { return try checked(set, start) }
        if !flags.unicode { throw failure(PatternParser.notUTF8, at: start) }
        return set.inverted
    }

    private func checked(_ set: ScalarSet, _ start: Int) throws(PatternError) -> ScalarSet {
        if !flags.unicode, set.ranges.last.map({ $0.upperBound > 0x7F }) ?? false {
            throw failure("a class without the flag `u` holds characters of ASCII only", at: start)
        }
        return set
    }

    private enum Operation {
        case intersection, difference, symmetricDifference
    }

    private mutating func setOperation() -> Operation? {
        if take("&&") { return .intersection }
        if take("--") { return .difference }
        if take("~~") { return .symmetricDifference }
        return nil
    }

    private func combined(_ left: (set: ScalarSet, operation: Operation)?, _ right: ScalarSet) -> ScalarSet {
        switch left?.operation {
        case nil: right
        case .intersection: left!.set.intersection(right)
        case .difference: left!.set.subtracting(right)
        case .symmetricDifference: left!.set.symmetricDifference(right)
        }
    }

    /// One item of a class: a nested class, a named one, a character or a range.
    private mutating func item() throws(PatternError) -> ScalarSet {
        if next == "[" {
            if let set = try posixClass() { return set }
            return try bracketed()
        }
        let start = index
        if next == "\\", let set = try namedClass() {
            skipIgnored()
            if next == "-", let behind = peekBehindHyphen(), behind != "]", behind != "-" {
                throw failure("a range begins with a character", at: start)
            }
            return set
        }
        let low = try member()
        skipIgnored()
        guard next == "-", let behind = peekBehindHyphen(), behind != "]", behind != "-" else {
            return ScalarSet(low)
        }
        index += 1
        skipIgnored()
        if next == "[" { throw failure("a range ends with a character", at: start) }
        if next == "\\", try isNamedClass() { throw failure("a range ends with a character", at: start) }
        let high = try member()
        guard low.value <= high.value else { throw failure("a range that ends before it begins", at: start) }
        return ScalarSet([low.value...high.value])
    }

    /// The character behind the hyphen here.
    private func peekBehindHyphen() -> Unicode.Scalar? {
        var copy = self
        copy.index += 1
        copy.skipIgnored()
        return copy.next
    }

    private func isNamedClass() throws(PatternError) -> Bool {
        var copy = self
        return try copy.namedClass() != nil
    }

    private mutating func member() throws(PatternError) -> Unicode.Scalar {
        guard let scalar = next else { throw failure("unclosed class") }
        if scalar != "\\" {
            index += 1
            return scalar
        }
        let start = index
        if let letter = peek(1), ["b", "B", "A", "z", "<", ">"].contains(letter) {
            throw failure("`\\\(letter)` has no meaning within a class", at: start)
        }
        let (character, isByte) = try character()
        if isByte, !flags.unicode { throw failure(PatternParser.notUTF8, at: start) }
        return character
    }

    /// `[:alpha:]`; what only begins like one is a nested class.
    private mutating func posixClass() throws(PatternError) -> ScalarSet? {
        let start = index
        guard take("[:") else { return nil }
        let isInverted = take("^")
        var name = ""
        while let scalar = next, scalar.isASCII, scalar.properties.isAlphabetic {
            name.unicodeScalars.append(scalar)
            index += 1
        }
        guard take(":]"), let set = UnicodeTables.posix(name) else {
            index = start
            return nil
        }
        if !isInverted { return set }
        if !flags.unicode { throw failure(PatternParser.notUTF8, at: start) }
        return set.inverted
    }
}
