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
    /// Further members of `extra`, which is there then.
    var payloads: [(key: String, payload: JSONDraft.Payload)] = []
    /// Of a model call's step: where its `extra` and payloads come from.
    var agent: Int?

    /// The reference writes times with nanoseconds, which few readers take.
    ///
    /// - Parameter agents: those of the machine that made the step.
    func draft(id: Int, agents: [AgentStep], _ index: ScopeIndex) -> JSONDraft {
        let time = time.map { index.compatibility.isStrict ? $0 : $0.inMicroseconds }
        let extra = agent.map { agents[$0].extra(index) } ?? extra
        let payloads = agent.map { agents[$0].payloads } ?? payloads
        var object = JSONDraft.Object(
            JSONObject(present: [
                ("extra", payloads.isEmpty ? extra.map { .object($0) } : nil),
                ("llm_call_count", llmCallCount.map { .int($0) }),
                ("message", message),
                ("metrics", metrics?.json),
                ("model_name", modelName.map { .string($0) }),
                ("observation", results.isEmpty ? nil : ["results": .array(results.map(\.json))]),
                ("reasoning_content", reasoningContent.map { .string($0) }),
                ("reasoning_effort", reasoningEffort),
                ("source", .string(source.rawValue)),
                ("step_id", .int(Int64(id))),
                ("timestamp", time.map { .string($0.rfc3339) }),
                ("tool_calls", calls.isEmpty ? nil : .array(calls.map(\.json))),
            ]))
        if !payloads.isEmpty {
            var extra = JSONDraft.Object(extra ?? JSONObject())
            for (key, payload) in payloads { extra[key] = .payload(payload) }
            object["extra"] = .object(extra)
        }
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
        .object(
            JSONObject(present: [
                ("arguments", arguments), ("extra", extra.map { .object($0) }), ("function_name", .string(name)),
                ("tool_call_id", .string(id)),
            ]))
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
        .object(
            JSONObject(present: [
                ("content", content), ("extra", extra.map { .object($0) }),
                ("source_call_id", callID.map { .string($0) }),
                ("subagent_trajectory_ref", references.isEmpty ? nil : .array(references.map(\.json))),
            ]))
    }

    /// What a tool gave back; nil when its end says nothing. The reference says nothing of failed tools, and takes parts with
    /// members that the schema does not have.
    init?(toolEnd event: ScopeEvent, callID: String?, compatibility: Compatibility) {
        let annotation = event.annotatedProfile?.member("tool_result_annotation")
        let failure = compatibility.isStrict ? nil : event.failure
        let data = event.data
        if data == nil, annotation == nil, failure == nil { return nil }
        self.init(callID: callID)
        var extra = event.extra
        if let data {
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
            if data == nil { content = .string(failure.text) }
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
