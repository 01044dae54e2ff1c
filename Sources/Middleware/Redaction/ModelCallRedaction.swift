internal import ATOF
internal import LLMCodecs

/// Redacts the payloads of model calls (`middleware-guardrails-pii.md` 8.4, LLM request and response).
///
/// Without target paths the payload is walked as it is and the annotation decoded from it again. With them the paths mean the normalised
/// form: the payload is decoded, redacted and written back, and where that is not possible it is omitted with its annotation.
struct ModelCallRedaction: Sendable {
    let profile: RedactionProfile
    /// The component's codec, for calls that had none.
    let configured: Surface?

    private var compatibility: Compatibility { profile.compatibility }
    private var isStrict: Bool { compatibility == .strict }

    // MARK: Requests

    /// - Returns: whether the draft has changed.
    func redactRequest(_ draft: inout EventDraft) -> Bool {
        guard profile.hasSelection else { return walk(&draft) }
        guard let data = draft.data else {
            return walkAnnotation(CallAnnotation(of: draft.event, compatibility), &draft)
        }
        let call = CallAnnotation(of: draft.event, compatibility)
        guard var envelope = data.objectValue, let body = envelope["content"] else { return omit(call, &draft) }
        // Headers, and whatever else lies beside the body, have their names as paths.
        envelope["content"] = nil
        var isChanged = false
        if let redacted = profile.redact(.object(envelope)) {
            guard var object = redacted.objectValue else { return omit(call, &draft) }
            if object["headers"] == nil, envelope["headers"] != nil { object["headers"] = [:] }
            envelope = object
            isChanged = true
        }
        switch redact(request: body, call, name: draft.event.name) {
        case .unchanged: envelope["content"] = body
        case .changed(let redacted):
            envelope["content"] = redacted
            isChanged = true
        case .impossible: return omit(call, &draft)
        }
        // An annotation may say what the body does not.
        guard isChanged else { return !isStrict && walkAnnotation(call, &draft) }
        draft.data = .object(envelope)
        redecode(call, &draft)
        return true
    }

    private func requestSurface(of body: JSONValue, _ call: CallAnnotation, name: String) -> Surface? {
        switch call.codec {
        case .surface(let surface): return surface
        case .unknown: return nil
        case .none:
            guard let configured else { return nil }
            // A body of another surface may decode all the same, but not all of it is seen then.
            if !isStrict, body.objectValue.flatMap({ Surface.ofRequest($0, hint: name) }) != configured { return nil }
            return configured
        }
    }

    private enum Result {
        case unchanged
        case changed(JSONValue)
        case impossible
    }

    private func redact(request body: JSONValue, _ call: CallAnnotation, name: String) -> Result {
        // The reference sends the body through the codec all the same, and omits it without one.
        if !isStrict, profile.selectsHeadersAlone { return .unchanged }
        guard let surface = requestSurface(of: body, call, name: name) else { return .impossible }
        guard let decoded = try? surface.decodeRequest(body, compatibility) else { return .impossible }
        let annotation = decoded.annotation
        guard let redacted = profile.redact(.object(annotation)) else { return .unchanged }
        do {
            guard let object = redacted.objectValue else { return .impossible }
            let edited = try NormalizedRequest(annotation: object)
            // A member of the provider's that is called like one of the model hides it in an annotation. The reference takes that for
            // an edit, which the surface refuses.
            let baseline = isStrict ? decoded : try NormalizedRequest(annotation: annotation)
            let result = try surface.encode(edited, baseline: baseline, body: body)
            if isStrict { return .changed(result) }
            let arrived = try surface.decodeRequest(result).annotation
            guard JSONDifference.arrived(in: .object(arrived), from: .object(annotation), to: redacted) else {
                return .impossible
            }
            return .changed(result)
        } catch {
            return .impossible
        }
    }

    // MARK: Responses

    /// - Returns: whether the draft has changed.
    func redactResponse(_ draft: inout EventDraft) -> Bool {
        guard profile.hasSelection else { return walk(&draft) }
        if !isStrict, profile.selectsHeadersAlone { return false }
        guard let data = draft.data else {
            return walkAnnotation(CallAnnotation(of: draft.event, compatibility), &draft)
        }
        let call = CallAnnotation(of: draft.event, compatibility)
        guard let body = data.objectValue, let surface = responseSurface(of: body, call),
            !hidesChoices(body, surface)
        else { return omit(call, &draft) }
        switch redact(response: body, on: surface) {
        case .unchanged: return !isStrict && walkAnnotation(call, &draft)
        case .impossible: return omit(call, &draft)
        case .changed(let redacted):
            if redacted == data { return !isStrict && walkAnnotation(call, &draft) }
            draft.data = redacted
            redecode(call, &draft)
            return true
        }
    }

    private func responseSurface(of body: JSONObject, _ call: CallAnnotation) -> Surface? {
        switch call.codec {
        case .surface(let surface): surface
        case .unknown: nil
        case .none: configured.flatMap { Surface.ofResponse(body) == $0 ? $0 : nil }
        }
    }

