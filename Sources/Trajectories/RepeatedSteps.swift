internal import ATOF

/// Agent steps that only repeat calls that later steps of the same run of agent steps have results of
/// (`atif-trajectories.md` 3.8).
enum RepeatedSteps {
    /// The steps without them. What they know of tokens and cost goes to the step that they repeat; the reference loses it.
    ///
    /// - Parameter isExecuted: whether calls of a step were executed, so that it repeats nothing although no result came of it. The
    ///   reference removes it too.
    static func removed(
        from steps: [Step], compatibility: Compatibility, isExecuted: (Step) -> Bool
    ) -> [Step] {
        // Most trajectories have no step that could go; then nothing has to be compared.
        guard steps.indices.contains(where: { mayBeBare(steps, $0) && isBare(steps[$0]) }) else { return steps }
        var kept: [Step] = []
        /// Calls of later steps of the run that have results, by id, with the step's index among those kept.
        var later: [String: [(call: StepCall, step: Int)]] = [:]
        for step in steps.reversed() {
            if step.source != .agent {
                later = [:]
            } else if isBare(step), compatibility.isStrict || !isExecuted(step) {
                let repeated = step.calls.map { call in
                    later[call.id]?.last { $0.call.name == call.name && $0.call.arguments == call.arguments }?.step
                }
                if repeated.allSatisfy({ $0 != nil }) {
                    if !compatibility.isStrict, let metrics = step.metrics, let target = repeated.first ?? nil {
                        kept[target].takeOver(metrics)
                    }
                    continue
                }
            }
            if step.source == .agent, !step.results.isEmpty {
                let answered = Set(step.results.compactMap(\.callID))
                for call in step.calls where answered.contains(call.id) {
                    later[call.id, default: []].append((call, kept.count))
                }
            }
            kept.append(step)
        }
        return kept.reversed()
    }

    /// What rules most steps out, looked at in its place: a copy of a step would count all that it holds.
    private static func mayBeBare(_ steps: [Step], _ index: Int) -> Bool {
        steps[index].source == .agent && steps[index].results.isEmpty && steps[index].llmCallCount == 1
            && !steps[index].calls.isEmpty
    }

    private static func isBare(_ step: Step) -> Bool {
        step.source == .agent && step.message == "" && step.results.isEmpty && step.reasoningContent == nil
            && step.reasoningEffort == nil && step.llmCallCount == 1 && !step.calls.isEmpty
            && step.calls.allSatisfy { !$0.id.isEmpty }
    }
}

extension Step {
    /// Metrics of another observation of the same call; a dispatch has none.
    fileprivate mutating func takeOver(_ other: StepMetrics) {
        if llmCallCount == 0 { return }
        if metrics == nil { metrics = other } else { metrics?.fill(from: other) }
    }
}
