internal import ATOF
internal import LLMCodecs

/// A profile of `pii_redaction` with actions of its own (`middleware-guardrails-pii.md` 8.4).
struct PIIRedactionStep: ChainStep {
    let name: String
    let priority: Int32
    private let profile: RedactionProfile
    private let surfaces: PIIRedaction.Surfaces
    private let calls: ModelCallRedaction

    /// - Throws: the first setting that cannot be followed.
    init(
        _ profile: PIIRedaction.Profile, of component: PIIRedaction, name: String, _ compatibility: Compatibility
    ) throws(RedactionError) {
        self.name = name
        priority = profile.priority
        surfaces = component.surfaces
        self.profile = try RedactionProfile(profile.builtin, compatibility)
        calls = ModelCallRedaction(profile: self.profile, configured: component.codec)
    }

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
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
        if profile.coversNames, redactNames(&draft, surface) { isChanged = true }
        if isChanged { notes.changes[name, default: 0] += 1 }
        return .pass
    }

    // MARK: Documents

    private func redactData(_ draft: inout EventDraft) -> Bool {
        if draft.event.isMark, draft.event.dataSchema == .measurements {
            if let original = draft.scannedData(), !profile.redactor.mayMatch(original) { return false }
            guard let data = draft.data.flatMap(profile.redact(measurements:)) else { return false }
            draft.data = data
            return true
        }
        let original = draft.scannedData()
        guard let data = profile.redact(draft.data, original: original) else { return false }
        draft.data = data
        return true
    }

    private func redactMetadata(_ draft: inout EventDraft) -> Bool {
        let original = draft.scannedMetadata()
        guard let metadata = profile.redact(draft.metadata, original: original) else { return false }
        draft.metadata = metadata
        return true
    }

    /// A profile that has lost its shape is dropped.
    private func redactProfile(_ draft: inout EventDraft) -> Bool {
        let original = draft.scannedCategoryProfile()
        guard let changed = profile.redact(draft.categoryProfile, original: original) else {
            return false
        }
        draft.categoryProfile = CategoryProfile.isValid(changed) ? changed : nil
        return true
    }

    private func redactResultAnnotation(_ draft: inout EventDraft) -> Bool {
        if let original = draft.scannedCategoryProfile(), !profile.redactor.mayMatch(original) { return false }
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
        let unknown = draft.scannedUnknownFields()
        if let fields = profile.redact(draft.unknownFields, original: unknown) {
            // Members at the top of an event: a value has no place there.
            draft.unknownFields = fields.objectValue.map { .object($0) }
            isChanged = true
        }
        return redactCallProfile(&draft, surface) || isChanged
    }

    private func redactTexts(_ draft: inout EventDraft) -> Bool {
        if let candidates = draft.scannedNames(), !profile.redactor.mayMatch(candidates) { return false }
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

    /// The members of a call's profile that are no payload: its id, its model, and what nobody knows.
    private func redactCallProfile(_ draft: inout EventDraft, _ surface: EventSurface) -> Bool {
        switch surface {
        case .mark, .scopeStart, .scopeEnd: return false
        case .toolStart, .toolEnd, .modelStart, .modelEnd: break
        }
        if let original = draft.scannedCategoryProfile(), !profile.redactor.mayMatch(original) { return false }
        guard let members = draft.categoryProfile?.objectValue else { return false }
        // The one that belongs to the event has been looked at; on an event to which it does not belong nobody else does.
        let own =
            switch surface {
            case .modelStart: "annotated_request"
            case .modelEnd: "annotated_response"
            case .toolStart, .toolEnd, .mark, .scopeStart, .scopeEnd: "tool_result_annotation"
            }
        var others = members
        others[own] = nil
        guard var changed = profile.redact(.object(others))?.objectValue else { return false }
        changed[own] = members[own]
        draft.categoryProfile = CategoryProfile.isValid(.object(changed)) ? .object(changed) : nil
        return true
    }
}
