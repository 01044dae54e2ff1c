internal import ATOF

/// What the runtime says that its optimizations saved (`otel-projections.md` 3.2, optimization keys).
enum OptimizationRules {
    private static let prefix = "nemo_relay.llm.optimization."

    static func add(_ summary: JSONObject?, _ attributes: inout [Attribute]) {
        guard let summary else { return }
        attributes.append("\(prefix)baseline_model", string: summary["baseline_model"]?["model"])
        attributes.append("\(prefix)effective_model", string: summary["effective_model"]?["model"])
        for key in ["prompt_tokens", "total_tokens"] {
            if let saved = summary["tokens_saved"]?[key]?.uint64Value {
                attributes.append(Attribute("\(prefix)\(key)_saved", .int(Int64(clamping: saved))))
            }
        }
        addCost("baseline", summary["baseline_cost"]?.objectValue, &attributes)
        addCost("actual", summary["actual_cost"]?.objectValue, &attributes)
        if let saved = summary["estimated_cost_saved"]?.numberValue {
            attributes.append(Attribute("\(prefix)estimated_cost_saved", .double(saved)))
            attributes.append("\(prefix)estimated_cost_saved_currency", string: summary["currency"])
        }
        attributes.append("\(prefix)currency", string: summary["currency"])
        attributes.append("\(prefix)status", string: summary["status"])
        for key in ["pricing_source", "pricing_as_of"] {
            attributes.append(
                "\(prefix)\(key)",
                string: summary["baseline_cost"]?[key]?.nonNull ?? summary["actual_cost"]?[key])
        }
    }

    private static func addCost(_ label: String, _ cost: JSONObject?, _ attributes: inout [Attribute]) {
        guard let cost else { return }
        if let amount = amount(cost) { attributes.append(Attribute("\(prefix)\(label)_cost", .double(amount))) }
        attributes.append(Attribute("\(prefix)\(label)_cost_currency", cost["currency"]?.stringValue ?? "USD"))
        attributes.append("\(prefix)\(label)_pricing_source", string: cost["pricing_source"])
        attributes.append("\(prefix)\(label)_pricing_as_of", string: cost["pricing_as_of"])
    }

    private static func amount(_ cost: JSONObject) -> Double? {
        if let total = cost["total"]?.numberValue { return total }
        guard cost["source"]?.stringValue == "provider_reported" else { return nil }
        let components = ["input", "output", "cache_read", "cache_write"].compactMap { cost[$0]?.numberValue }
        return components.isEmpty ? nil : components.reduce(0, +)
    }
}
