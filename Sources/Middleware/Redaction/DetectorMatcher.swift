internal import ATOF

/// Finds what a detector stands for.
///
/// Under `strict` that is what the reference's expression matches. Skein's own expressions give candidates, of which it takes those that
/// can be what they look like; the reasons to refuse one are listed in `docs/components/detectors.md`.
final class DetectorMatcher: Sendable {
    let detector: Detector
    let pattern: Pattern
    private let isStrict: Bool
    /// What the reference takes for addresses, for runs that are none as a whole.
    let strictIPv6: Pattern?
    /// What a scan says of texts in which it may find something.
    let wanted: DetectorScan.Candidates

    init(_ detector: Detector, _ compatibility: Compatibility) throws(PatternError) {
        self.detector = detector
        isStrict = compatibility == .strict
        var wanted = DetectorScan.Candidates(detector)
        if isStrict, detector == .phone { wanted.insert(.date) }
        self.wanted = wanted
        pattern = try Pattern(isStrict ? detector.strictExpression : detector.expression)
        strictIPv6 = !isStrict && detector == .ipv6 ? try Pattern(detector.strictExpression) : nil
    }

    /// What was found, from the left to the right, none overlapping.
    func matches(in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        if isStrict { return pattern.allMatches(in: text) }
        var found: [Range<Int>] = []
        var from = 0
        while let candidate = pattern.firstMatch(in: text, from: from) {
            let decision = decide(candidate, in: text)
            found += decision.found
            from = max(decision.resume, candidate.lowerBound + 1)
        }
        return found
    }

    /// What of a candidate is taken, and from where the search goes on.
    struct Decision {
        var found: [Range<Int>]
        var resume: Int

        static func take(_ range: Range<Int>) -> Decision { Decision(found: [range], resume: range.upperBound) }
        static func refuse(resume: Int) -> Decision { Decision(found: [], resume: resume) }
    }

    private func decide(_ candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Decision {
        switch detector {
        case .email, .apiKey, .uuid, .jwt, .awsAccessKeyID: return .take(candidate)
        case .phone: return PhoneRules.decide(candidate, in: text)
        case .creditCard: return CardRules.decide(candidate, in: text)
        case .ipAddress: return AddressRules.decideIPv4(candidate, in: text)
        case .ipv6: return AddressRules.decideIPv6(candidate, in: text, strict: strictIPv6)
        case .url: return url(candidate, in: text)
        case .bearerToken:
            // A full stop ends the sentence, not the token.
            var end = candidate.upperBound
            while text[end - 1] == UInt8(ascii: "."), end > candidate.lowerBound + 1 { end -= 1 }
            return Decision(found: [candidate.lowerBound..<end], resume: candidate.upperBound)
        case .gcpAPIKey:
            let end = candidate.upperBound
            let goesOn = end < text.count && TextBytes.isWord(text[end]) && TextBytes.isWord(text[end - 1])
            return goesOn ? .refuse(resume: candidate.lowerBound + 1) : .take(candidate)
        case .awsSecretAccessKey: return SecretRules.decideAWS(candidate, in: text)
        case .azureStorageAccountKey: return SecretRules.decideAzure(candidate, in: text)
        }
    }

    /// Without the punctuation of the sentence around it.
    private func url(_ candidate: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Decision {
        let scalars = Array(String(decoding: text[candidate], as: UTF8.self).unicodeScalars)
        var open = scalars.reduce(0) { $0 + ($1 == "(" ? 1 : $1 == ")" ? -1 : 0) }
        var count = scalars.count
        var end = candidate.upperBound
        while count > 0 {
            let last = scalars[count - 1]
            if last == ")" {
                if open >= 0 { break }
                open += 1
            } else if !DetectorMatcher.closing.contains(last) {
                break
            }
            count -= 1
            end -= UTF8.width(last)
        }
        let range = candidate.lowerBound..<end
        // Nothing but the scheme.
        if text[range].last == UInt8(ascii: "/"), count <= 8, scalars[..<count].count(where: { $0 == "/" }) == 2 {
            return .refuse(resume: candidate.upperBound)
        }
        return Decision(found: [range], resume: candidate.upperBound)
    }

    private static let closing = Set(".,;:!?'`]}*|\\。，、；：！？」』）】》〉”’…".unicodeScalars)
}
