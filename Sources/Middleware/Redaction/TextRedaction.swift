internal import SHA2

/// What is done with each match in a text. A class, as the walk of a document has it at hand for every text.
final class TextRedaction: Sendable {
    enum Finder: Sendable {
        case everything
        case pattern(Pattern)
        case detector(DetectorMatcher)
    }

    enum Treatment: Sendable {
        case replace(ReplacementTemplate)
        case hash
        /// Nil: as the detector wants it.
        case mask(Mask, keeping: (prefix: Int, suffix: Int)?)
    }

    let finder: Finder
    let treatment: Treatment

    init(finder: Finder, treatment: Treatment) {
        self.finder = finder
        self.treatment = treatment
    }

    /// A part of a text and what takes its place.
    struct Edit {
        let range: Range<Int>
        let bytes: [UInt8]
    }

    /// - Parameters:
    ///   - resolvesEscapes: whether to look below escapes of JSON too.
    /// - Returns: nil when nothing was found, or what was found stays as it is.
    func apply(to text: UnsafeBufferPointer<UInt8>, resolvesEscapes: Bool) -> [UInt8]? {
        var edits = edits(of: text)
        if resolvesEscapes {
            let count = edits.count
            guard addEdits(below: text, to: &edits) else { return Array("[REDACTED]".utf8) }
            if edits.count > count { edits = TextRedaction.merged(edits) }
        }
        if edits.isEmpty { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        for edit in edits {
            result += text[index..<edit.range.lowerBound]
            result += edit.bytes
            index = edit.range.upperBound
        }
        result += text[index...]
        return result.elementsEqual(text) ? nil : result
    }

    private func edits(of text: UnsafeBufferPointer<UInt8>) -> [Edit] {
        let matches: [Range<Int>]
        var grouping: Pattern?
        switch finder {
        case .everything: matches = [0..<text.count]
        case .pattern(let pattern):
            matches = pattern.allMatches(in: text)
            grouping = pattern
        case .detector(let matcher):
            matches = matcher.matches(in: text)
            grouping = matcher.pattern
        }
        if matches.isEmpty { return [] }
        if case .replace(let template) = treatment, template.needsGroups, let grouping {
            let usesMachine = grouping.needsMachine(for: text)
            return matches.map { match in
                let groups = grouping.groups(of: match, in: text, usesMachine: usesMachine)
                return Edit(range: match, bytes: template.filled(text: text, groups: groups))
            }
        }
        return matches.map { Edit(range: $0, bytes: treated($0, in: text)) }
    }

    /// Nobody puts JSON into JSON so often; each level takes memory of the size of the text.
    private static let deepestEscapes = 16

    /// Every level of escapes, until a text has none.
    ///
    /// - Returns: false when there are so many that they are not looked at: then nobody knows what the text holds.
    private func addEdits(below text: UnsafeBufferPointer<UInt8>, to edits: inout [Edit]) -> Bool {
        var levels: [UnescapedText] = []
        var view = UnescapedText(text)
        while let level = view {
            if levels.count == TextRedaction.deepestEscapes { return false }
            levels.append(level)
            level.bytes.withUnsafeBufferPointer { bytes in
                for edit in self.edits(of: bytes) {
                    let source = levels.reversed().reduce(edit.range) { $1.source(of: $0) }
                    edits.append(Edit(range: source, bytes: edit.bytes))
                }
                view = UnescapedText(bytes)
            }
        }
        return true
    }

    /// In ascending order. Of edits that overlap the longest says what takes the place of all of them.
    private static func merged(_ edits: [Edit]) -> [Edit] {
        var result: [Edit] = []
        for edit in edits.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            guard let last = result.last, edit.range.lowerBound < last.range.upperBound else {
                if let last = result.last, last.range == edit.range { continue }
                result.append(edit)
                continue
            }
            let union = last.range.lowerBound..<max(last.range.upperBound, edit.range.upperBound)
            let longest = edit.range.count > last.range.count ? edit.bytes : last.bytes
            result[result.count - 1] = Edit(range: union, bytes: longest)
        }
        return result
    }

    private func treated(_ match: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        switch treatment {
        case .replace(let template): return template.filled(text: text, groups: [match])
        case .hash: return TextRedaction.hexadecimal(SHA256.digest(Array(text[match])))
        case .mask(let mask, let keeping):
            let matched = String(decoding: text[match], as: UTF8.self)
            if let keeping {
                return Array(mask.keeping(matched.unicodeScalars, prefix: keeping.prefix, suffix: keeping.suffix).utf8)
            }
            guard case .detector(let matcher) = finder else {
                return Array(mask.keeping(matched.unicodeScalars, prefix: 0, suffix: 0).utf8)
            }
            return Array(mask.masked(matched, as: matcher.detector).utf8)
        }
    }

    private static func hexadecimal(_ digest: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
