internal import ATOF
internal import LLMCodecs

/// Adds the estimated cost to annotated model responses, as the reference does when it publishes an end
/// (`codecs-and-pricing.md` 5.3).
struct PricingStep: ChainStep {
    let name = "pricing"
    /// Behind everything else: what is priced is what readers see.
    let priority = Int32.max
    let sources: PricingSources

    func apply(_ draft: inout EventDraft, _ notes: inout ChainNotes) -> ChainDecision {
        guard draft.event.kind == .scopeEnd, draft.event.category?.known == .llm,
            draft.event.categoryProfile?.mayContain("annotated_response") == true,
            var profile = draft.categoryProfile?.objectValue,
            var annotation = profile["annotated_response"]?.objectValue,
            var usage = annotation["usage"]?.objectValue,
            // The body is parsed only if it must tell which members are the provider's; then its usage may be one of them.
            let response = (try? NormalizedResponse(annotation: annotation))
                ?? (try? NormalizedResponse(annotation: annotation, data: draft.data)),
            response.extra["usage"] == nil,
            let cost = estimate(of: response, draft)
        else { return .pass }
        usage["cost"] = cost.json
        annotation["usage"] = .object(usage)
        profile["annotated_response"] = .object(annotation)
        draft.categoryProfile = .object(profile)
        notes.changes[name, default: 0] += 1
        return .pass
    }

    /// First as the codec that decoded it, then by the name of the call. Nil when the cost is known, and when nothing says it.
    private func estimate(of response: NormalizedResponse, _ draft: EventDraft) -> Cost? {
        guard response.usage?.cost == nil else { return nil }
        var priced = response
        if let surface = response.api.flatMap(Surface.init(rawValue:))
            ?? draft.data?.objectValue.flatMap(Surface.ofResponse)
        {
            priced.estimateCost(by: sources, surface: surface)
        }
        priced.estimateCost(by: sources, call: draft.event.name)
        return priced.usage?.cost
    }
}
