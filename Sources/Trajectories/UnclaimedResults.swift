internal import ATOF

/// Results and executions of tools whose call is on no step yet (`atif-trajectories.md` 3.6, 3.8).
struct UnclaimedResults: Sendable {
    private struct Item: Sendable {
        let result: StepResult
        let end: ScopeEvent
        let time: EventTime
        let position: Int
    }

    private var results: [String: [Item]] = [:]
    private var records: [String: [AgentStep.ToolRecord]] = [:]
    private var count = 0

    var isEmpty: Bool { results.isEmpty && records.isEmpty }

    /// - Parameters:
    ///   - end: the execution's.
    ///   - time: of the first of the results that came together.
    mutating func add(_ result: StepResult, id: String, end: ScopeEvent, at time: EventTime) {
        results[id, default: []].append(Item(result: result, end: end, time: time, position: count))
        count += 1
    }

    mutating func add(_ record: AgentStep.ToolRecord) { records[record.callID, default: []].append(record) }

    /// The results for an id, with the ends of their executions and the times that they came with.
    mutating func claimResults(_ id: String) -> [(result: StepResult, end: ScopeEvent, time: EventTime)] {
        (results.removeValue(forKey: id) ?? []).map { ($0.result, $0.end, $0.time) }
    }

    mutating func claimRecords(_ id: String) -> [AgentStep.ToolRecord] { records.removeValue(forKey: id) ?? [] }

    private static func ordered(_ items: some Sequence<Item>) -> [Item] {
        items.sorted { ($0.time, $0.position) < ($1.time, $1.position) }
    }

    /// What the reference makes of results whose call never came: one step at the end, without their ids.
    func trailingStep() -> Step? {
        let ordered = UnclaimedResults.ordered(results.values.joined())
        guard let first = ordered.first else { return nil }
        var step = Step(source: .system, time: first.time)
        step.results = ordered.map { item in
            var result = item.result
            result.callID = nil
            return result
        }
        return step
    }

    /// A step for all that came together, at its time, with the ids in `extra` and what is known of the executions.
    ///
    /// - Parameter arguments: what a tool was called with, by its end; nil when that says nothing.
    func steps(_ arguments: (ScopeEvent) -> JSONValue?) -> [Step] {
        var steps: [Step] = []
        var executions: [AgentStep.ToolRecord] = []
        var entered: Set<String> = []
        // Executions that gave nothing back, and were asked something.
        let silent = records.filter { results[$0.key] == nil }.values.joined()
            .filter { arguments($0.end) != nil }
            .sorted { ($0.end.time, $0.end.uuid) < ($1.end.time, $1.end.uuid) }
            .enumerated().map { offset, record in
                Item(
                    result: StepResult(executionEnd: record.end, callID: record.callID), end: record.end,
                    time: record.end.time, position: count + offset)
            }
        for item in UnclaimedResults.ordered(results.values.joined() + silent) {
            if steps.last?.time != item.time {
                UnclaimedResults.enter(&executions, into: &steps)
                steps.append(Step(source: .system, time: item.time))
            }
            var result = item.result
            if let arguments = arguments(item.end) { result.extra?["tool_arguments"] = arguments }
            if let id = result.callID {
                var extra = result.extra ?? JSONObject()
                extra["tool_call_id"] = .string(id)
                result.extra = extra
                if entered.insert(id).inserted { executions += records[id] ?? [] }
                result.callID = nil
            }
            steps[steps.count - 1].results.append(result)
        }
        UnclaimedResults.enter(&executions, into: &steps)
        return steps
    }

    private static func enter(_ executions: inout [AgentStep.ToolRecord], into steps: inout [Step]) {
        if executions.isEmpty || steps.isEmpty { return }
        steps[steps.count - 1].extra = .executions(executions)
        executions = []
    }

    /// Puts steps into a list at their time; both are in order of time.
    static func merged(_ additional: [Step], into steps: [Step]) -> [Step] {
        if additional.isEmpty { return steps }
        var merged: [Step] = []
        merged.reserveCapacity(steps.count + additional.count)
        var rest = additional[...]
        for step in steps {
            while let first = rest.first, let time = first.time, let next = step.time, time < next {
                merged.append(rest.removeFirst())
            }
            merged.append(step)
        }
        return merged + rest
    }
}
