internal import ATOF

/// A step of a trajectory while it is built (`atif-trajectories.md` 3).
struct Step: Sendable {
    enum Source: String, Sendable {
        case system, user, agent
    }

    var source: Source
    var message: JSONValue = ""
    var timestamp: String
    var modelName: String?
    var reasoningEffort: JSONValue?
    var reasoningContent: String?
    var calls: [StepCall] = []
    var results: [StepResult] = []
    var metrics: StepMetrics?
    var llmCallCount: Int64?
    var extra: JSONObject?

    func json(id: Int) -> JSONValue {
        var object = JSONObject([
            ("step_id", .int(Int64(id))), ("source", .string(source.rawValue)), ("message", message),
            ("timestamp", .string(timestamp)),
        ])
        object["model_name"] = modelName.map { .string($0) }
        object["reasoning_effort"] = reasoningEffort
        object["reasoning_content"] = reasoningContent.map { .string($0) }
        if !calls.isEmpty { object["tool_calls"] = .array(calls.map(\.json)) }
        if !results.isEmpty { object["observation"] = ["results": .array(results.map(\.json))] }
        object["metrics"] = metrics?.json
        object["llm_call_count"] = llmCallCount.map { .int($0) }
        object["extra"] = extra.map { .object($0) }
        return .object(object)
    }
}

/// A tool call that a step asked for.
struct StepCall: Sendable {
    var id: String
    var name: String
    var arguments: JSONValue
    var extra: JSONObject?

    var json: JSONValue {
        var object = JSONObject([
            ("tool_call_id", .string(id)), ("function_name", .string(name)), ("arguments", arguments),
        ])
        object["extra"] = extra.map { .object($0) }
        return .object(object)
    }

    /// Equal for calls of the same id, name and arguments.
    var signature: String { JSONValue.array([.string(id), .string(name), arguments]).compactText }
}

/// One observation: what a tool or a subagent gave back.
struct StepResult: Sendable {
    var callID: String?
    var content: JSONValue?
    var references: [SubagentReference] = []
    var extra: JSONObject?

    var json: JSONValue {
        var object = JSONObject()
        object["source_call_id"] = callID.map { .string($0) }
        object["content"] = content
        if !references.isEmpty { object["subagent_trajectory_ref"] = .array(references.map(\.json)) }
        object["extra"] = extra.map { .object($0) }
        return .object(object)
    }

    /// Takes over what this result does not have yet (`atif-trajectories.md` 3.6): its own content and extra members
    /// stay.
    mutating func merge(_ other: StepResult) {
        if content == nil { content = other.content }
        references += other.references
        guard let additional = other.extra else { return }
        var merged = extra ?? JSONObject()
        for member in additional where merged[member.key] == nil { merged[member.key] = member.value }
        extra = merged
    }

    /// Whether the result says anything beyond which event it came from.
    var isEmpty: Bool {
        content == nil && references.isEmpty && extra?["tool_result"] == nil && extra?["tool_result_annotation"] == nil
    }
}

/// A pointer from a result to an embedded trajectory.
struct SubagentReference: Sendable {
    let uuid: EventUUID
    let name: String
    let sessionID: String?

    var json: JSONValue {
        var object = JSONObject([
            ("trajectory_id", .string(uuid.description)),
            ("extra", ["name": .string(name), "scope_uuid": .string(uuid.description)]),
        ])
        object["session_id"] = sessionID.map { .string($0) }
        return .object(object)
    }
}
