internal import ATOF

/// A step of a trajectory while it is built (`atif-trajectories.md` 3).
struct Step: Sendable {
    enum Source: String, Sendable {
        case system, user, agent
    }

    var source: Source
    var message: JSONValue = ""
    /// Nil only where no event is known.
    var time: EventTime?
    var modelName: String?
    var reasoningEffort: JSONValue?
    var reasoningContent: String?
    var calls: [StepCall] = []
    var results: [StepResult] = []
    var metrics: StepMetrics?
    var llmCallCount: Int64?
    var extra: JSONObject?

    /// - Parameter compatibility: the reference writes times with nanoseconds, which few readers take.
    func json(id: Int, compatibility: Compatibility) -> JSONValue {
        var object = JSONObject([
            ("step_id", .int(Int64(id))), ("source", .string(source.rawValue)), ("message", message),
        ])
        object["timestamp"] = time.map { .string((compatibility.isStrict ? $0 : $0.inMicroseconds).rfc3339) }
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

    /// An effort as the schema has it: a text or a number.
    static func scalar(_ effort: JSONValue) -> JSONValue {
        switch effort {
        case .int, .unsigned, .double, .string: effort
        case .null, .bool, .array, .object: .string(effort.compactText)
        }
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

    /// Gives it an id that is its own, and keeps the one that it came with.
    mutating func rename(position: Int) {
        var extra = extra ?? JSONObject()
        extra["tool_call_id"] = .string(id)
        self.extra = extra
        id += ":\(position)"
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

    /// What a tool gave back; nil when its end says nothing. The reference says nothing of failed tools, and takes parts with
    /// members that the schema does not have.
    init?(toolEnd event: ScopeEvent, callID: String?, compatibility: Compatibility) {
        let annotation = event.profile?.member("tool_result_annotation")
        let failure = compatibility.isStrict ? nil : event.failure
        if event.data == nil, annotation == nil, failure == nil { return nil }
        self.init(callID: callID)
        var extra = event.extra
        if let data = event.data {
            if data.stringValue != nil {
                content = data
            } else if ContentParts.isValid(data) {
                content = compatibility.isStrict ? data : ContentParts.cleaned(data)
                if content != data { extra["tool_result"] = data }
            } else {
                extra["tool_result"] = data
            }
        }
        extra["tool_result_annotation"] = annotation
        if let failure {
            extra["status"] = "error"
            if event.data == nil { content = .string(failure.text) }
        }
        self.extra = extra
    }

    init(callID: String?, content: JSONValue? = nil, references: [SubagentReference] = [], extra: JSONObject? = nil) {
        self.callID = callID
        self.content = content
        self.references = references
        self.extra = extra
    }

    /// Takes over what this result does not have yet (`atif-trajectories.md` 3.6): its own content and extra members
    /// stay.
    ///
    /// - Parameter keepsBoth: a second output becomes one of `extra.other_results`; the reference loses it.
    mutating func merge(_ other: StepResult, keepsBoth: Bool) {
        var merged = extra ?? JSONObject()
        if keepsBoth, hasOutput, other.hasOutput {
            var others = merged["other_results"]?.arrayValue ?? []
            var further = other
            further.callID = nil
            others.append(further.json)
            merged["other_results"] = .array(others)
            extra = merged
            return
        }
        if content == nil { content = other.content }
        references += other.references
        // A reference comes with the child's event, which is not this result's.
        guard other.references.isEmpty, let additional = other.extra else { return }
        for member in additional where merged[member.key] == nil { merged[member.key] = member.value }
        extra = merged
    }

    private var hasOutput: Bool {
        content != nil || extra?["tool_result"] != nil || extra?["tool_result_annotation"] != nil
    }

    /// Whether the result says anything beyond which event it came from.
    var isEmpty: Bool { !hasOutput && references.isEmpty }
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
