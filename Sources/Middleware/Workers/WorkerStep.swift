package import ATOF

/// One surface of a worker as a step of the chain: leaves a question, or applies the answer.
package struct WorkerStep: ChainStep {
    package let settings: WorkerSettings
    package let surface: WorkerSurface

    /// The steps of the surfaces that a stream has: the others are asked before the act, by the guard service.
    package static func steps(of settings: WorkerSettings) -> [WorkerStep] {
        settings.surfaces.filter { !$0.isBeforeAct }.map { WorkerStep(settings: settings, surface: $0) }
    }

    package var name: String { "workers/\(settings.name)/\(surface.rawValue)" }
    package var priority: Int32 { settings.priority }
    package var bringsContent: Bool { true }

    package mutating func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) throws -> ChainDecision {
        guard settings.serves(tenant: draft.tenant), covers(draft) else { return .pass }
        let place = WorkerExchange.Place(
            worker: settings.name, surface: surface, event: draft.event.uuid, kind: draft.event.kind)
        guard let answer = notes.workers.answer(at: place) else {
            if notes.workers.isPlanning {
                notes.workers.ask(place, tenant: draft.tenant, item(of: draft))
                throw WorkerPending()
            }
            // A chain that runs where no worker can be asked, such as offline.
            fail(.gone, &draft, &notes)
            return .pass
        }
        switch answer {
        case .success(let result):
            if apply(result, to: &draft, &notes) { notes.changes[name, default: 0] += 1 }
        case .failure(let failure): fail(failure, &draft, &notes)
        }
        return .pass
    }

    private func covers(_ draft: EventDraft) -> Bool {
        let event = draft.event
        return switch surface {
        case .metadataInjector: true
        case .mark: event.kind == .mark
        case .scopeStart: event.kind == .scopeStart
        case .scopeEnd: event.kind == .scopeEnd
        case .toolRequest: event.kind == .scopeStart && event.category?.known == .tool && hasContent(draft)
        case .toolResponse: event.kind == .scopeEnd && event.category?.known == .tool && hasContent(draft)
        case .llmRequest: event.kind == .scopeStart && event.category?.known == .llm && hasContent(draft)
        case .llmResponse: event.kind == .scopeEnd && event.category?.known == .llm && hasContent(draft)
        case .toolConditional, .llmConditional, .toolIntercept, .llmIntercept: false
        }
    }

    private func hasContent(_ draft: EventDraft) -> Bool { draft.data != nil || annotation(of: draft) != nil }

    private func item(of draft: EventDraft) -> WorkerCall.Item {
        switch surface.kind {
        case .payload, .conditional, .intercept: .value(draft.data ?? annotation(of: draft) ?? .null, name: draft.name)
        case .event, .injector: .event(draft.packed() ?? draft.event.packed.array)
        }
    }

    /// - Returns: whether it changed anything.
    private func apply(
        _ result: WorkerResult, to draft: inout EventDraft, _ notes: inout ChainNotes
    ) -> Bool {
        switch result {
        case .unchanged: return false
        case .replacement(let data, let profile, let metadata):
            draft.data = data
            draft.categoryProfile = profile.map { .object($0) }
            draft.metadata = metadata
            return true
        case .value(let value):
            guard value != draft.data ?? annotation(of: draft) else { return false }
            // What it was shown was the annotation.
            if draft.data == nil {
                replaceAnnotation(of: &draft, by: value)
                return true
            }
            draft.data = value
            replaceAnnotation(of: &draft, by: nil)
            return true
        case .omitted:
            omitPayload(of: &draft)
            return true
        case .metadata(let additions):
            guard InjectedMetadata.isValid(additions) else {
                fail(.wrongReply, &draft, &notes)
                return false
            }
            return InjectedMetadata.insert(additions, into: &draft)
        // The exchange lets neither through.
        case .verdict, .failed:
            fail(.wrongReply, &draft, &notes)
            return false
        }
    }

    /// The steps behind go on, with what is left: a name or an unknown field may still have to be redacted.
    private func fail(_ failure: WorkerFailure, _ draft: inout EventDraft, _ notes: inout ChainNotes) {
        notes.failures.append(.init(step: name, reason: failure.rawValue))
        guard settings.policy(of: surface) == .closed else { return }
        switch surface.kind {
        case .event: draft.clearPayloads()
        case .payload: omitPayload(of: &draft)
        case .injector: draft.metadata = nil
        case .conditional, .intercept: break
        }
    }

    /// Where the profile has what was made of the payload.
    private var annotationKey: String? {
        switch surface {
        case .llmRequest: "annotated_request"
        case .llmResponse: "annotated_response"
        case .toolResponse: "tool_result_annotation"
        case .metadataInjector, .toolRequest, .toolConditional, .llmConditional, .toolIntercept, .llmIntercept, .mark,
            .scopeStart, .scopeEnd:
            nil
        }
    }

    private func annotation(of draft: EventDraft) -> JSONValue? {
        annotationKey.flatMap { draft.categoryProfile?[$0]?.nonNull }
    }

    /// An annotation says the same as its payload, so it goes when that is changed (`middleware-guardrails-pii.md` 5.2).
    private func replaceAnnotation(of draft: inout EventDraft, by value: JSONValue?) {
        guard let key = annotationKey, var profile = draft.categoryProfile?.objectValue, profile[key] != nil else {
            return
        }
        profile[key] = value?.nonNull
        draft.categoryProfile = .object(profile)
    }

    private func omitPayload(of draft: inout EventDraft) {
        draft.data = nil
        replaceAnnotation(of: &draft, by: nil)
    }
}

/// Ends the way of an event through a chain that is planning: a worker has to be asked first.
struct WorkerPending: Error, CustomStringConvertible {
    var description: String { "a worker has to be asked" }
}
