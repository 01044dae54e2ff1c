internal import ATOF

/// Finds the call of tool executions that don't name it (`atif-trajectories.md` 3.11).
enum ToolCorrelation {
    private struct Key: Hashable {
        let name: String
        let arguments: String
    }

    /// - Parameter events: those of one agent, in order of time.
    static func callIDs(of events: [ScopeEvent]) -> [EventUUID: String] {
        var ids: [EventUUID: String] = [:]
        for event in events where event.category == .tool {
            if let id = event.callID { ids[event.uuid] = id }
        }
        let used = Set(ids.values)
        var executions: [Key: [EventUUID]] = [:]
        var keys: [Key] = []
        var calls: [Key: [String]] = [:]
        for event in events {
            guard let data = event.data else { continue }
            if event.category == .tool, event.isStart, ids[event.uuid] == nil {
                let key = key(event.name, ToolPromotion.normalized(data))
                if executions[key] == nil { keys.append(key) }
                executions[key, default: []].append(event.uuid)
            } else if event.category == .llm, !event.isStart {
                for call in ToolPromotion.calls(in: data) where !used.contains(call.id) {
                    calls[key(call.name, call.arguments), default: []].append(call.id)
                }
            }
        }
        // In the order of the events: a scope that starts twice with other arguments stands under two keys.
        for key in keys {
            guard let uuids = executions[key], let candidates = calls[key], candidates.count == uuids.count else {
                continue
            }
            for (uuid, id) in zip(uuids, candidates) { ids[uuid] = id }
        }
        return ids
    }

    private static func key(_ name: String, _ arguments: JSONValue) -> Key {
        Key(name: name, arguments: arguments.compactText)
    }
}
