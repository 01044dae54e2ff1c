internal import ATOF

/// Tools as the reference has them, which knows calls by their ids (`atif-trajectories.md` 3.3, 3.4, 3.7).
extension StepMachine {
    mutating func toolStartedAsInReference(_ event: ScopeEvent) {
        let known = event.callID ?? scopeCalls[event.uuid] ?? correlated[event.uuid]
        guard let id = known ?? current.flatMap({ agents[$0].call(named: event.name, for: event.uuid) }) else { return }
        scopeCalls[event.uuid] = id
        guard current != nil else { return }
        if currentOwner(of: id) == nil {
            append(StepCall(id: id, name: event.name, arguments: event.arguments ?? [:], extra: event.extra))
        }
        activeCall = id
    }

    mutating func toolEndedAsInReference(_ event: ScopeEvent) {
        let id =
            event.callID ?? scopeCalls[event.uuid] ?? correlated[event.uuid]
            ?? current.flatMap { agents[$0].onlyCall(named: event.name) }
        if let result = StepResult(toolEnd: event, callID: id, compatibility: index.compatibility) {
            pending.append((result, event))
            pendingTime = pendingTime ?? event.time
        }
        if activeCall == id { activeCall = nil }
        guard let id else { return }
        let record = AgentStep.ToolRecord(callID: id, end: event)
        if let owner = currentOwner(of: id) {
            agents[owner].records.append(record)
        } else {
            unclaimed.add(record)
        }
    }

    /// The call that a subagent was started for, and its model call.
    func delegationAsInReference(of start: ScopeEvent) -> (id: String, agent: Int)? {
        guard let id = start.delegationID ?? activeCall, let agent = currentOwner(of: id) else { return nil }
        return (id, agent)
    }

    /// The current model call if it has a call of this id.
    func currentOwner(of id: String) -> Int? {
        guard let current, agents[current].order[id] != nil else { return nil }
        return current
    }
}
