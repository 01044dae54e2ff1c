internal import ATOF
internal import LLMCodecs

/// The sums over a trajectory's own steps (`atif-trajectories.md` 4.1).
enum FinalMetrics {
    static func json(of steps: [Step]) -> JSONValue {
        let metrics = steps.compactMap(\.metrics)
        var object = JSONObject([("total_steps", .int(Int64(steps.count)))])
        object["total_prompt_tokens"] = StepMetrics.sum(metrics.map(\.promptTokens)).map(JSONValue.init(count:))
        object["total_completion_tokens"] = StepMetrics.sum(metrics.map(\.completionTokens)).map(JSONValue.init(count:))
        object["total_cached_tokens"] = StepMetrics.sum(metrics.map(\.cachedTokens)).map(JSONValue.init(count:))
        let costs = metrics.compactMap(\.cost)
        if !costs.isEmpty { object["total_cost_usd"] = .double(costs.reduce(0, +)) }
        let summaries = metrics.compactMap(\.optimizationSummary)
        if !summaries.isEmpty { object["extra"] = ["nemo_relay": ["optimization": optimization(summaries)]] }
        return .object(object)
    }

    private static func optimization(_ summaries: [JSONObject]) -> JSONValue {
        func saved(_ key: String) -> JSONValue {
            StepMetrics.sum(summaries.map { $0["tokens_saved"]?[key]?.uint64Value }).map(JSONValue.init(count:))
                ?? .null
        }
        let dollars = summaries.filter { $0["currency"]?.stringValue?.lowercased() == "usd" }
            .compactMap { $0["estimated_cost_saved"]?.numberValue }
        return [
            "llm_call_count": .int(Int64(summaries.count)), "prompt_tokens_saved": saved("prompt_tokens"),
            "total_tokens_saved": saved("total_tokens"),
            "estimated_cost_saved_usd": dollars.isEmpty ? .null : .double(dollars.reduce(0, +)),
        ]
    }
}
