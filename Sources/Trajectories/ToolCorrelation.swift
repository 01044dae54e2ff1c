internal import ATOF
internal import LLMCodecs

/// Finds the call of tool executions that don't name it (`atif-trajectories.md` 3.11).
enum ToolCorrelation {
    private struct Key: Hashable {
        let name: String
        let arguments: JSONValue
    }

    /// - Parameter events: those of one agent, in order of time.
    static func callIDs(of events: some Sequence<ScopeEvent>, compatibility: Compatibility) -> [EventUUID: String] {
        // Where every execution names its call, nobody asks for it.
        if events.allSatisfy({ $0.category != .tool || $0.callID != nil }) { return [:] }
        var ids: [EventUUID: String] = [:]
        for event in events where event.category == .tool {
            if let id = event.callID { ids[event.uuid] = id }
        }
        let used = Set(ids.values)
        var executions: [Key: [EventUUID]] = [:]
        var keys: [Key] = []
        for event in events where event.category == .tool && event.isStart && ids[event.uuid] == nil {
            guard let arguments = event.arguments else { continue }
            let key = Key(name: event.name, arguments: ToolPromotion.normalized(arguments))
            if executions[key] == nil { keys.append(key) }
            executions[key, default: []].append(event.uuid)
        }
        if keys.isEmpty { return ids }
        let calls = calls(of: events, without: used, compatibility)
        // In the order of the events: a scope that starts twice with other arguments stands under two keys.
        for key in keys {
            guard let uuids = executions[key], let candidates = calls[key], candidates.count == uuids.count else {
                continue
            }
            for (uuid, id) in zip(uuids, candidates) { ids[uuid] = id }
        }
        return ids
    }

    /// The ids of what the models asked for, in order of time.
    private static func calls(
        of events: some Sequence<ScopeEvent>, without used: Set<String>, _ compatibility: Compatibility
    ) -> [Key: [String]] {
        var calls: [Key: [String]] = [:]
        for event in events where event.category == .llm && !event.isStart {
            guard let data = event.answer(compatibility) else { continue }
            let asked = ToolPromotion.calls(
                in: data,
                response: LLMNormalizer.response(profile: event.annotatedProfile, data: data, compatibility),
                compatibility: compatibility)
            for call in asked where !used.contains(call.id) {
                calls[Key(name: call.name, arguments: call.arguments), default: []].append(call.id)
            }
        }
        return calls
    }
}
