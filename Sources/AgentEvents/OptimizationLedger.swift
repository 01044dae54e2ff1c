internal import ATOF
internal import LLMCodecs

/// What intercepts say that they have saved in one model call (`middleware-guardrails-pii.md` 5.2 and 5.3).
struct OptimizationLedger: Sendable {
    /// As they are published: with an id and their number.
    private(set) var contributions: [JSONObject] = []
    private var attempts = 0
    private var size = 0

    private static let maximumCount = 64
    private static let maximumSize = 16 * 1024
    private static let maximumTotalSize = 256 * 1024

    /// - Returns: the contribution as it is published; nil for one that is no object or too much.
    mutating func record(_ contribution: JSON, id: EventUUID) -> JSONObject? {
        attempts += 1
        guard attempts <= OptimizationLedger.maximumCount, var object = contribution.value.objectValue else {
            return nil
        }
        if object["id"] == nil { object["id"] = .string(id.description) }
        object["sequence"] = .int(Int64(contributions.count))
        let bytes = object.compactText.utf8.count
        guard bytes <= OptimizationLedger.maximumSize, size + bytes <= OptimizationLedger.maximumTotalSize else {
            return nil
        }
        size += bytes
        contributions.append(object)
        return object
    }

    /// `optimization_summary` of a response; nil when nobody contributed. Agents know no prices, so the summary is partial unless the
    /// provider told the cost.
    ///
    /// - Parameter usage: of the response.
    func summary(usage: Usage?, isInterrupted: Bool) -> JSONObject? {
        guard !contributions.isEmpty else { return nil }
        let applied = contributions.filter { $0["applied"] == true }
        let transitions = applied.compactMap { $0["model_transition"] }
        var summary = JSONObject([("schema_version", "1"), ("calculation_version", "1")])
        summary["contributions"] = .array(contributions.map { .object($0) })
        summary["baseline_model"] = transitions.first?["baseline"]
        summary["effective_model"] = transitions.last?["effective"]
        let saved = OptimizationLedger.saved(applied)
        if !saved.isEmpty { summary["tokens_saved"] = .object(saved) }
        if let effective = usage?.tokenCounts {
            summary["effective_usage"] = .object(effective)
            summary["baseline_usage"] = .object(OptimizationLedger.sum(effective, saved))
        }
        var limitations: [JSONValue] = []
        if let cost = usage?.cost {
            summary["actual_cost"] = cost.json
            summary["currency"] = .string(cost.currency)
        } else {
            limitations.append("missing_actual_cost")
        }
        limitations.append("missing_baseline_pricing")
        if isInterrupted { limitations.append("stream_interrupted") }
        summary["limitations"] = .array(limitations)
        summary["status"] = "partial"
        return summary
    }

    private static func saved(_ contributions: [JSONObject]) -> JSONObject {
        contributions.compactMap { $0["token_impact"]?["saved"]?.objectValue }.reduce(JSONObject(), sum)
    }

    /// Count by count; what is no count is left out.
    private static func sum(_ left: JSONObject, _ right: JSONObject) -> JSONObject {
        var sum = left
        for member in right {
            guard let number = member.value.int64Value else { continue }
            sum[member.key] = .int((sum[member.key]?.int64Value ?? 0).addingReportingOverflow(number).partialValue)
        }
        return sum
    }
}

extension Usage {
    /// The counts without the cost.
    fileprivate var tokenCounts: JSONObject? {
        var counts = json.objectValue
        counts?["cost"] = nil
        return counts
    }
}
