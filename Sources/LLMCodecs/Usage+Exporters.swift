internal import ATOF

// Token counts as exporters tell them (`codecs-and-pricing.md` 4).
extension Usage {
    /// Counts of the normalised response, each completed by what was found in the raw output.
    ///
    /// - Parameter manual: nil for an exporter that reads normalised responses alone.
    package init(of response: NormalizedResponse?, completedBy manual: ManualUsage?) {
        self = response?.usage ?? Usage()
        guard let manual else { return }
        promptTokens = promptTokens ?? manual.promptTokens
        completionTokens = completionTokens ?? manual.completionTokens
        totalTokens = totalTokens ?? manual.totalTokens
        cacheReadTokens = cacheReadTokens ?? manual.cacheReadTokens
        cacheWriteTokens = cacheWriteTokens ?? manual.cacheWriteTokens
    }

    /// Whether the provider counts input without what was read from and written to a cache, as Anthropic does.
    ///
    /// - Parameter provider: the event's name; in the projection `gen_ai` the name of the provider that it resolved.
    package static func isCacheSeparate(_ response: NormalizedResponse?, provider: String?) -> Bool {
        if response?.api == Surface.anthropicMessages.rawValue { return true }
        guard let provider = provider?.asciiLowercased else { return false }
        return provider.hasPrefix("anthropic") || provider.hasPrefix("claude")
    }

    /// The same of the projections and documents: a response in the form of another provider counts as that form does, whatever the
    /// name of the gateway. The reference counts cached tokens twice then. More of them than there is input prove that they are no part
    /// of it.
    package static func isCacheSeparate(
        _ response: NormalizedResponse?, provider: String?, usage: Usage, isStrict: Bool
    ) -> Bool {
        if !isStrict, let prompt = usage.promptTokens,
            (usage.cacheReadTokens ?? 0).addingSaturating(usage.cacheWriteTokens ?? 0) > prompt
        {
            return true
        }
        if !isStrict, let api = response?.api, api != "custom" { return api == Surface.anthropicMessages.rawValue }
        return isCacheSeparate(response, provider: provider)
    }

    /// Input with what was read from and written to a cache; nil when it is unknown or does not fit.
    package var promptWithCaches: UInt64? {
        guard let promptTokens else { return nil }
        let (read, readOverflow) = promptTokens.addingReportingOverflow(cacheReadTokens ?? 0)
        let (sum, writeOverflow) = read.addingReportingOverflow(cacheWriteTokens ?? 0)
        return readOverflow || writeOverflow ? nil : sum
    }

    /// Counts cached tokens as input, of a provider that does not. What does not fit is unknown.
    package mutating func includeCaches() {
        promptTokens = promptWithCaches
        guard let prompt = promptTokens, let completion = completionTokens else { return }
        let (total, overflow) = prompt.addingReportingOverflow(completion)
        totalTokens = overflow ? nil : total
    }
}
