internal import ATOF
internal import LLMCodecs

/// A profile of `pii_redaction` with actions of its own (`middleware-guardrails-pii.md` 8.4).
struct PIIRedactionStep: ChainStep {
    let name: String
    let priority: Int32
    private let profile: RedactionProfile
    private let surfaces: PIIRedaction.Surfaces
    private let calls: ModelCallRedaction
    /// What a scan must say for there to be anything to do; nil when it may have to do something whatever the scan says.
    private let wanted: DetectorScan.Candidates?

    /// - Throws: the first setting that cannot be followed.
    init(
        _ profile: PIIRedaction.Profile, of component: PIIRedaction, name: String, _ compatibility: Compatibility
    ) throws(RedactionError) {
        self.name = name
        priority = profile.priority
        surfaces = component.surfaces
        self.profile = try RedactionProfile(profile.builtin, compatibility)
        calls = ModelCallRedaction(profile: self.profile, configured: component.codec)
        wanted = self.profile.hasSelection ? nil : self.profile.redactor.wanted
    }

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        // Most events have nothing for most detectors. With paths also an event goes through a codec in which nothing is found.
        if let wanted, draft.scannedEvent().isDisjoint(with: wanted) { return .pass }
        let surface = EventSurface(draft.event)
        guard surfaces.cover(surface) else { return .pass }
        var isChanged = redactMetadata(&draft)
        switch surface {
        case .mark, .scopeStart, .scopeEnd:
            if redactData(&draft) { isChanged = true }
            if redactProfile(&draft) { isChanged = true }
        case .toolStart, .toolEnd:
            if redactData(&draft) { isChanged = true }
            if redactResultAnnotation(&draft) { isChanged = true }
        case .modelStart:
            if calls.redactRequest(&draft) { isChanged = true }
        case .modelEnd:
            if calls.redactResponse(&draft) { isChanged = true }
        }
        if profile.coversNames {
            if redactNames(&draft, surface) { isChanged = true }
        } else if let words = profile.words, !profile.hasSelection, treatOthers(&draft, surface, words) {
            isChanged = true
        }
        if isChanged { notes.changes[name, default: 0] += 1 }
        return .pass
    }

    // MARK: Documents

    private func redactData(_ draft: inout EventDraft) -> Bool {
        if draft.event.isMark, draft.event.dataSchema == .measurements {
            if let scanned = draft.scannedData(), !profile.redactor.mayMatch(scanned) { return false }
            guard let data = draft.data.flatMap(profile.redact(measurements:)) else { return false }
            draft.data = data
            return true
        }
        let scanned = draft.scannedData()
        guard let data = profile.redact(draft.data, scanned: scanned) else { return false }
        draft.data = data
        return true
    }

    private func redactMetadata(_ draft: inout EventDraft) -> Bool {
        let scanned = draft.scannedMetadata()
        guard let metadata = profile.redact(draft.metadata, scanned: scanned) else { return false }
        draft.metadata = metadata
        return true
    }

    /// A profile that has lost its shape is dropped.
    private func redactProfile(_ draft: inout EventDraft) -> Bool {
        let scanned = draft.scannedCategoryProfile()
        guard let changed = profile.redact(draft.categoryProfile, scanned: scanned) else {
            return false
        }
        draft.categoryProfile = CategoryProfile.isValid(changed) ? changed : nil
        return true
    }

    private func redactResultAnnotation(_ draft: inout EventDraft) -> Bool {
        if let scanned = draft.scannedCategoryProfile(), !profile.redactor.mayMatch(scanned) { return false }
        guard var members = draft.categoryProfile?.objectValue,
            let annotation = members["tool_result_annotation"]?.nonNull, let changed = profile.redact(annotation)
        else { return false }
        members["tool_result_annotation"] = changed.nonNull
        draft.categoryProfile = .object(members)
        return true
    }

    // MARK: What the reference does not look at

    private func redactNames(_ draft: inout EventDraft, _ surface: EventSurface) -> Bool {
        var isChanged = redactTexts(&draft)
        let scanned = draft.scannedUnknownFields()
        if let fields = profile.redact(draft.unknownFields, scanned: scanned) {
            // Members at the top of an event: a value has no place there.
            draft.unknownFields = fields.objectValue.map { .object($0) }
            isChanged = true
        }
        return redactCallProfile(&draft, surface) || isChanged
    }

    private func redactTexts(_ draft: inout EventDraft) -> Bool {
        if !profile.redactor.mayMatch(draft.scannedNames()) { return false }
        var isChanged = false
        if let name = profile.redactor.redact(text: draft.name) {
            draft.name = name.isEmpty ? "redacted" : name
            isChanged = true
        }
        let attributes = draft.attributes.map { profile.redactor.redact(text: $0) }
        if attributes.contains(where: { $0 != nil }) {
            draft.attributes = zip(draft.attributes, attributes).map { $1 ?? $0 }
            isChanged = true
        }
        if let category = draft.foreignCategory, let text = profile.redactor.redact(text: category) {
            draft.replaceForeignCategory(by: text)
            isChanged = true
        }
        if !draft.hasPlainVersion, let text = profile.redactor.redact(text: draft.atofVersion) {
            draft.atofVersion = text
            isChanged = true
        }
        if let schema = draft.dataSchema {
            let name = profile.redactor.redact(text: schema.name)
            let version = profile.redactor.redact(text: schema.version)
            if name != nil || version != nil {
                draft.dataSchema = .init(name: name ?? schema.name, version: version ?? schema.version)
                isChanged = true
            }
        }
        return isChanged
    }

    /// The member of a call's profile that belongs to the event and has been looked at; on an event to which it does not belong nobody else
    /// does. Nil for events whose whole profile has been.
    private static func ownMember(_ surface: EventSurface) -> String? {
        switch surface {
        case .modelStart: "annotated_request"
        case .modelEnd: "annotated_response"
        case .toolStart, .toolEnd: "tool_result_annotation"
        case .mark, .scopeStart, .scopeEnd: nil
        }
    }

    /// The members of a call's profile that are no payload: its id, its model, and what nobody knows.
    private func redactCallProfile(_ draft: inout EventDraft, _ surface: EventSurface) -> Bool {
        guard let own = PIIRedactionStep.ownMember(surface) else { return false }
        if let scanned = draft.scannedCategoryProfile(), !profile.redactor.mayMatch(scanned) { return false }
        guard let members = draft.categoryProfile?.objectValue else { return false }
        var others = members
        others[own] = nil
        guard var changed = profile.redact(.object(others))?.objectValue else { return false }
        changed[own] = members[own]
        draft.categoryProfile = CategoryProfile.isValid(.object(changed)) ? .object(changed) : nil
        return true
    }

    // MARK: What a treatment of every text leaves

    /// What stands beside the payloads, for a profile that hashes or masks all texts: everything but the event's name, words, and ids of
    /// calls, by which readers know what belongs together.
    private func treatOthers(_ draft: inout EventDraft, _ surface: EventSurface, _ words: StructuralWords) -> Bool {
        var isChanged = false
        let scanned = draft.scannedUnknownFields()
        if let fields = profile.redact(draft.unknownFields, scanned: scanned) {
            draft.unknownFields = fields.objectValue.map { .object($0) }
            isChanged = true
        }
        func treated(_ text: String) -> String? { words.isWord(text) ? nil : profile.redactor.redact(text: text) }
        if draft.attributes.contains(where: { treated($0) != nil }) {
            draft.attributes = draft.attributes.map { treated($0) ?? $0 }
            isChanged = true
        }
        if let category = draft.foreignCategory, let text = treated(category) {
            draft.replaceForeignCategory(by: text)
            isChanged = true
        }
        if !draft.hasPlainVersion, let text = profile.redactor.redact(text: draft.atofVersion) {
            draft.atofVersion = text
            isChanged = true
        }
        if let schema = draft.dataSchema, schema != .measurements {
            let name = treated(schema.name)
            // A version is no word, but a number or several.
            let isVersion = schema.version.utf8.count <= 16 && words.isWord("v\(schema.version)")
            let version = isVersion ? nil : profile.redactor.redact(text: schema.version)
            if name != nil || version != nil {
                draft.dataSchema = .init(name: name ?? schema.name, version: version ?? schema.version)
                isChanged = true
            }
        }
        return treatCallProfile(&draft, surface, words) || isChanged
    }

    private func treatCallProfile(
        _ draft: inout EventDraft, _ surface: EventSurface, _ words: StructuralWords
    ) -> Bool {
        guard let own = PIIRedactionStep.ownMember(surface), let members = draft.categoryProfile?.objectValue,
            members.contains(where: { $0.key != own })
        else { return false }
        var others = members
        others[own] = nil
        // An id is a word too, with more digits.
        if let id = others["tool_call_id"]?.stringValue, words.isModel(id) { others["tool_call_id"] = nil }
        guard var changed = profile.redact(.object(others))?.objectValue else { return false }
        for key in [own, "tool_call_id"] where others[key] == nil { changed[key] = members[key] }
        draft.categoryProfile = CategoryProfile.isValid(.object(changed)) ? .object(changed) : nil
        return true
    }
}

extension PIIRedactionStep: RedactingStep {
    var redactsLate: Bool { profile.compatibility == .skein }

    mutating func redact(_ draft: inout EventDraft) {
        var unsaid = ChainNotes()
        _ = apply(&draft, &unsaid)
    }

    func redacted(name: String) -> String? { profile.coversNames ? profile.redactor.redact(text: name) : nil }
}
