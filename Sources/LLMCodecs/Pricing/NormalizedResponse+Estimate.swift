internal import ATOF

extension NormalizedResponse {
    /// Prices the response as the codec that decoded it does: when it has usage and names its model, but no cost
    /// (`codecs-and-pricing.md` 5.3, step 1). OCI's codec does not estimate.
    ///
    /// - Parameter surface: what the response was decoded from.
    package mutating func estimateCost(by pricing: PricingSources, surface: Surface) {
        guard !pricing.isEmpty, let model, let usage = billed.usage, usage.cost == nil else { return }
        let provider: String
        switch surface {
        case .openAIChat, .openAIResponses: provider = "openai"
        case .anthropicMessages: provider = "anthropic"
        case .gemini: provider = "google"
        case .ociGenAI: return
        }
        setCost(pricing.estimate(usage: usage, model: model, provider: PricingLookup.route(of: model) ?? provider))
    }

    /// The response with the counts that its price is of: Gemini's thinking is billed as output, though it is not counted as such.
    package var billed: NormalizedResponse {
        guard let thoughts = others["api_specific"]?["thoughts_tokens"]?.uint64Value, var usage else { return self }
        usage.completionTokens = (usage.completionTokens ?? 0).addingSaturating(thoughts)
        var billed = self
        billed.set(usage)
        return billed
    }

    /// Prices the response by the name of the call, when the codec could not (`codecs-and-pricing.md` 5.3, step 2).
    package mutating func estimateCost(by pricing: PricingSources, call name: String) {
        guard let model, let usage, usage.cost == nil else { return }
        setCost(pricing.estimate(usage: usage, model: model, provider: name))
    }

    private mutating func setCost(_ cost: Cost?) {
        guard let cost, var usage else { return }
        usage.cost = cost
        set(usage)
    }
}
