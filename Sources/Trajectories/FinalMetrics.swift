internal import ATOF
internal import LLMCodecs

/// The sums over a trajectory's steps (`atif-trajectories.md` 4.1).
struct FinalMetrics: Sendable {
    private var promptTokens: UInt64?
    private var completionTokens: UInt64?
    private var cachedTokens: UInt64?
    private var cost: Double?
    private var optimizations: [JSONObject] = []
    private let steps: Int
    private let compatibility: Compatibility

    init(of steps: [Step], _ compatibility: Compatibility) {
        self.steps = steps.count
        self.compatibility = compatibility
        // By index: an iterator would copy each step, and so count all that it holds.
        promptTokens = StepMetrics.sum(steps.indices.lazy.map { steps[$0].metrics?.promptTokens }, compatibility)
        completionTokens = StepMetrics.sum(
            steps.indices.lazy.map { steps[$0].metrics?.completionTokens }, compatibility)
        cachedTokens = StepMetrics.sum(steps.indices.lazy.map { steps[$0].metrics?.cachedTokens }, compatibility)
        cost = FinalMetrics.sum(steps.indices.map { steps[$0].metrics?.cost })
        optimizations = steps.indices.compactMap { steps[$0].metrics?.optimizationSummary }
    }

    /// Takes in what an embedded trajectory sums up to; the reference leaves it out. The number of steps stays its own.
    mutating func add(_ other: FinalMetrics) {
        promptTokens = StepMetrics.sum([promptTokens, other.promptTokens], compatibility)
        completionTokens = StepMetrics.sum([completionTokens, other.completionTokens], compatibility)
        cachedTokens = StepMetrics.sum([cachedTokens, other.cachedTokens], compatibility)
        cost = FinalMetrics.sum([cost, other.cost])
        optimizations += other.optimizations
    }

    var json: JSONValue {
        var object = JSONObject([("total_steps", .int(Int64(steps)))])
        object["total_prompt_tokens"] = promptTokens.map(JSONValue.init(count:))
        object["total_completion_tokens"] = completionTokens.map(JSONValue.init(count:))
        object["total_cached_tokens"] = cachedTokens.map(JSONValue.init(count:))
        object["total_cost_usd"] = cost.map { .double($0) }
        if !optimizations.isEmpty { object["extra"] = ["nemo_relay": ["optimization": optimization]] }
        return .object(object)
    }

    private var optimization: JSONValue {
        func saved(_ key: String) -> JSONValue {
            StepMetrics.sum(optimizations.map { $0["tokens_saved"]?[key]?.uint64Value }, compatibility)
                .map(JSONValue.init(count:)) ?? .null
        }
        let dollars = optimizations.filter { $0["currency"]?.stringValue?.lowercased() == "usd" }
            .map { $0["estimated_cost_saved"]?.numberValue }
        return [
            "llm_call_count": .int(Int64(optimizations.count)), "prompt_tokens_saved": saved("prompt_tokens"),
            "total_tokens_saved": saved("total_tokens"),
            "estimated_cost_saved_usd": FinalMetrics.sum(dollars).map { .double($0) } ?? .null,
        ]
    }

    private static func sum(_ amounts: [Double?]) -> Double? {
        let known = amounts.compactMap(\.self)
        return known.isEmpty ? nil : known.reduce(0, +)
    }
}
