/// Writes a pattern in the syntax of RE2.
///
/// Names of classes and flags are not passed on, as RE2 means ASCII by most of them: every class is written as the code points that it
/// has. RE2's `\b` and `\B` look at ASCII only, so they are right for texts of ASCII and for `(?-u:\b)`.
struct PatternTranslation {
    /// How assertions are written.
    enum Assertions {
        case asTheyAre
        /// Left out, so that whatever the pattern matches is matched, and more.
        case leftOut
    }

    /// RE2's own limit of counted repetitions; it is for nested ones together.
    static let mostRepetitions = 1000

    private let assertions: Assertions
    private(set) var text = ""

    static func text(of node: PatternNode, _ assertions: Assertions) throws(PatternError) -> String {
        var translation = PatternTranslation(assertions: assertions)
        try translation.write(node, repetitions: 1)
        return translation.text
    }

    private init(assertions: Assertions) { self.assertions = assertions }

    private mutating func write(_ node: PatternNode, repetitions: Int) throws(PatternError) {
        switch node {
        case .empty: text += "(?:)"
        case .scalar(let set): write(set)
        case .assertion(let assertion): write(assertion)
        case .group(let node, index: _):
            text += "("
            try write(node, repetitions: repetitions)
            text += ")"
        case .sequence(let nodes):
            text += "(?:"
            for node in nodes { try write(node, repetitions: repetitions) }
            text += ")"
        case .alternatives(let nodes):
            text += "(?:"
            for (index, node) in nodes.enumerated() {
                if index > 0 { text += "|" }
                try write(node, repetitions: repetitions)
            }
            text += ")"
        case .repetition(let node, let minimum, let maximum, let greedy):
            let (product, overflow) = repetitions.multipliedReportingOverflow(by: max(minimum, maximum ?? 0, 1))
            if overflow || product > PatternTranslation.mostRepetitions {
                throw PatternError(
                    position: nil,
                    reason: "counted repetitions make more than \(PatternTranslation.mostRepetitions) copies")
            }
            text += "(?:"
            try write(node, repetitions: product)
            text += ")"
            switch (minimum, maximum) {
            case (0, nil): text += "*"
            case (1, nil): text += "+"
            case (0, 1): text += "?"
            case (let minimum, nil): text += "{\(minimum),}"
            case (let minimum, let maximum?): text += "{\(minimum),\(maximum)}"
            }
            if !greedy { text += "?" }
        }
    }

    private mutating func write(_ set: ScalarSet) {
        if let single = set.single { return write(single) }
        if set.isEmpty {
            text += "[^\\x{0}-\\x{10FFFF}]"
            return
        }
        text += "["
        for range in set.ranges {
            write(range.lowerBound)
            if range.upperBound > range.lowerBound {
                text += "-"
                write(range.upperBound)
            }
        }
        text += "]"
    }

    private mutating func write(_ scalar: UInt32) {
        switch scalar {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: text.unicodeScalars.append(Unicode.Scalar(UInt8(scalar)))
        default: text += "\\x{\(String(scalar, radix: 16))}"
        }
    }

    private mutating func write(_ assertion: PatternAssertion) {
        guard case .asTheyAre = assertions else {
            text += "(?:)"
            return
        }
        switch assertion {
        case .textStart: text += "\\A"
        case .textEnd: text += "\\z"
        case .lineStart: text += "(?m:^)"
        case .lineEnd: text += "(?m:$)"
        case .word(.boundary, unicode: _): text += "\\b"
        case .word(.notBoundary, unicode: _): text += "\\B"
        // Patterns with these go through `PatternMachine`.
        case .anyLineStart, .anyLineEnd, .word: text += "(?:)"
        }
    }
}
