internal import ATOF

/// The walk of a redaction over one document, parents before children.
struct DocumentRedaction {
    let redaction: TextRedaction
    let selection: PathSelection
    let compatibility: Compatibility

    /// JSON within JSON is parsed so many times; below that, escapes are resolved without it.
    private static let deepestText = 8

    /// - Parameters:
    ///   - cursor: the way to the selected places; nil when every place is meant.
    ///   - depth: how many strings of JSON are around this value.
    /// - Returns: nil when nothing has changed.
    func redacted(_ value: JSONValue, _ cursor: PathSelection.Cursor?, depth: Int) -> JSONValue? {
        switch value {
        case .string(let text):
            if let cursor, !cursor.isSelected { return nil }
            return redacted(text, depth: depth).map { .string($0) }
        case .array(let elements):
            var result: [JSONValue]?
            for (index, element) in elements.enumerated() {
                let next = cursor?.element(index)
                if let next, next.isLost { continue }
                if let changed = redacted(element, next, depth: depth) {
                    if result == nil { result = elements }
                    result![index] = changed
                }
            }
            return result.map { .array($0) }
        case .object(let object): return redacted(object, cursor, depth: depth).map { .object($0) }
        case .int(let number):
            if let cursor, !cursor.isSelected { return nil }
            return redacted(number.magnitude)
        case .unsigned(let number):
            if let cursor, !cursor.isSelected { return nil }
            return redacted(number)
        case .double(let number):
            if let cursor, !cursor.isSelected { return nil }
            // Tables that hold a number as a float write `4111111111111111.0`.
            return redacted(
                UInt64(exactly: number.magnitude).flatMap { DocumentRedaction.hasManyDigits($0) ? $0 : nil })
        case .null, .bool: return nil
        }
    }

    private func redacted(_ object: JSONObject, _ cursor: PathSelection.Cursor?, depth: Int) -> JSONObject? {
        var result: JSONObject?
        var renaming = KeyRenaming()
        for (place, member) in object.members.enumerated() {
            let next = cursor?.member(member.key)
            if let next, next.isLost { continue }
            if let changed = redacted(member.value, next, depth: depth) {
                if result == nil { result = object }
                result![member.key] = changed
            }
            if coversKeys, let key = redacted(member.key, depth: depth) { renaming.add(place, to: key) }
        }
        return renaming.isEmpty ? result : renaming.renamed(result ?? object)
    }

    /// Selected places are values; without a selection a match is looked for wherever a text is.
    private var coversKeys: Bool {
        guard compatibility == .skein, selection.isEmpty else { return false }
        if case .everything = redaction.finder { return false }
        return true
    }

    private static func hasManyDigits(_ number: UInt64) -> Bool {
        number != 0 && String(String(number).reversed().drop { $0 == "0" }).count >= 13
    }

    /// Of numbers only those of payment cards are looked at, as their check digit tells them from counts and times.
    private func redacted(_ number: UInt64?) -> JSONValue? {
        guard compatibility == .skein, let number, case .detector(let matcher) = redaction.finder,
            matcher.detector == .creditCard, CardRules.isNumber(number)
        else { return nil }
        return redacted(String(number), depth: 0).map { .string($0) }
    }

    /// - Returns: nil when nothing has changed.
    func redacted(_ text: String, depth: Int) -> String? {
        if case .everything = redaction.finder { return applied(to: text, resolvesEscapes: false) }
        guard mayMatch(text) else { return nil }
        if compatibility == .strict { return applied(to: text, resolvesEscapes: false) }
        if depth < DocumentRedaction.deepestText, let inner = redactedJSON(text, depth: depth) {
            // A detector matches within one string or number; a pattern may reach over several.
            guard case .pattern = redaction.finder else { return inner }
            return applied(to: inner, resolvesEscapes: true) ?? inner
        }
        return applied(to: text, resolvesEscapes: true)
    }

    /// Whether a text may hold what a detector looks for: most hold nothing of the kind.
    private func mayMatch(_ text: String) -> Bool {
        guard case .detector(let matcher) = redaction.finder else { return true }
        if text.utf8.count < matcher.detector.shortestMatch { return false }
        return TextBytes.withBytes(of: text) { bytes in
            let hasEscapes = compatibility == .skein && TextBytes.contains(bytes, UInt8(ascii: "\\"))
            if let byte = matcher.detector.requiredByte, !hasEscapes { return TextBytes.contains(bytes, byte) }
            if !DetectorScan.candidates(in: bytes, .text).isDisjoint(with: matcher.wanted) { return true }
            // And in what its escapes stand for.
            return hasEscapes && !DetectorScan.candidates(in: bytes, .escaped).isDisjoint(with: matcher.wanted)
        }
    }

    private func applied(to text: String, resolvesEscapes: Bool) -> String? {
        TextBytes.withBytes(of: text) { redaction.apply(to: $0, resolvesEscapes: resolvesEscapes) }
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// A text that is JSON is redacted as the document that it holds, so that it stays one.
    private func redactedJSON(_ text: String, depth: Int) -> String? {
        guard let first = text.utf8.first(where: { $0 > 0x20 }),
            first == UInt8(ascii: "{") || first == UInt8(ascii: "["),
            let document = try? JSONParser.parse(text)
        else { return nil }
        let all = DocumentRedaction(
            redaction: redaction, selection: DocumentRedaction.everywhere, compatibility: compatibility)
        return all.redacted(document, nil, depth: depth + 1)?.compactText
    }

    private static let everywhere = PathSelection()
}
