internal import ATOF

/// Compares `final_metrics` with what the steps say: the sums of a trajectory's own, or with those of what is embedded.
struct DocumentTotals {
    private let document: JSONValue
    private let embedded: [JSONValue]
    private let steps: [JSONValue]

    init(_ document: JSONValue) {
        self.document = document
        embedded = document["subagent_trajectories"]?.arrayValue ?? []
        steps = document["steps"]?.arrayValue ?? []
    }

    private static let pairs = [
        ("total_prompt_tokens", "prompt_tokens"), ("total_completion_tokens", "completion_tokens"),
        ("total_cached_tokens", "cached_tokens"), ("total_cost_usd", "cost_usd"),
    ]

    func check(at path: String, _ findings: inout [DocumentFinding]) {
        guard let totals = document["final_metrics"]?.objectValue else { return }
        let path = DocumentSchema.path(path, "final_metrics")
        for (total, member) in DocumentTotals.pairs {
            let own = DocumentTotals.sum(steps.map { $0["metrics"]?[member]?.numberValue })
            let all = DocumentTotals.sum([own] + embedded.map { DocumentTotals.sumOfAll(in: $0, member) })
            let stated = totals[total]?.numberValue
            if DocumentTotals.isEqual(stated, own) || DocumentTotals.isEqual(stated, all) { continue }
            let sum = all.map { "the steps have \(DocumentTotals.text($0))" } ?? "no step says anything"
            findings.append(
                DocumentFinding(
                    "\(path).\(total)",
                    stated.map { "is \(DocumentTotals.text($0)), but \(sum)" } ?? "is missing, but \(sum)"))
        }
        if let count = totals["total_steps"]?.int64Value, count != Int64(steps.count), !explainsSteps {
            findings.append(
                DocumentFinding(
                    "\(path).total_steps", "is \(count), there are \(steps.count), and notes does not say why"))
        }
    }

    /// Whether the notes say something about the steps; those about something else do not explain their number.
    private var explainsSteps: Bool {
        document["notes"]?.stringValue?.lowercased().contains("step") == true
    }

    private static func sumOfAll(in document: JSONValue, _ member: String) -> Double? {
        sum(
            (document["steps"]?.arrayValue ?? []).map { $0["metrics"]?[member]?.numberValue }
                + (document["subagent_trajectories"]?.arrayValue ?? []).map { sumOfAll(in: $0, member) })
    }

    private static func sum(_ numbers: [Double?]) -> Double? {
        let known = numbers.compactMap(\.self)
        // No total is greater than a count can be.
        return known.isEmpty ? nil : min(known.reduce(0, +), Double(UInt64.max))
    }

    private static func isEqual(_ left: Double?, _ right: Double?) -> Bool {
        guard let left, let right else { return left == nil && right == nil }
        return abs(left - right) <= 1e-9 * max(1, abs(left), abs(right))
    }

    private static func text(_ number: Double) -> String {
        Int64(exactly: number).map { "\($0)" } ?? "\(number)"
    }
}
