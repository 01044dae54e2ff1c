package import ATOF

/// One built-in redaction, made ready: what it does to one JSON document or one text (`middleware-guardrails-pii.md` 8.2 and 8.3).
///
/// `strict` does exactly what the reference does. `skein` also looks into keys, into JSON that strings hold, and at numbers that are
/// numbers of payment cards; see `docs/components/detectors.md`.
package struct Redactor: Sendable {
    let compatibility: Compatibility
    let selection: PathSelection
    /// Nil: what is selected is removed.
    let redaction: TextRedaction?

    /// - Throws: the first setting that cannot be followed.
    package init(_ settings: BuiltinRedaction, compatibility: Compatibility) throws(RedactionError) {
        self.compatibility = compatibility
        selection = try PathSelection(paths: settings.targetPaths, globs: settings.targetPathGlobs)
        redaction = try Redactor.redaction(settings, compatibility)
        if settings.action == .remove, selection.isEmpty {
            throw RedactionError(
                field: "action", reason: "`remove` needs `target_paths` or `target_path_globs` that say what to remove")
        }
    }

    private static func redaction(
        _ settings: BuiltinRedaction, _ compatibility: Compatibility
    ) throws(RedactionError) -> TextRedaction? {
        let finder = try finder(settings.matcher, compatibility)
        switch settings.action {
        case .remove: return nil
        case .hash: return TextRedaction(finder: finder, treatment: .hash)
        case .redact, .regexReplace:
            let names: [String?]
            switch finder {
            case .everything:
                throw RedactionError(
                    field: "action", reason: "`\(settings.action.rawValue)` needs a `pattern` or a `detector`")
            case .pattern(let pattern): names = pattern.groupNames
            case .detector(let matcher): names = matcher.pattern.groupNames
            }
            let text = settings.replacement ?? "[REDACTED]"
            // A plain replacement has no references.
            let template =
                settings.action == .redact
                ? ReplacementTemplate(literal: text) : ReplacementTemplate(text, groupNames: names)
            return TextRedaction(finder: finder, treatment: .replace(template))
        case .mask:
            let character = settings.maskCharacter ?? "*"
            if character.isEmpty { throw RedactionError(field: "mask_char", reason: "must not be empty") }
            let (prefix, suffix) = (settings.unmaskedPrefix, settings.unmaskedSuffix)
            for (field, count) in [("unmasked_prefix", prefix), ("unmasked_suffix", suffix)] {
                if let count, count < 0 { throw RedactionError(field: field, reason: "must not be negative") }
            }
            let keeping = prefix == nil && suffix == nil ? nil : (prefix ?? 0, suffix ?? 0)
            let mask = Mask(character: character, compatibility: compatibility)
            return TextRedaction(finder: finder, treatment: .mask(mask, keeping: keeping))
        }
    }

    private static func finder(
        _ matcher: BuiltinRedaction.Matcher, _ compatibility: Compatibility
    ) throws(RedactionError) -> TextRedaction.Finder {
        do {
            switch matcher {
            case .everything: return .everything
            case .pattern(let text): return .pattern(try Pattern(text))
            case .detector(let detector): return .detector(try DetectorMatcher(detector, compatibility))
            }
        } catch {
            throw RedactionError(field: "pattern", reason: "no pattern that can be used: \(error)")
        }
    }

    /// Whether only some places of a document are looked at.
    package var hasSelection: Bool { !selection.isEmpty }

    /// A text that belongs to no document, as the name of an event. What `target_paths` say is not asked.
    ///
    /// - Returns: nil when nothing has changed.
    package func redact(text: String) -> String? {
        guard let redaction else { return nil }
        return DocumentRedaction(redaction: redaction, selection: selection, compatibility: compatibility)
            .redacted(text, depth: 0)
    }

    /// A whole document; what is removed at its root leaves null.
    ///
    /// - Returns: nil when nothing has changed.
    package func redact(document: JSONValue) -> JSONValue? {
        guard let redaction else { return Removal(selection: selection).removed(document) }
        let walk = DocumentRedaction(redaction: redaction, selection: selection, compatibility: compatibility)
        return walk.redacted(document, hasSelection ? selection.root : nil, depth: 0)
    }

    /// Whether `redact(document:)` may change a payload: cheap, and never wrong when it says no.
    package func mayMatch(_ json: RawJSON) -> Bool { mayMatch(ScannedPayload(.original(json))) }

    /// The same with what a scan of this payload found, which serves all redactors.
    func mayMatch(_ payload: ScannedPayload) -> Bool {
        switch redaction?.finder {
        case nil, .everything: true
        case .detector(let matcher): !payload.candidates.isDisjoint(with: matcher.wanted)
        // Escapes hide what they stand for.
        case .pattern(let pattern): payload.hasEscapes || payload.text.withBytes(pattern.mayMatch)
        }
    }
}

/// A payload as JSON text, and what one pass over it tells all redactors.
struct ScannedPayload: Sendable {
    enum Text: Sendable {
        /// As it came: nobody has changed it.
        case original(RawJSON)
        /// Written from a value.
        case written([UInt8])

        func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
            switch self {
            case .original(let json): json.withBytes(body)
            case .written(let text): text.withUnsafeBufferPointer(body)
            }
        }
    }

    let text: Text
    let candidates: DetectorScan.Candidates
    let hasEscapes: Bool

    init(_ text: Text) {
        self.text = text
        (candidates, hasEscapes) = text.withBytes { bytes in
            (DetectorScan.candidates(in: bytes, .document), TextBytes.contains(bytes, UInt8(ascii: "\\")))
        }
    }
}

extension Redactor {
    /// Whether `redact(text:)` may change texts of which a scan has found that.
    func mayMatch(_ candidates: DetectorScan.Candidates) -> Bool {
        switch redaction?.finder {
        case nil, .everything, .pattern: true
        case .detector(let matcher): !candidates.isDisjoint(with: matcher.wanted)
        }
    }

    /// What a scan says of everything in which something may be found; nil when no scan can tell.
    var wanted: DetectorScan.Candidates? {
        if case .detector(let matcher)? = redaction?.finder { matcher.wanted } else { nil }
    }
}
