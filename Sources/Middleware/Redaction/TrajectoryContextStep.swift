internal import ATOF
internal import LLMCodecs

/// A profile of `pii_redaction` with the preset `trajectory_context`.
struct TrajectoryContextStep: ChainStep {
    let name: String
    let priority: Int32
    private let context: TrajectoryContext
    private let surfaces: PIIRedaction.Surfaces
    private let compatibility: Compatibility

    /// - Throws: never, unless a detector's own expression is wrong.
    init(
        _ profile: PIIRedaction.Profile, of component: PIIRedaction, name: String, _ compatibility: Compatibility
    ) throws(RedactionError) {
        self.name = name
        priority = profile.priority
        context = try TrajectoryContext(profile.builtin, compatibility)
        surfaces = component.surfaces
        self.compatibility = compatibility
    }

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        let surface = EventSurface(draft.event)
        guard surfaces.cover(surface) else { return .pass }
        if let metadata = draft.metadata { draft.metadata = context.metadata(metadata, surface) }
        // Nobody knows what is in there.
        if compatibility == .skein {
            if draft.unknownFields != nil { draft.unknownFields = nil }
            if !draft.hasPlainVersion { draft.atofVersion = EventDraft.ownVersion }
        }
        switch surface {
        case .mark:
            if let data = draft.data { draft.data = context.markData(data, schema: draft.event.dataSchema) }
            projectProfile(&draft)
        case .scopeStart, .scopeEnd, .toolStart, .toolEnd:
            if draft.data != nil { draft.data = [:] }
            projectProfile(&draft)
        case .modelStart: projectCall(&draft, project: projectRequest)
        case .modelEnd: projectCall(&draft, project: projectResponse)
        }
        notes.changes[name, default: 0] += 1
        return .pass
    }

    private func projectProfile(_ draft: inout EventDraft) {
        guard let profile = draft.categoryProfile else { return }
        draft.categoryProfile = .object(context.profile(profile.objectValue ?? JSONObject()))
    }

    // MARK: Model calls

    /// - Parameter project: the payload and the annotation as they may stay; nil when nothing can be said of them.
    private func projectCall(
        _ draft: inout EventDraft,
        project: (JSONValue, Surface) throws -> (data: JSONValue, annotation: JSONObject)
    ) {
        let call = CallAnnotation(of: draft.event, compatibility)
        let annotation = call.current(in: draft)
        var profile = context.profile(draft.categoryProfile?.objectValue ?? JSONObject())
        let data = draft.data
        draft.data = [:]
        if let surface = call.surface, let annotation, let data, let projected = try? project(data, surface) {
            draft.data = projected.data
            var completed = CallAnnotation.completed(projected.annotation, from: annotation)
            completed["optimization_summary"] = nil
            completed["usage"] = completed["usage"].flatMap(context.usage)
            profile[call.key] = .object(completed)
        }
        let api = profile["annotated_request"]?["api_specific"]?["api"]?.stringValue
        let provider = GenAIProvider.ofName(LowercaseName(draft.event.name)) ?? GenAIProvider.ofAPI(api)
        profile["gen_ai.provider.name"] = provider.map { .string($0) }
        if !profile.isEmpty || draft.categoryProfile != nil { draft.categoryProfile = .object(profile) }
    }

    private func projectRequest(_ data: JSONValue, _ surface: Surface) throws -> (JSONValue, JSONObject) {
        let annotation = try surface.decodeRequest(data["content"] ?? .null, compatibility).annotation
        var kept = context.request(annotation, compatibility)
        // Onto an empty body, which then has nothing else.
        let empty = TrajectoryContextStep.emptyBody(of: annotation, on: surface)
        let baseline = try surface.decodeRequest(empty)
        if surface == .ociGenAI {
            if compatibility == .strict, annotation["model"] == nil {
                throw CodecError(.invalidArgument, "a request without a model is refused")
            }
            // The mode is where the model is.
            var specific = kept["api_specific"]?.objectValue ?? JSONObject()
            specific["serving_mode"] = baseline.annotation["api_specific"]?["serving_mode"]
            kept["api_specific"] = .object(specific)
        }
        let body = try surface.encode(try NormalizedRequest(annotation: kept), baseline: baseline, body: empty)
        let arrived = context.request(try surface.decodeRequest(body, compatibility).annotation, compatibility)
        return (["content": body, "headers": [:]], arrived)
    }

    private static func emptyBody(of annotation: JSONObject, on surface: Surface) -> JSONValue {
        switch surface {
        case .openAIChat, .anthropicMessages: return ["messages": []]
        case .openAIResponses: return ["input": []]
        case .gemini: return ["contents": []]
        case .ociGenAI:
            let specific = annotation["api_specific"]
            let format = specific?["api_format"] ?? "GENERIC"
            var body = JSONObject([("chatRequest", ["apiFormat": format])])
            if let model = annotation["model"] {
                body["servingMode"] = ["modelId": model, "servingType": "ON_DEMAND"]
            }
            return .object(body)
        }
    }

    private func projectResponse(_ data: JSONValue, _ surface: Surface) throws -> (JSONValue, JSONObject) {
        let response = try surface.decodeResponse(data, compatibility)
        let body = JSONValue.object(context.body(of: response, on: surface, compatibility))
        let decoded = try surface.decodeResponse(body, compatibility)
        let annotation = context.response(decoded.annotation)
        guard compatibility == .strict else { return (body, annotation) }
        // The reference does it twice: what the first time leaves half said is gone after the second.
        return (.object(context.body(of: decoded, on: surface, compatibility)), annotation)
    }
}

extension TrajectoryContextStep: RedactingStep {
    var redactsLate: Bool { compatibility == .skein }

    mutating func redact(_ draft: inout EventDraft) {
        var unsaid = ChainNotes()
        _ = apply(&draft, &unsaid)
    }

    /// Names stay.
    func redacted(name: String) -> String? { nil }
}
