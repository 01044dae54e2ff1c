package import ATOF

// What a call cost, as exporters tell it (`codecs-and-pricing.md` 4, cost for export).
extension PricingSources {
    /// The cost of an LLM end for its span: what the response says, else an estimate of its usage; without either, what
    /// is found in the raw output, else an estimate of that. The first of them that there is ends the search, even when it has
    /// no amount or the policy does not want its currency.
    ///
    /// - Parameters:
    ///   - output: the raw response.
    ///   - provider: the event's name.
    ///   - requestedModel: tried when nobody has a price for the model that answered.
    package func cost(
        of response: NormalizedResponse?, output: JSONValue?, provider: String, requestedModel: String?,
        _ policy: ManualUsage.CostPolicy
    ) -> Cost? {
        if let cost = response?.usage?.cost { return policy.accepts(cost) ? cost : nil }
        if let usage = response?.usage,
            let cost = estimate(usage: usage, models: [response?.model, requestedModel], provider: provider)
        {
            return policy.accepts(cost) ? cost : nil
        }
        guard let manual = ManualUsage(output) else { return nil }
        if let cost = manual.cost(policy) { return cost }
        guard !isEmpty, let usage = manual.usage,
            let cost = estimate(
                usage: usage, models: [output?["model"]?.stringValue, requestedModel], provider: provider)
        else { return nil }
        return policy.accepts(cost) ? cost : nil
    }

    /// The cost in USD of an LLM end for its step (`atif-trajectories.md` 3.14): what was reported comes before any estimate,
    /// and whatever stands under `cost` in the raw output rules an estimate out.
    ///
    /// - Parameters:
    ///   - usage: counts of the response, completed by those of the output, as the provider counts them.
    ///   - requestedModel: asked only when it is needed.
    package func stepCost(
        of response: NormalizedResponse?, manual: ManualUsage?, usage: Usage, output: JSONValue?, provider: String,
        requestedModel: () -> String?
    ) -> Double? {
        if let cost = response?.usage?.cost { return cost.isUSD ? cost.amount : nil }
        if let cost = manual?.cost(.statedUSD) { return cost.amount }
        guard !isEmpty, manual?.hasCostMember != true,
            let cost = estimate(
                usage: usage, models: [response?.model ?? output?["model"]?.stringValue, requestedModel()],
                provider: provider)
        else { return nil }
        return cost.isUSD ? cost.total : nil
    }

    /// The estimate for the first of the models that has one.
    private func estimate(usage: Usage, models: [String?], provider: String) -> Cost? {
        if isEmpty { return nil }
        for case let model? in models {
            if let cost = estimate(usage: usage, model: model, provider: provider) { return cost }
        }
        return nil
    }
}

extension ManualUsage.CostPolicy {
    func accepts(_ cost: Cost) -> Bool {
        switch self {
        case .anyCurrency: true
        case .usd, .statedUSD: cost.isUSD
        }
    }
}
