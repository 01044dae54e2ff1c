internal import ATOF

/// Results of tools on their way to the calls that they answer (`atif-trajectories.md` 3.6).
extension StepMachine {
    /// Gives pending observations to the steps of their calls, sets those of unknown calls aside, and makes a step of
    /// those without a call.
    mutating func flush() {
        guard let time = pendingTime else { return }
        var unnamed: [StepResult] = []
        for (result, end) in pending {
            if let id = result.callID {
                if let owner = owner(of: end, id) {
                    attach(result, to: owner)
                } else {
                    unclaimed.add(result, id: id, end: end, at: time)
                }
            } else {
                // No step has its call; the reference loses what the tool was called with.
                var result = result
                if !isStrict, let arguments = arguments(of: end) { result.extra?["tool_arguments"] = arguments }
                unnamed.append(result)
            }
        }
        if !unnamed.isEmpty {
            var step = Step(source: .system, time: time)
            step.results = unnamed
            steps.append(step)
        }
        pending = []
        pendingTime = nil
    }

    /// What a tool was called with, if that says anything.
    func arguments(of end: ScopeEvent) -> JSONValue? {
        index.start(of: end.uuid)?.data.flatMap { $0 == [:] ? nil : $0 }
    }

    /// Adds a result to a step, or merges it with the one that its call has.
    mutating func attach(_ result: StepResult, to agent: Int) {
        guard let id = result.callID else { return }
        let step = agents[agent].step
        if let position = agents[agent].results[id] {
            steps[step].results[position].merge(result, keepsBoth: !isStrict)
        } else {
            agents[agent].results.enter(id, steps[step].results.count)
            steps[step].results.append(result)
        }
    }
}
