internal import ATOF

/// How a profile treats one document.
struct RedactionProfile: Sendable {
    let redactor: Redactor
    let settings: BuiltinRedaction
    let compatibility: Compatibility
    /// What a profile for every text puts back; nil for others, and in strict.
    let words: StructuralWords?

    /// - Throws: the first setting that cannot be followed.
    init(_ settings: BuiltinRedaction, _ compatibility: Compatibility) throws(RedactionError) {
        redactor = try Redactor(settings, compatibility: compatibility)
        self.settings = settings
        self.compatibility = compatibility
        if case .everything = settings.matcher, compatibility == .skein {
            words = try StructuralWords()
        } else {
            words = nil
        }
    }

    /// Whether only some places of a document are looked at.
    var hasSelection: Bool { redactor.hasSelection }

    /// Whether it looks for something in texts, wherever they are; then also in those that no document holds.
    var coversNames: Bool {
        if hasSelection || compatibility == .strict { return false }
        if case .everything = settings.matcher { return false }
        return true
    }

    /// - Returns: nil when nothing has changed.
    func redact(_ document: JSONValue) -> JSONValue? {
        guard let redacted = redactor.redact(document: document) else { return nil }
        guard !hasSelection, let words else { return redacted }
        let restored = words.restored(in: redacted, from: document)
        return restored == document ? nil : restored
    }

    /// Redacts a payload that need not be parsed when nothing of it can match.
    ///
    /// - Parameter scanned: its text and scan.
    /// - Returns: nil when nothing has changed.
    func redact(_ payload: @autoclosure () -> JSONValue?, scanned: ScannedPayload?) -> JSONValue? {
        if let scanned, !redactor.mayMatch(scanned) { return nil }
        guard let value = payload() else { return nil }
        return redact(value)
    }

    /// Whether the paths are those of headers alone, so that bodies are none of the policy's business.
    var selectsHeadersAlone: Bool {
        let paths = settings.targetPaths + settings.targetPathGlobs
        return !paths.isEmpty && paths.allSatisfy { $0 == "/headers" || $0.hasPrefix("/headers/") }
    }
}
