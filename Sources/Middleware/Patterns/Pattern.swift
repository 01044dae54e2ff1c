/// A regular expression in the syntax of Rust's `regex` crate (`middleware-guardrails-pii.md` 8.1), which finds what that crate finds.
///
/// Of the ways to match, the leftmost counts, and of those the one that prefers first alternatives and greedy repetitions. Time is linear
/// in the text for each match. RE2 does the finding; where it cannot know the answer, `PatternMachine` does.
package final class Pattern: Sendable {
    /// Larger patterns are refused: about as many states as one may have.
    static let largest = 200_000
    static let longest = 16_384

    /// As it was given.
    package let text: String
    /// By index from 1; nil for groups without a name.
    let groupNames: [String?]
    private let tree: PatternNode
    /// Right for every text, or for those of ASCII.
    private let expression: RE2Expression
    /// Without assertions; nil when `expression` is right for every text.
    private let relaxed: RE2Expression?
    private let machine: PatternMachine?
    private let isExactInASCII: Bool
    /// Whether it may hold `^`, `$`, `\A` or `\z`; a class that begins with `^` counts too.
    private let speaksOfEnds: Bool

    /// - Throws: what is wrong, and where.
    package init(_ text: String) throws(PatternError) {
        guard text.utf8.count <= Pattern.longest else {
            throw PatternError(position: nil, reason: "the pattern is longer than \(Pattern.longest) bytes")
        }
        var parser = PatternParser(text)
        tree = try parser.parse()
        guard tree.size <= Pattern.largest else {
            throw PatternError(position: nil, reason: "the pattern is too large with its repetitions written out")
        }
        self.text = text
        speaksOfEnds = ["^", "$", "\\A", "\\z", "\\Z"].contains { text.contains($0) }
        groupNames = parser.groupNames
        expression = try Pattern.compiled(tree, .asTheyAre)
        isExactInASCII = tree.allAssertions(\.isExactInASCII)
        if tree.allAssertions(\.isExact) {
            relaxed = nil
            machine = nil
        } else {
            relaxed = try Pattern.compiled(tree, .leftOut)
            machine = PatternMachine(tree, groups: parser.groupNames.count)
        }
    }

    private static func compiled(
        _ tree: PatternNode, _ assertions: PatternTranslation.Assertions
    ) throws(PatternError) -> RE2Expression {
        let text = try PatternTranslation.text(of: tree, assertions)
        do {
            return try RE2Expression(text)
        } catch {
            // The tree is a valid pattern, so it is one of RE2's limits.
            throw PatternError(position: nil, reason: "the pattern is too large (\(error.message.prefix(60)))")
        }
    }

    /// How many groups a match has beside the whole.
    package var groupCount: Int { groupNames.count }

    /// Whether there is a match somewhere in the text.
    package func matches(_ text: String) -> Bool {
        TextBytes.withBytes(of: text) { firstMatch(in: $0, from: 0) != nil }
    }

    /// What was found, from the left to the right. None overlap, and no empty one touches the one before.
    package func allMatches(in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var from = 0
        let usesMachine = needsMachine(for: text)
        while from <= text.count, let match = firstMatch(in: text, from: from, usesMachine: usesMachine) {
            if match.isEmpty {
                if found.last?.upperBound != match.lowerBound { found.append(match) }
                from = match.upperBound + max(ScalarReader.scalar(at: match.upperBound, in: text).length, 1)
            } else {
                found.append(match)
                from = match.upperBound
            }
        }
        return found
    }

    /// Whether RE2 cannot know the answer for a text. Ask once for each text, as it takes a look at all of it.
    func needsMachine(for text: UnsafeBufferPointer<UInt8>) -> Bool {
        machine != nil && !(isExactInASCII && TextBytes.isASCII(text))
    }

    /// The leftmost match that does not start before `start`.
    func firstMatch(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Range<Int>? {
        firstMatch(in: text, from: start, usesMachine: needsMachine(for: text))
    }

    private func firstMatch(in text: UnsafeBufferPointer<UInt8>, from start: Int, usesMachine: Bool) -> Range<Int>? {
        guard usesMachine, let relaxed, let machine else { return expression.firstMatch(in: text, from: start) }
        guard let candidate = relaxed.firstMatch(in: text, from: start) else { return nil }
        let bounds = machine.search(text, from: candidate.lowerBound, wantsGroups: false)
        return bounds.map { $0[0]..<$0[1] }
    }

    /// The groups of a match, the whole first.
    func groups(of match: Range<Int>, in text: UnsafeBufferPointer<UInt8>, usesMachine: Bool) -> [Range<Int>?] {
        guard usesMachine, let machine else { return expression.groups(groupCount + 1, of: match, in: text) }
        let bounds = machine.search(text, from: match.lowerBound, isAnchored: true, wantsGroups: true) ?? []
        return stride(from: 0, to: bounds.count, by: 2).map { index in
            bounds[index] < 0 || bounds[index + 1] < 0 ? nil : bounds[index]..<bounds[index + 1]
        }
    }

    /// Whether a text may hold a match, or be part of one that does: cheap, and never wrong when it says no.
    ///
    /// The ends of a string are no ends of the JSON text around it, so a pattern that speaks of ends may match anywhere.
    func mayMatch(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        speaksOfEnds || (relaxed ?? expression).matches(text)
    }
}
