package import ATOF
package import LLMCodecs

/// What one call of a model used, as budgets count it.
package struct CallUsage: Sendable, Hashable {
    /// Prompt and completion, caches counted as prompt.
    package var tokens: UInt64 = 0
    /// In the unit of `GuardrailRule.Budget.Measure.cost`.
    package var cost: UInt64 = 0

    package init() {}

    /// - Parameter end: of a model's call. What it does not tell counts as nothing.
    package init(end: Event, pricing: PricingSources) {
        let data = end.data?.value.nonNull
        let profile = end.categoryProfile?.value.nonNull
        let response = LLMNormalizer.response(profile: profile, data: data, pricing: pricing)
        let manual = ManualUsage(data)
        var usage = Usage(of: response, completedBy: manual)
        let billed = Usage(of: response?.billed, completedBy: manual)
        let dollars = pricing.stepCost(of: response, manual: manual, usage: billed, output: data, provider: end.name) {
            profile?["model_name"]?.stringValue
        }
        if Usage.isCacheSeparate(response, provider: end.name, usage: usage, isStrict: false) { usage.includeCaches() }
        let (sum, overflow) = (usage.promptTokens ?? 0).addingReportingOverflow(usage.completionTokens ?? 0)
        tokens = max(overflow ? .max : sum, usage.totalTokens ?? 0)
        cost = dollars.map { GuardrailRule.Budget.units(ofDollars: $0) } ?? 0
    }
}
