internal import ATOF

/// What a model call's step gathers while its tools run (`atif-trajectories.md` 3.0, 3.2).
struct AgentStep: Sendable {
    /// Its index among the steps.
    let step: Int
    let end: ScopeEvent
    /// The request of a call that made no user step.
    let request: JSONDraft.Payload?
    /// Why the call failed; nothing where the reference is followed.
    let failure: CallFailure?
    var records: [ToolRecord] = []
    /// Positions of its calls by id.
    private(set) var order = CallTable<Int>()
    /// Ids of the calls by function name, where the reference is followed.
    private var named = CallTable<[String]>()
    /// Positions of results by call id.
    var results = CallTable<Int>()

    /// One execution of a tool, for the step's `extra`.
    struct ToolRecord: Sendable {
        var callID: String
        let end: ScopeEvent
    }

    init(step: Int, end: ScopeEvent, request: JSONDraft.Payload?, failure: CallFailure?) {
        self.step = step
        self.end = end
        self.request = request
        self.failure = failure
    }

    /// - Parameter byName: whether somebody will ask for it by its name.
    mutating func append(_ call: StepCall, byName: Bool) {
        if byName { named.enter(call.name, [call.id]) { $0.append(call.id) } }
        order.enter(call.id, order.count)
    }

    /// Gives calls other ids.
    mutating func rename(_ ids: CallTable<String>) {
        ids.forEach { id, new in
            if let position = order[id] { order.enter(new, position) }
        }
        for index in records.indices {
            if let new = ids[records[index].callID] { records[index].callID = new }
        }
    }

    /// The call that an execution belongs to which names none (`atif-trajectories.md` 3.3): the only one of its name.
    ///
    /// - Returns: a new id when there is none, nil where several calls may be meant.
    func call(named name: String, for uuid: EventUUID) -> String? {
        let sameName = named[name] ?? []
        return sameName.count > 1 ? nil : sameName.first ?? uuid.description
    }

    /// The only call of a name.
    func onlyCall(named name: String) -> String? {
        guard let sameName = named[name], sameName.count == 1 else { return nil }
        return sameName[0]
    }

    /// The step's `extra` (`atif-trajectories.md` 3.5).
    func writeExtra<Sink: JSONSink & ~Copyable>(to sink: inout Sink, _ index: ScopeIndex) {
        sink.beginObject()
        sink.key("ancestry")
        index.writeAncestry(of: end, to: &sink)
        sink.member("error", failure?.json)
        sink.key("invocation")
        index.writeInvocation(of: end, hasFailed: failure != nil, to: &sink) { $0.write(end.uuid) }
        sink.member("llm_request", request)
        sink.member("llm_response", end.payload.map { JSONDraft.Payload($0) })
        AgentStep.write(sortedRecords, to: &sink, index)
        sink.endObject()
    }

    /// In the order of the calls.
    private var sortedRecords: [ToolRecord] {
        if records.count < 2 { return records }
        return records.enumerated().sorted {
            (order[$0.element.callID] ?? .max, $0.offset) < (order[$1.element.callID] ?? .max, $1.offset)
        }.map(\.element)
    }

    /// Writes executions as two lists of the same order, which are the last members of an `extra`.
    static func write<Sink: JSONSink & ~Copyable>(_ records: [ToolRecord], to sink: inout Sink, _ index: ScopeIndex) {
        if records.isEmpty { return }
        sink.key("tool_ancestry")
        sink.beginArray()
        for record in records {
            sink.element()
            index.writeAncestry(of: record.end, to: &sink)
        }
        sink.endArray()
        sink.key("tool_invocations")
        sink.beginArray()
        for record in records {
            sink.element()
            let hasFailed = !index.compatibility.isStrict && record.end.failure != nil
            index.writeInvocation(of: record.end, hasFailed: hasFailed, to: &sink) { $0.write(record.callID) }
        }
        sink.endArray()
    }
}
