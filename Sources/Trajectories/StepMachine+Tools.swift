internal import ATOF

/// Tools, and the agents and rejections that take their place.
extension StepMachine {
    mutating func toolStarted(_ event: ScopeEvent) {
        if bound[event.uuid] != nil || endedEarly.contains(event.uuid) { return }
        var found = call(of: event)
        if found == nil, let current, let id = event.callID ?? ownID(of: event, among: current) {
            append(
                StepCall(
                    id: id, name: event.name, arguments: ToolPromotion.normalized(event.arguments ?? [:]),
                    extra: event.extra))
            found = asked.calls.indices.last
        }
        guard let found else { return }
        bind(event, to: found)
        if current != nil { activeTool = found }
    }

    mutating func toolEnded(_ event: ScopeEvent) {
        // By clocks that differ it ends before it starts: that has its place here then.
        if let start = index.start(of: event.uuid), start.time > event.time {
            toolStarted(start)
            endedEarly.insert(event.uuid)
        }
        let found = call(of: event)
        if let found { bind(event, to: found) }
        let id = found.map { asked.calls[$0].id } ?? event.callID ?? correlated[event.uuid]
        var result = StepResult(toolEnd: event, callID: id, compatibility: index.compatibility)
        if result == nil, id == nil, arguments(of: event) != nil {
            result = StepResult(executionEnd: event, callID: nil)
        }
        if let result {
            pending.append((result, event))
            pendingTime = pendingTime ?? event.time
        }
        if activeTool == found { activeTool = nil }
        guard let id else { return }
        let record = AgentStep.ToolRecord(callID: id, end: event)
        if let found {
            agents[asked.calls[found].agent].records.append(record)
        } else {
            unclaimed.add(record)
        }
    }

    private mutating func bind(_ tool: ScopeEvent, to call: Int) {
        asked.take(call)
        bound[tool.uuid] = call
    }

    /// The call of a tool: by its id, else by its name and arguments; without an id also by its name alone.
    private mutating func call(of tool: ScopeEvent) -> Int? {
        if let call = bound[tool.uuid] { return call }
        let start = tool.isStart ? tool : index.start(of: tool.uuid)
        if let id = tool.callID ?? start?.callID {
            // Some models ask without ids, and whoever runs the tools makes up some.
            return call(of: tool, started: start, id: id)
                ?? start?.arguments.flatMap { asked.openCall(tool.name, ToolPromotion.normalized($0)) }
        }
        if let id = correlated[tool.uuid] {
            // It ran before the model's call ended.
            if !asked.hasAsked(for: id) { return nil }
            if let call = call(of: tool, started: start, id: id), !asked.calls[call].isTaken,
                asked.calls[call].name == tool.name
            {
                return call
            }
        }
        if let arguments = start?.arguments,
            let call = asked.openCall(tool.name, ToolPromotion.normalized(arguments))
        {
            return call
        }
        guard let newest else { return nil }
        if let call = asked.onlyOpenCall(tool.name, agent: newest) { return call }
        return tool.isStart ? nil : asked.onlyCall(tool.name, agent: newest)
    }

    private mutating func call(of tool: ScopeEvent, started start: ScopeEvent?, id: String) -> Int? {
        asked.call(id: id, name: tool.name, arguments: start?.arguments.map(ToolPromotion.normalized))
    }

    /// The id of a call that nobody asked for; nil where one may be meant that somebody did, or will.
    private mutating func ownID(of tool: ScopeEvent, among agent: Int) -> String? {
        if let id = correlated[tool.uuid], !asked.hasAsked(for: id) { return nil }
        return asked.hasOpenCall(tool.name, agent: agent) ? nil : tool.uuid.description
    }

    /// Finds the call of a tool that ended before an id was asked for.
    ///
    /// - Returns: the call's own id; nil when the tool had no id and another one's call has taken this.
    mutating func claim(_ end: ScopeEvent, _ id: String) -> String? {
        let start = index.start(of: end.uuid)
        guard let call = bound[end.uuid] ?? call(of: end, started: start, id: id) else { return nil }
        if end.callID == nil, start?.callID == nil, asked.calls[call].name != end.name { return nil }
        bind(end, to: call)
        return asked.calls[call].id
    }

    /// The model call that a tool's call belongs to. The reference knows only those of the current one.
    func owner(of tool: ScopeEvent, _ id: String) -> Int? {
        if isStrict { return currentOwner(of: id) }
        return bound[tool.uuid].map { asked.calls[$0].agent }
    }

    // MARK: Subagents

    mutating func subagentStarted(_ start: ScopeEvent) {
        let delegation = isStrict ? delegationAsInReference(of: start) : delegation(of: start)
        flush()
        let reference = SubagentReference(uuid: start.uuid, name: start.name, sessionID: start.sessionID)
        if let delegation {
            attach(
                StepResult(callID: delegation.id, references: [reference], extra: start.extra), to: delegation.agent)
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

    /// The call that an agent was started for, and its model call. The reference takes the tool that started last, which is
    /// another one when tools run side by side.
    private func delegation(of start: ScopeEvent) -> (id: String, agent: Int)? {
        let tool = enclosingTool(of: start)
        var call = tool.flatMap { bound[$0.uuid] }
        if let id = start.delegationID, call.map({ asked.calls[$0].askedID }) != id { call = asked.call(id: id) }
        if call == nil, tool == nil, start.delegationID == nil { call = activeTool }
        return call.map { (asked.calls[$0].id, asked.calls[$0].agent) }
    }

    /// The nearest tool with a call that an agent runs in.
    private func enclosingTool(of start: ScopeEvent) -> ScopeEvent? {
        var visited: Set<EventUUID> = []
        var next = start.parent
        while let uuid = next, visited.insert(uuid).inserted, let scope = index.start(of: uuid) {
            if scope.category == .agent { return nil }
            if scope.category == .tool, bound[uuid] != nil || scope.callID != nil || correlated[uuid] != nil {
                return scope
            }
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
            let call = asked.onlyCall(name, agent: current), agents[current].results[asked.calls[call].id] == nil
        {
            extra["status"] = "rejected"
            asked.take(call)
            attach(StepResult(callID: asked.calls[call].id, content: .string(reason), extra: extra), to: current)
            return
        }
        var step = Step(source: .system, time: event.time)
        step.message = .string(reason)
        step.extra = .object(extra)
        steps.append(step)
    }
}
