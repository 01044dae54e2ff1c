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
    var extra: Extra?

    /// What stands in `extra`, which is put together when it is written.
    enum Extra: Sendable {
        case object(JSONObject)
        /// A model call's start and its request.
        case request(ScopeEvent, JSONDraft.Payload)
        /// A model call's step, by its index.
        case agent(Int)
        /// Executions of tools whose calls are on no step.
        case executions([AgentStep.ToolRecord])
    }

    /// The reference writes times with nanoseconds, which few readers take.
    ///
    /// - Parameter agents: those of the machine that made the step.
    func write<Sink: JSONSink & ~Copyable>(to sink: inout Sink, id: Int, agents: [AgentStep], _ index: ScopeIndex) {
        sink.beginObject()
        if let extra {
            sink.key("extra")
            write(extra, to: &sink, agents: agents, index)
        }
        sink.member("llm_call_count", llmCallCount)
        sink.member("message", message)
        if let metrics {
            sink.key("metrics")
            metrics.write(to: &sink)
        }
        sink.member("model_name", modelName)
        if !results.isEmpty {
            sink.key("observation")
            sink.beginObject()
            sink.key("results")
            sink.beginArray()
            // In a span, here and below: an iterator would copy each result, and so count all that it holds.
            let results = results.span
            for position in results.indices {
                sink.element()
                results[position].write(to: &sink)
            }
            sink.endArray()
            sink.endObject()
        }
        sink.member("reasoning_content", reasoningContent)
        sink.member("reasoning_effort", reasoningEffort)
        sink.member("source", source.rawValue)
        sink.member("step_id", Int64(id))
        sink.member("timestamp", time.map { index.compatibility.isStrict ? $0 : $0.inMicroseconds })
        if !calls.isEmpty {
            sink.key("tool_calls")
            sink.beginArray()
            let calls = calls.span
            for position in calls.indices {
                sink.element()
                calls[position].write(to: &sink)
            }
            sink.endArray()
        }
        sink.endObject()
    }

    private func write<Sink: JSONSink & ~Copyable>(
        _ extra: Extra, to sink: inout Sink, agents: [AgentStep], _ index: ScopeIndex
    ) {
        switch extra {
        case .object(let object): sink.write(object)
        case .agent(let position): agents.span[position].writeExtra(to: &sink, index)
        case .request(let start, let payload):
            sink.beginObject()
            sink.key("ancestry")
            index.writeAncestry(of: start, to: &sink)
            sink.member("llm_request", payload)
            sink.endObject()
        case .executions(let records):
            sink.beginObject()
            AgentStep.write(records, to: &sink, index)
            sink.endObject()
        }
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

    func write<Sink: JSONSink & ~Copyable>(to sink: inout Sink) {
        sink.beginObject()
        sink.member("arguments", arguments)
        sink.member("extra", extra)
        sink.member("function_name", name)
        sink.member("tool_call_id", id)
        sink.endObject()
    }

    /// Gives it an id that is its own, and keeps the one that it came with.
    mutating func rename(position: Int) {
        var extra = extra ?? JSONObject()
        if extra["tool_call_id"] == nil { extra["tool_call_id"] = .string(id) }
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
    /// It stands for an execution that nothing else tells of.
    var isExecution = false
    private var storedExtra: Extra?
    /// Further results of the call, without its id.
    private var others: [StepResult] = []

    /// What stands in `extra`, which is made for who changes it.
    private enum Extra: Sendable {
        case object(JSONObject)
        /// What the end of a tool says, with or without what it gave back.
        case end(ScopeEvent, withResult: Bool)
    }

    var extra: JSONObject? {
        get {
            switch storedExtra {
            case .object(let object): object
            case .end(let end, let withResult): end.extra(withResult: withResult)
            case nil: nil
            }
        }
        set { storedExtra = newValue.map { .object($0) } }
    }

    private var json: JSONValue {
        var builder = JSONValueBuilder()
        write(to: &builder)
        return builder.value
    }

    func write<Sink: JSONSink & ~Copyable>(to sink: inout Sink) {
        sink.beginObject()
        sink.member("content", content)
        if others.isEmpty, case .end(let end, let withResult) = storedExtra {
            sink.key("extra")
            end.writeExtra(withResult: withResult, to: &sink)
        } else if others.isEmpty {
            sink.member("extra", extra)
        } else {
            var extra = extra ?? JSONObject()
            extra["other_results"] = .array(others.map(\.json))
            sink.member("extra", extra)
        }
        sink.member("source_call_id", callID)
        if !references.isEmpty {
            sink.key("subagent_trajectory_ref")
            sink.beginArray()
            for reference in references {
                sink.element()
                reference.write(to: &sink)
            }
            sink.endArray()
        }
        sink.endObject()
    }

    /// What a tool gave back; nil when its end says nothing. The reference says nothing of failed tools, and takes parts with
    /// members that the schema does not have.
    init?(toolEnd event: ScopeEvent, callID: String?, compatibility: Compatibility) {
        let annotation = event.annotatedProfile?.member("tool_result_annotation")
        let failure = compatibility.isStrict ? nil : event.failure
        if event.payload == nil, annotation == nil, failure == nil { return nil }
        self.init(callID: callID)
        let (content, isWhole) = event.payload?.withRoot { StepResult.content(of: $0, compatibility) } ?? (nil, true)
        self.content = content
        storedExtra = .end(event, withResult: !isWhole)
        if let annotation { extra?["tool_result_annotation"] = annotation }
        if let failure {
            extra?["status"] = "error"
            if event.payload == nil { self.content = .string(failure.text) }
        }
    }

    /// The text or the parts that a tool gave back, and whether that is all.
    private static func content(
        of data: JSONCursor, _ compatibility: Compatibility
    ) -> (content: JSONValue?, isWhole: Bool) {
        if let text = data.stringValue { return (.string(text), true) }
        guard ContentParts.mayBeValid(data) else { return (nil, false) }
        let value = data.value
        guard ContentParts.isValid(value) else { return (nil, false) }
        let content = compatibility.isStrict ? value : ContentParts.cleaned(value)
        return (content, content == value)
    }

    /// Of an execution that gave nothing back, and whose call is nowhere.
    init(executionEnd end: ScopeEvent, callID: String?) {
        self.init(callID: callID, extra: end.extra)
        isExecution = true
    }

    init(callID: String?, content: JSONValue? = nil, references: [SubagentReference] = [], extra: JSONObject? = nil) {
        self.callID = callID
        self.content = content
        self.references = references
        storedExtra = extra.map { .object($0) }
    }

    /// Takes over what this result does not have yet (`atif-trajectories.md` 3.6): its own content and extra members
    /// stay.
    ///
    /// - Parameter keepsBoth: a second output becomes one of `extra.other_results`; the reference loses it.
    mutating func merge(_ other: StepResult, keepsBoth: Bool) {
        if keepsBoth, hasOutput, other.hasOutput {
            var further = other
            further.callID = nil
            others.append(further)
            return
        }
        var merged = extra ?? JSONObject()
        if content == nil { content = other.content }
        references += other.references
        // A reference comes with the child's event, which is not this result's.
        guard other.references.isEmpty, let additional = other.extra else { return }
        for member in additional where merged[member.key] == nil { merged[member.key] = member.value }
        extra = merged
    }

    private var hasOutput: Bool {
        if content != nil { return true }
        if case .end(_, let withResult) = storedExtra { return withResult }
        return extra?["tool_result"] != nil || extra?["tool_result_annotation"] != nil
    }

    /// Whether the result says anything beyond which event it came from.
    var isEmpty: Bool { !hasOutput && references.isEmpty && !isExecution }
}

/// A pointer from a result to an embedded trajectory.
struct SubagentReference: Sendable {
    let uuid: EventUUID
    let name: String
    let sessionID: String?

    func write<Sink: JSONSink & ~Copyable>(to sink: inout Sink) {
        sink.beginObject()
        sink.key("extra")
        sink.beginObject()
        sink.member("name", name)
        sink.member("scope_uuid", uuid)
        sink.endObject()
        sink.member("session_id", sessionID)
        sink.member("trajectory_id", uuid)
        sink.endObject()
    }
}

/// The steps of a document, which are written one by one.
struct StepList: JSONElements {
    let steps: [Step]
    /// Those of the machine that made the steps.
    let agents: [AgentStep]
    let index: ScopeIndex

    var count: Int { steps.count }

    func write(_ position: Int, to writer: inout JSONWriter) {
        steps.span[position].write(to: &writer, id: position + 1, agents: agents, index)
    }

    func write(_ position: Int, to builder: inout JSONValueBuilder) {
        steps.span[position].write(to: &builder, id: position + 1, agents: agents, index)
    }
}
