/// The catalogues of a configuration, in the order in which they are searched (`codecs-and-pricing.md` 5).
///
/// There are no prices without any: then every estimate is nil.
package struct PricingSources: Sendable, Hashable {
    package var catalogs: [PricingCatalog]

    package init(_ catalogs: [PricingCatalog] = []) { self.catalogs = catalogs }

    package var isEmpty: Bool { catalogs.isEmpty }

    /// The cost of a call by the first entry that knows its model, even if that entry has no price for it.
    ///
    /// - Parameters:
    ///   - model: as the provider or the caller names it; a route such as `azure/openai/m` is understood.
    ///   - provider: where the model is looked for first; an unknown one does no harm.
    /// - Returns: nil without an entry, or when the entry cannot price the counts. A cost without a total when one of the
    ///   counts has no rate.
    package func estimate(usage: Usage, model: String, provider: String?) -> Cost? {
        if isEmpty { return nil }
        guard let lookup = PricingLookup(model: model, provider: provider) else { return nil }
        for catalog in catalogs {
            if let entry = catalog.entry(for: lookup) { return entry.cost(of: usage) }
        }
        return nil
    }
}

extension PricingCatalog.Entry {
    /// Tokens times rates, each component rounded to 12 decimals (`codecs-and-pricing.md` 5.4).
    func cost(of usage: Usage) -> Cost? {
        let prompt = usage.promptTokens ?? 0
        let completion = usage.completionTokens ?? 0
        let read = usage.cacheReadTokens ?? 0
        let write = usage.cacheWriteTokens ?? 0
        guard unit == .perToken, let rates = rates(forPrompt: usage.promptTokens),
            prompt > 0 || completion > 0 || read > 0 || write > 0
        else { return nil }
        let billable = readAccounting == .included ? prompt - min(read, prompt) : prompt
        var cost = Cost(total: nil, currency: currency, source: .modelPricing)
        cost.input = PricingCatalog.Entry.amount(billable, rates.input)
        cost.output = PricingCatalog.Entry.amount(completion, rates.output)
        cost.cacheRead = rates.cacheRead.flatMap { PricingCatalog.Entry.amount(read, $0) }
        cost.cacheWrite = rates.cacheWrite.flatMap { PricingCatalog.Entry.amount(write, $0) }
        let isKnown = (read == 0 || rates.cacheRead != nil) && (write == 0 || rates.cacheWrite != nil)
        if isKnown { cost.total = PricingCatalog.Entry.rounded(cost.componentSum ?? 0) }
        // With a rate near the largest number there is; JSON has no infinity.
        guard [cost.componentSum, cost.total].allSatisfy({ $0?.isFinite ?? true }) else { return nil }
        cost.pricingProvider = provider
        cost.pricingModel = model
        cost.pricingAsOf = asOf
        cost.pricingSource = source
        return cost
    }

    /// A schedule alone decides when there is one.
    private func rates(forPrompt count: UInt64?) -> PricingCatalog.Rates? {
        guard let tiers else { return rates }
        return count.flatMap { count in tiers.first { $0.contains(count) }?.rates }
    }

    private static func amount(_ tokens: UInt64, _ rate: Double) -> Double? {
        tokens > 0 ? rounded(Double(tokens) * rate / 1_000_000) : nil
    }

    private static func rounded(_ amount: Double) -> Double {
        (amount * 1e12).rounded(.toNearestOrAwayFromZero) / 1e12
    }
}
