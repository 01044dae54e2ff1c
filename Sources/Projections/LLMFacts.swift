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

    /// What the response says, else what is found in its usage. A cost of the response that has no amount, or is in a
    /// currency that the policy does not want, is the answer: there is none.
    static func cost(_ response: NormalizedResponse?, _ output: JSONValue?, _ policy: ManualUsage.CostPolicy) -> Cost? {
        guard let cost = response?.usage?.cost else { return ManualUsage(output)?.cost(policy) }
        switch policy {
        case .anyCurrency: return cost
        case .usd, .statedUSD: return cost.isUSD ? cost : nil
        }
    }

    /// Counts of the normalised response, each completed by what is found in the output.
    static func usage(_ event: Event, _ response: NormalizedResponse?, _ output: JSONValue?) -> Usage {
        var usage = response?.usage ?? Usage()
        if let manual = ManualUsage(output)?.usage {
            usage.promptTokens = usage.promptTokens ?? manual.promptTokens
            usage.completionTokens = usage.completionTokens ?? manual.completionTokens
            usage.totalTokens = usage.totalTokens ?? manual.totalTokens
            usage.cacheReadTokens = usage.cacheReadTokens ?? manual.cacheReadTokens
            usage.cacheWriteTokens = usage.cacheWriteTokens ?? manual.cacheWriteTokens
        }
        if isAnthropic(response, provider: event.name) { includeCaches(in: &usage) }
        return usage
    }

    static func isAnthropic(_ response: NormalizedResponse?, provider: String?) -> Bool {
        if response?.api == "anthropic_messages" { return true }
        guard let provider = provider?.lowercased() else { return false }
        return provider.hasPrefix("anthropic") || provider.hasPrefix("claude")
    }

    private static func includeCaches(in usage: inout Usage) {
        guard usage.promptTokens != nil else { return }
        usage.promptTokens = usage.promptWithCaches
        if let prompt = usage.promptTokens, let completion = usage.completionTokens {
            let (total, overflow) = prompt.addingReportingOverflow(completion)
            usage.totalTokens = overflow ? nil : total
        }
    }
}

extension Usage {
    /// The prompt with the tokens of caches, which Anthropic does not count as input; nil when it is unknown or beyond 64 bits.
    var promptWithCaches: UInt64? {
        guard let promptTokens else { return nil }
        let (read, readOverflow) = promptTokens.addingReportingOverflow(cacheReadTokens ?? 0)
        let (sum, writeOverflow) = read.addingReportingOverflow(cacheWriteTokens ?? 0)
        return readOverflow || writeOverflow ? nil : sum
    }
}
