internal import ATOF
internal import LLMCodecs

/// Model, usage and cost of LLM scopes (`otel-projections.md` 3.1, 3.2, 3.4.2, A.5).
enum LLMFacts {
    /// - Parameter request: asked only when the profile names no model.
    static func startModel(_ payloads: EventPayloads, request: () -> NormalizedRequest?) -> String? {
        payloads.profile("model_name")?.stringValue ?? request()?.model ?? payloads.data?["model"]?.stringValue
    }

    static func endModel(_ payloads: EventPayloads, _ response: NormalizedResponse?) -> String? {
        response?.model ?? payloads.data?["model"]?.stringValue ?? payloads.profile("model_name")?.stringValue
            ?? LLMNormalizer.annotatedRequest(payloads.profile)?.model
    }

    /// - Parameters:
    ///   - start: knows the model that was asked for. The reference's spans look for it in the end's profile alone, its documents here too.
    ///   - policy: which currencies the exporter takes.
    static func cost(
        _ event: Event, _ payloads: EventPayloads, _ start: StartAttributes, _ response: NormalizedResponse?,
        _ pricing: PricingSources, _ policy: ManualUsage.CostPolicy
    ) -> Cost? {
        // The reference forgets the thinking of whatever its codec did not price.
        let billed = payloads.isStrict ? response : response?.billed
        func cost(_ requestedModel: String?) -> Cost? {
            pricing.cost(
                of: billed, output: payloads.data, provider: event.name, requestedModel: requestedModel, policy)
        }
        return cost(payloads.profile("model_name")?.stringValue) ?? (payloads.isStrict ? nil : cost(start.modelName))
    }

    /// Counts of the normalised response, each completed by what is found in the output.
    static func usage(_ event: Event, _ payloads: EventPayloads, _ response: NormalizedResponse?) -> Usage {
        var usage = Usage(of: response, completedBy: ManualUsage(payloads.data))
        let isSeparate = Usage.isCacheSeparate(
            response, provider: event.name, usage: usage, isStrict: payloads.isStrict)
        if isSeparate { usage.includeCaches() }
        return usage
    }
}