    /// Whether there are choices that the normalised form does not have, and a path that means it.
    private func hidesChoices(_ body: JSONObject, _ surface: Surface) -> Bool {
        let choices: JSONValue? =
            switch surface {
            case .openAIChat: body["choices"]
            case .gemini: body["candidates"]
            case .ociGenAI, .openAIResponses, .anthropicMessages: nil
            }
        guard let count = choices?.arrayValue?.count, count > 1 else { return false }
        let roots = ["message", "tool_calls", "finish_reason", "api_specific"]
        return (profile.settings.targetPaths + profile.settings.targetPathGlobs).contains { path in
            let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            guard let first = segments.first else { return true }
            return first == "*" && profile.settings.targetPathGlobs.contains(path) || roots.contains(String(first))
        }
    }

    private func redact(response body: JSONObject, on surface: Surface) -> Result {
        do {
            let annotation = try surface.decodeResponse(.object(body), compatibility).annotation
            // A member that is called like the text and hides it.
            guard annotation["message"]?.objectValue == nil else { return .impossible }
            let redacted = profile.redact(.object(annotation))
            guard let object = (redacted ?? .object(annotation)).objectValue else { return .impossible }
            if redacted == nil, !isStrict { return profile.redact(.object(body)).map(Result.changed) ?? .unchanged }
            // The reference writes nothing of it back, and does not look whether it need be.
            if isStrict, object["api_specific"] != annotation["api_specific"] { return .impossible }
            let edited = try NormalizedResponse(annotation: object)
            let baseline = try NormalizedResponse(annotation: annotation)
            let written = JSONValue.object(surface.overlay(edited, baseline: baseline, on: body))
            var result = profile.redact(written) ?? written
            // What has one name in both forms would be hashed and masked twice.
            if !isStrict, profile.settings.action != .remove {
                result = JSONDifference.keepingChanges(from: .object(body), to: written, in: result)
            }
            guard let redacted else { return .changed(result) }
            let arrived = try surface.decodeResponse(result, compatibility).annotation
            guard JSONDifference.arrived(in: .object(arrived), from: .object(annotation), to: redacted) else {
                return .impossible
            }
            return .changed(result)
        } catch {
            return .impossible
        }
    }

    // MARK: Annotations

    /// Redacts the payload as it is, wherever it has texts.
    private func walk(_ draft: inout EventDraft) -> Bool {
        let scanned = draft.scannedData()
        guard let data = profile.redact(draft.data, scanned: scanned) else {
            // What the codec made of the payload has nothing that the payload has not.
            if let text = draft.scannedCategoryProfile(), !profile.redactor.mayMatch(text) { return false }
            let call = CallAnnotation(of: draft.event, compatibility)
            guard let annotation = call.current(in: draft), !call.isDecoded(annotation, from: draft.data) || !isStrict
            else { return false }
            return walkAnnotation(call, &draft)
        }
        let call = CallAnnotation(of: draft.event, compatibility)
        let before = draft.data
        draft.data = data
        guard let annotation = call.current(in: draft) else { return true }
        if call.isDecoded(annotation, from: before) {
            redecode(call, &draft)
        } else {
            _ = walkAnnotation(call, &draft)
        }
        return true
    }

    /// Redacts an annotation that no codec can make again, or that may have more than the payload.
    private func walkAnnotation(_ call: CallAnnotation, _ draft: inout EventDraft) -> Bool {
        guard let annotation = call.current(in: draft), let redacted = profile.redact(.object(annotation)) else {
            return false
        }
        var changed = redacted.objectValue
        if let members = changed, !CategoryProfile.isValid([call.key: .object(members)]) { changed = nil }
        call.replace(changed, in: &draft)
        return true
    }

    /// Makes the annotation of a call that had one from the payload as it is now.
    private func redecode(_ call: CallAnnotation, _ draft: inout EventDraft) {
        guard var earlier = call.current(in: draft) else { return }
        if !isStrict, let summary = earlier["optimization_summary"], let redacted = profile.redact(summary) {
            earlier["optimization_summary"] = redacted.nonNull
        }
        // Nor does the codec make an estimate of the cost; its texts are the producer's.
        if !isStrict, var usage = earlier["usage"]?.objectValue, let cost = usage["cost"],
            var redacted = profile.redact(cost)?.objectValue
        {
            // Words of a fixed vocabulary.
            if cost["source"] == "model_pricing" { redacted["source"] = "model_pricing" }
            if let currency = cost["currency"]?.stringValue, CallAnnotation.isCurrency(currency) {
                redacted["currency"] = .string(currency)
            }
            usage["cost"] = .object(redacted)
            earlier["usage"] = .object(usage)
        }
        let decoded = call.surface.flatMap { call.decode(draft.data, with: $0) }
        call.replace(decoded.map { CallAnnotation.completed($0, from: earlier) }, in: &draft)
    }

    private func omit(_ call: CallAnnotation, _ draft: inout EventDraft) -> Bool {
        let hadPayload = draft.data != nil || call.current(in: draft) != nil
        draft.data = nil
        call.replace(nil, in: &draft)
        return hadPayload
    }
}
