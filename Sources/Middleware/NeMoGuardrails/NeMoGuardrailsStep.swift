internal import ATOF

/// Checks of what is recorded as a step of the chain: of models' responses and tools' results.
///
/// The server is asked in the same way as workers are (`WorkerExchange`).
package struct NeMoGuardrailsStep: ChainStep {
    package enum Surface: String, Sendable, Hashable {
        case output
        case toolOutput = "tool_output"
    }

    private let settings: NeMoGuardrails
    private let surface: Surface

    package static func steps(of settings: NeMoGuardrails) -> [NeMoGuardrailsStep] {
        var steps: [NeMoGuardrailsStep] = []
        if settings.checksOutput { steps.append(NeMoGuardrailsStep(settings: settings, surface: .output)) }
        if settings.checksToolOutput { steps.append(NeMoGuardrailsStep(settings: settings, surface: .toolOutput)) }
        return steps
    }

    package var name: String { "\(NeMoGuardrails.name)/\(surface.rawValue)" }
    package var priority: Int32 { settings.priority }
    package var bringsContent: Bool { true }

    package mutating func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) throws -> ChainDecision {
        guard draft.event.kind == .scopeEnd else { return .pass }
        let (data, annotation) = (draft.data, draft.categoryProfile?[annotationKey]?.nonNull)
        guard data != nil || annotation != nil else { return .pass }
        let check: NeMoGuardrailsCheck
        switch surface {
        case .output:
            guard draft.event.category?.known == .llm else { return .pass }
            do throws(NeMoGuardrailsFailure) {
                guard let found = try NeMoGuardrailsCheck(response: data, annotation: annotation) else { return .pass }
                check = found
            } catch {
                fail(error, &draft, &notes)
                return .pass
            }
        case .toolOutput:
            guard draft.event.category?.known == .tool else { return .pass }
            // The arguments were in the event of the start.
            check = .toolOutput(name: draft.name, arguments: [:], result: data ?? annotation ?? .null)
        }
        let place = WorkerExchange.Place(
            worker: NeMoGuardrails.name, surface: surface == .output ? .llmResponse : .toolResponse,
            event: draft.event.uuid, kind: draft.event.kind)
        guard let outcome = notes.workers.outcome(at: place) else {
            if notes.workers.isPlanning {
                notes.workers.ask(place, check)
                throw WorkerPending()
            }
            // A chain that runs where nobody can be asked, such as offline.
            fail(NeMoGuardrailsFailure(.unasked, "nobody can be asked here"), &draft, &notes)
            return .pass
        }
        notes.injected += NeMoGuardrailsMarks(settings).packed(
            about: draft.event.uuid, parent: draft.event.parentUUID, moment: draft.event.timestamp,
            tool: surface == .toolOutput ? draft.name : nil, outcome)
        switch outcome {
        case .success(let answer): apply(answer.verdict, to: check, &draft, &notes)
        case .failure(let failure): fail(failure, &draft, &notes)
        }
        return .pass
    }

    private func apply(
        _ verdict: NeMoGuardrailsVerdict, to check: NeMoGuardrailsCheck, _ draft: inout EventDraft,
        _ notes: inout ChainNotes
    ) {
        let data = draft.data
        switch verdict {
        case .passed: return
        case .modified(let value):
            omit(&draft)
            switch check {
            case .output(_, let text):
                draft.data = NeMoGuardrailsCheck.rewritten(response: data, text, text: value)
            case .toolOutput: if data != nil { draft.data = value }
            case .input: break
            }
        case .blocked: omit(&draft)
        }
        notes.changes[name, default: 0] += 1
    }

    private func fail(_ failure: NeMoGuardrailsFailure, _ draft: inout EventDraft, _ notes: inout ChainNotes) {
        notes.failures.append(.init(step: name, reason: failure.kind.rawValue))
        if settings.onFailure == .closed { omit(&draft) }
    }

    /// Of what was made of the payload.
    private var annotationKey: String { surface == .output ? "annotated_response" : "tool_result_annotation" }

    /// The payload, and the annotation that says the same.
    private func omit(_ draft: inout EventDraft) {
        draft.data = nil
        guard var profile = draft.categoryProfile?.objectValue, profile[annotationKey] != nil else { return }
        profile[annotationKey] = nil
        draft.categoryProfile = .object(profile)
    }
}
