internal import ATOF
internal import LLMCodecs

/// Tokens and cost of one agent step (`atif-trajectories.md` 3.14).
struct StepMetrics: Sendable {
    var promptTokens: UInt64?
    var completionTokens: UInt64?
    var cachedTokens: UInt64?
    var cost: Double?
    /// `prompt_token_ids`, `completion_token_ids` and `logprobs`.
    var tokenLists = JSONObject()
    var extra = JSONObject()

    /// - Parameter data: what the call ended with.
    /// - Returns: nil when an LLM end says nothing about tokens and cost.
    init?(end: ScopeEvent, data: JSONValue?, response: NormalizedResponse?, index: ScopeIndex) {
        let manual = ManualUsage(data)
        var usage = Usage(of: response, completedBy: manual)
        let billed = index.compatibility.isStrict ? usage : Usage(of: response?.billed, completedBy: manual)
        cost = index.pricing.stepCost(of: response, manual: manual, usage: billed, output: data, provider: end.name) {
            ModelName.requested(end: end, start: index.start(of: end.uuid), index.compatibility)
        }
        let isSeparate = Usage.isCacheSeparate(
            response, provider: end.name, usage: usage, isStrict: index.compatibility.isStrict)
        if isSeparate { usage.includeCaches() }
        promptTokens = usage.promptTokens
        completionTokens = usage.completionTokens
        cachedTokens = StepMetrics.sum([usage.cacheReadTokens, usage.cacheWriteTokens], index.compatibility)
        // The reference takes lists of tokens from one of the two.
        let ignored = index.compatibility.isStrict && data?["token_usage"] != nil ? "usage" : nil
        for source in ["usage", "token_usage"] {
            guard let members = data?[source]?.objectValue else { continue }
            for member in members {
                if let list = StepMetrics.tokenList(member) {
                    if source == ignored { continue }
                    tokenLists[member.key] = list
                } else if !StepMetrics.modelled.contains(member.key) {
                    extra[member.key] = member.value
                }
            }
        }
        if let summary = response?.optimizationSummary {
            var relay = extra["nemo_relay"]?.objectValue ?? JSONObject()
            relay["optimization"] = .object(summary)
            extra["nemo_relay"] = .object(relay)
        }
        // The reference counts what was written to a cache as if it had been found there.
        if !index.compatibility.isStrict, let write = usage.cacheWriteTokens, write > 0 {
            cachedTokens = usage.cacheReadTokens
            if extra["cache_write_tokens"] == nil { extra["cache_write_tokens"] = JSONValue(count: write) }
        }
        // Set aside, so that nobody adds it up.
        if !index.compatibility.isStrict, let reported = cost, reported < 0 {
            extra["reported_cost_usd"] = .double(reported)
            cost = nil
        }
        if promptTokens == nil, completionTokens == nil, cachedTokens == nil, cost == nil, extra.isEmpty { return nil }
    }

    var optimizationSummary: JSONObject? { extra["nemo_relay"]?["optimization"]?.objectValue }

    func write<Sink: JSONSink & ~Copyable>(to sink: inout Sink) {
        sink.beginObject()
        sink.member("cached_tokens", cachedTokens)
        sink.member("completion_token_ids", tokenLists["completion_token_ids"])
        sink.member("completion_tokens", completionTokens)
        sink.member("cost_usd", cost)
        if !extra.isEmpty { sink.member("extra", extra) }
        sink.member("logprobs", tokenLists["logprobs"])
        sink.member("prompt_token_ids", tokenLists["prompt_token_ids"])
        sink.member("prompt_tokens", promptTokens)
        sink.endObject()
    }

    /// Takes over what this step does not know from a suppressed span of the same call.
    mutating func fill(from other: StepMetrics) {
        promptTokens = promptTokens ?? other.promptTokens
        completionTokens = completionTokens ?? other.completionTokens
        cachedTokens = cachedTokens ?? other.cachedTokens
        cost = cost ?? other.cost
        for member in other.tokenLists where tokenLists[member.key] == nil { tokenLists[member.key] = member.value }
        for member in other.extra where extra[member.key] == nil { extra[member.key] = member.value }
    }

    /// The sum of what is known; nil when nothing is. What does not fit is the greatest number; the reference goes on from zero.
    static func sum(_ counts: some Sequence<UInt64?>, _ compatibility: Compatibility) -> UInt64? {
        var total: UInt64?
        for case let count? in counts {
            let (sum, overflow) = (total ?? 0).addingReportingOverflow(count)
            if overflow, !compatibility.isStrict { return .max }
            total = sum
        }
        return total
    }

    private static func tokenList(_ member: JSONObject.Member) -> JSONValue? {
        guard let elements = member.value.arrayValue else { return nil }
        switch member.key {
        case "prompt_token_ids", "completion_token_ids": return .array(elements.filter { $0.uint64Value != nil })
        case "logprobs": return .array(elements.filter { $0.numberValue != nil })
        default: return nil
        }
    }

    private static let modelled: Set<String> = [
        "prompt_tokens", "input_tokens", "inputTokens", "input", "completion_tokens", "output_tokens",
        "completionTokens",
        "outputTokens", "output", "cached_tokens", "cachedTokens", "cache_read_tokens", "cache_read_input_tokens",
        "cacheReadTokens", "cacheReadInputTokens", "cacheRead", "cache_write_tokens", "cache_creation_input_tokens",
        "cacheWriteTokens", "cacheCreationInputTokens", "cacheWrite", "cost_usd", "cost", "prompt_tokens_details",
        "input_tokens_details", "prompt_token_ids", "completion_token_ids", "logprobs",
    ]
}
