package import ATOF

/// Usage and cost of a response without a normalised form, found by the names that providers give them
/// (`codecs-and-pricing.md` 4).
package struct ManualUsage: Sendable {
    /// Which costs count.
    package enum CostPolicy: Sendable {
        case anyCurrency
        /// A missing currency counts as USD.
        case usd
        /// USD; a missing currency counts only beside a known source or a total.
        case statedUSD
    }

    /// `usage`, then `token_usage`: those that are objects.
    private let sources: [JSONObject]

    /// - Returns: nil when the data has no usage object.
    package init?(_ data: JSONValue?) {
        sources = [data?["usage"]?.objectValue, data?["token_usage"]?.objectValue].compactMap(\.self)
        if sources.isEmpty { return nil }
        hasCostMember = (data?["token_usage"] ?? data?["usage"])?["cost"] != nil
    }

    /// Whether anything stands under `cost`, of whatever form: in `token_usage` where that is there, be it null, else in `usage`.
    package let hasCostMember: Bool

    /// Token counts; nil when none was found. The cost is not filled.
    package var usage: Usage? {
        let usage = Usage(of: nil, completedBy: self)
        return usage == Usage() ? nil : usage
    }

    var promptTokens: UInt64? { count(Names.prompt) }

    var completionTokens: UInt64? { count(Names.completion) }

    /// Unknown when it is less than its parts.
    var totalTokens: UInt64? {
        guard let total = count(Names.total) else { return nil }
        let (parts, overflow) = (promptTokens ?? 0).addingReportingOverflow(completionTokens ?? 0)
        return overflow || total < parts ? nil : total
    }

    var cacheReadTokens: UInt64? {
        count(Names.cached) ?? count(Names.cachedDetail, in: "prompt_tokens_details")
            ?? count(Names.cachedDetail, in: "input_tokens_details") ?? count(Names.cacheRead)
    }

    var cacheWriteTokens: UInt64? { count(Names.cacheWrite) }

    /// What providers call the counts.
    private enum Names {
        static let prompt = ["prompt_tokens", "input_tokens", "inputTokens", "input"]
        static let completion = ["completion_tokens", "output_tokens", "completionTokens", "outputTokens", "output"]
        static let total = ["total_tokens", "totalTokens", "total"]
        static let cached = ["cached_tokens", "cachedTokens"]
        static let cachedDetail = ["cached_tokens"]
        static let cacheRead = [
            "cache_read_tokens", "cache_read_input_tokens", "cacheReadTokens", "cacheReadInputTokens", "cacheRead",
        ]
        static let cacheWrite = [
            "cache_write_tokens", "cache_creation_input_tokens", "cacheWriteTokens", "cacheCreationInputTokens",
            "cacheWrite",
        ]
    }

    private func count(_ names: [String], in member: String? = nil) -> UInt64? {
        for source in sources {
            guard let object = member.map({ source[$0]?.objectValue }) ?? source else { continue }
            for name in names {
                if let count = object[name]?.uint64Value { return count }
            }
        }
        return nil
    }

    /// The first cost that the policy accepts, without one nil.
    package func cost(_ policy: CostPolicy) -> Cost? {
        for source in sources {
            if let cost = ManualUsage.cost(in: source, policy) { return cost }
        }
        return nil
    }

    private static func cost(in usage: JSONObject, _ policy: CostPolicy) -> Cost? {
        if let amount = usage["cost_usd"]?.numberValue {
            return Cost(total: amount, currency: "USD", source: .providerReported)
        }
        guard let object = usage["cost"]?.objectValue else { return nil }
        let currency = object["currency"]?.stringValue
        var cost = Cost(total: object["total"]?.numberValue, currency: currency ?? "USD", source: .providerReported)
        cost.input = object["input"]?.numberValue
        cost.output = object["output"]?.numberValue
        cost.cacheRead = object["cache_read"]?.numberValue
        cost.cacheWrite = object["cache_write"]?.numberValue
        switch policy {
        case .anyCurrency: break
        case .usd:
            if !cost.isUSD { return nil }
        case .statedUSD:
            if !cost.isUSD { return nil }
            let isSourced = object["source"]?.stringValue.flatMap(Cost.Source.init(rawValue:)) != nil
            if currency == nil, !isSourced, cost.total == nil { return nil }
        }
        return cost.amount == nil ? nil : cost
    }
}
