internal import ATOF

/// Tools, and the agents and rejections that take their place.
extension StepMachine {
    mutating func toolStarted(_ event: ScopeEvent) {
        var known = event.callID ?? scopeCalls[event.uuid] ?? correlated[event.uuid]
        if known == nil, let current {
            known = agents[current].call(named: event.name, for: event.uuid, once: !isStrict)
        }
        guard let id = known else { return }
        scopeCalls[event.uuid] = id
        guard current != nil else { return }
        if owner(of: id) == nil {
            let arguments = event.arguments ?? [:]
            append(
                StepCall(
                    id: id, name: event.name,
                    arguments: isStrict ? arguments : ToolPromotion.normalized(arguments), extra: event.extra))
        }
        activeCall = id
    }

    mutating func toolEnded(_ event: ScopeEvent) {
        let id =
            event.callID ?? scopeCalls[event.uuid] ?? correlated[event.uuid]
            ?? current.flatMap { agents[$0].onlyCall(named: event.name) }
        if let result = StepResult(toolEnd: event, callID: id, compatibility: index.compatibility) {
            pending.append(result)
            pendingTime = pendingTime ?? event.time
        }
        if activeCall == id { activeCall = nil }
        guard let id else { return }
        let record = AgentStep.ToolRecord(callID: id, end: event)
        if let owner = owner(of: id) {
            agents[owner].records.append(record)
        } else {
            unclaimed.add(record)
        }
    }

    // MARK: Subagents

    mutating func subagentStarted(_ start: ScopeEvent) {
        let delegation = start.delegationID ?? (isStrict ? nil : enclosingCall(of: start)) ?? activeCall
        let owner = delegation.flatMap(owner)
        flush()
        let reference = SubagentReference(uuid: start.uuid, name: start.name, sessionID: start.sessionID)
        if let delegation, let owner {
            attach(StepResult(callID: delegation, references: [reference], extra: start.extra), to: owner)
            return
        }
        if isStrict { current = nil }
        let id = "subagent:\(start.uuid)"
        var arguments = JSONObject([("name", .string(start.name))])
        arguments["session_id"] = start.sessionID.map { .string($0) }
        arguments["payload"] = start.data
        var step = Step(source: .agent, time: start.time)
        step.calls = [StepCall(id: id, name: start.name, arguments: .object(arguments), extra: start.extra)]
        step.results = [StepResult(callID: id, references: [reference], extra: start.extra)]
        step.llmCallCount = 0
        steps.append(step)
    }

    /// The call of the nearest tool that an agent runs in. The reference takes the tool that started last, which is
    /// another one when tools run side by side.
    private func enclosingCall(of start: ScopeEvent) -> String? {
        var visited: Set<EventUUID> = []
        var next = start.parent
        while let uuid = next, visited.insert(uuid).inserted, let scope = index.start(of: uuid) {
            if scope.category == .agent { return nil }
            if scope.category == .tool, let id = scope.callID ?? scopeCalls[uuid] ?? correlated[uuid] { return id }
            next = scope.parent
        }
        return nil
    }

    // MARK: Rejections

    /// A rejected call has no scope of its own: what the guardrail says is the result of the tool's call, or a step.
    mutating func guardrailEnded(_ event: ScopeEvent) {
        guard let data = event.data, data["rejected"] == true else { return }
        flush()
        let target = index.start(of: event.uuid)?.data ?? .null
        let reason = data["rejection_reason"]?.stringValue ?? "rejected by \(event.name)"
        var extra = event.extra
        extra["guardrail"] = data
        extra["target"] = target.nonNull
        if target["kind"] == "tool_conditional_execution", let current, let name = target["target_name"]?.stringValue,
            let id = agents[current].onlyCall(named: name), agents[current].results[id] == nil
        {
            extra["status"] = "rejected"
            attach(StepResult(callID: id, content: .string(reason), extra: extra), to: current)
            return
        }
        var step = Step(source: .system, time: event.time)
        step.message = .string(reason)
        step.extra = .object(extra)
        steps.append(step)
    }
}
