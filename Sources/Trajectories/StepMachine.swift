internal import ATOF
internal import LLMCodecs

/// Turns the events of one agent into steps (`atif-trajectories.md` 3).
///
/// Values of a call that the reference keeps in slots are kept by the call's UUID here, so that overlapping calls don't
/// mix (D2).
struct StepMachine: Sendable {
    enum Input: Sendable {
        case scope(ScopeEvent)
        /// The start of an agent directly below this one.
        case subagent(ScopeEvent)
    }

    private let index: ScopeIndex
    private let duplicates: DuplicateCalls
    private let correlated: [EventUUID: String]

    private var steps: [Step] = []
    private var current: AgentStep?
    /// Positions of the tool calls of the latest agent step; outlives the step's being current.
    private var order: [String: Int] = [:]
    private var scopeCalls: [EventUUID: String] = [:]
    private var activeCall: String?
    private var pending: [StepResult] = []
    private var pendingTime: EventTime?
    private var deferred: [String: [Deferred]] = [:]
    private var deferredCount = 0
    private var deferredRecords: [String: [ToolRecord]] = [:]
    private var requests: [EventUUID: CallRequest] = [:]

    /// What the start of a model call leaves for its end.
    private struct CallRequest: Sendable {
        let reasoningEffort: JSONValue?
        /// The request of a call that made no user step.
        let continuation: JSONValue?
    }

    /// The step that tools belong to.
    private struct AgentStep: Sendable {
        let index: Int
        let ancestry: JSONValue
        let invocation: JSONValue
        let request: JSONValue?
        let response: JSONValue
        var records: [ToolRecord] = []
        /// Ids of the calls by function name.
        var named: [String: [String]] = [:]
        /// Positions of results by call id.
        var results: [String: Int] = [:]
    }

    private struct ToolRecord: Sendable {
        let callID: String
        let ancestry: JSONValue
        let invocation: JSONValue
    }

    /// A result whose call is on no step yet.
    private struct Deferred: Sendable {
        let result: StepResult
        let time: EventTime
        let position: Int
    }

    /// - Parameter events: those of the agent, in order of time: tools are correlated ahead of the walk.
    init(index: ScopeIndex, duplicates: DuplicateCalls, events: [ScopeEvent]) {
        self.index = index
        self.duplicates = duplicates
        correlated = ToolCorrelation.callIDs(of: events)
    }

    mutating func receive(_ input: Input) {
        switch input {
        case .subagent(let start): subagentStarted(start)
        case .scope(let event):
            switch event.category {
            case .llm:
                if duplicates.suppressed.contains(event.uuid) { return }
                if event.isStart { modelCallStarted(event) } else { modelCallEnded(event) }
            case .tool:
                if event.isStart { toolStarted(event) } else { toolEnded(event) }
            case .agent, .function, .retriever, .embedder, .reranker, .guardrail, .evaluator, .custom, .unknown: break
            }
        }
    }

    /// The steps, when all events have been received.
    mutating func finish() -> [Step] {
        flush()
        appendUnclaimed()
        finalizeCurrent()
        return StepMachine.withoutProjections(steps)
    }

    // MARK: Model calls

    private mutating func modelCallStarted(_ event: ScopeEvent) {
        flush()
        finalizeCurrent()
        scopeCalls = [:]
        activeCall = nil
        guard let request = event.request else { return }
        let effort = request.member("reasoning_effort")
        let annotated = LLMNormalizer.annotatedRequest(event.profile)
        if case .continuation = TurnState(annotated: annotated, request: request), index.answered.contains(event.uuid) {
            requests[event.uuid] = CallRequest(reasoningEffort: effort, continuation: request)
            return
        }
        requests[event.uuid] = CallRequest(reasoningEffort: effort, continuation: nil)
        var step = Step(source: .user, timestamp: event.time.rfc3339)
        step.message = MessageText.user(annotated: annotated, request: request)
        step.extra = JSONObject([("ancestry", index.ancestry(of: event)), ("llm_request", request)])
        steps.append(step)
    }

    private mutating func modelCallEnded(_ event: ScopeEvent) {
        flush()
        guard let data = event.data else { return }
        finalizeCurrent()
        let response = LLMNormalizer.response(profile: event.profile, data: data, pricing: index.pricing)
        let request = requests.removeValue(forKey: event.uuid)
        var step = Step(source: .agent, timestamp: event.time.rfc3339)
        step.message = MessageText.agent(annotated: LLMNormalizer.annotatedResponse(event.profile), response: data)
        step.modelName = ModelName.of(end: event, response: response, start: index.start(of: event.uuid))
        step.reasoningEffort = request?.reasoningEffort
        step.reasoningContent = data["reasoning"]?.stringValue
        step.metrics = metrics(of: event, response: response)
        step.llmCallCount = 1
        steps.append(step)
        current = AgentStep(
            index: steps.count - 1, ancestry: index.ancestry(of: event),
            invocation: index.invocation(id: event.uuid.description, end: event), request: request?.continuation,
            response: data)
        order = [:]
        for call in ToolPromotion.calls(in: data) { append(call) }
        claimDeferred()
    }

    private func metrics(of event: ScopeEvent, response: NormalizedResponse?) -> StepMetrics? {
        var metrics = StepMetrics(end: event, response: response, index: index)
        for end in duplicates.ends(replacedBy: event.uuid) {
            let response = LLMNormalizer.response(profile: end.profile, data: end.data, pricing: index.pricing)
            guard let other = StepMetrics(end: end, response: response, index: index) else { continue }
            if metrics == nil { metrics = other } else { metrics?.fill(from: other) }
        }
        return metrics
    }

    /// Adds a call to the current step.
    private mutating func append(_ call: StepCall) {
        guard let step = current?.index else { return }
        steps[step].calls.append(call)
        current?.named[call.name, default: []].append(call.id)
        if order[call.id] == nil { order[call.id] = order.count }
    }

    /// Attaches what ended before its call was known.
    private mutating func claimDeferred() {
        for id in order.sorted(by: { $0.value < $1.value }).map(\.key) {
            for item in deferred.removeValue(forKey: id) ?? [] { attach(item.result) }
            current?.records += deferredRecords.removeValue(forKey: id) ?? []
        }
    }

    // MARK: Tools

    private mutating func toolStarted(_ event: ScopeEvent) {
        var known = event.callID ?? scopeCalls[event.uuid] ?? correlated[event.uuid]
        if known == nil, let current {
            let sameName = current.named[event.name] ?? []
            if sameName.count == 1 { known = sameName[0] } else if sameName.isEmpty { known = event.uuid.description }
        }
        guard let id = known else { return }
        scopeCalls[event.uuid] = id
        guard current != nil else { return }
        if order[id] == nil {
            append(StepCall(id: id, name: event.name, arguments: event.data ?? [:], extra: event.extra))
        }
        activeCall = id
    }

    private mutating func toolEnded(_ event: ScopeEvent) {
        var id = event.callID ?? scopeCalls[event.uuid] ?? correlated[event.uuid]
        if id == nil, let sameName = current?.named[event.name], sameName.count == 1 { id = sameName[0] }
        let annotation = event.profile?.member("tool_result_annotation")
        if event.data != nil || annotation != nil {
            var result = StepResult(callID: id)
            var extra = event.extra
            if let data = event.data {
                if data.stringValue != nil || MessageText.isParts(data) {
                    result.content = data
                } else {
                    extra["tool_result"] = data
                }
            }
            extra["tool_result_annotation"] = annotation
            result.extra = extra
            pending.append(result)
            pendingTime = pendingTime ?? event.time
        }
        if activeCall == id { activeCall = nil }
        guard let id else { return }
        let record = ToolRecord(
            callID: id, ancestry: index.ancestry(of: event), invocation: index.invocation(id: id, end: event))
        if current != nil, order[id] != nil {
            current?.records.append(record)
        } else {
            deferredRecords[id, default: []].append(record)
        }
    }

    // MARK: Subagents

    private mutating func subagentStarted(_ start: ScopeEvent) {
        let delegation = (start.delegationID ?? activeCall).flatMap { order[$0] == nil ? nil : $0 }
        flush()
        let reference = SubagentReference(uuid: start.uuid, name: start.name, sessionID: start.sessionID)
        if let delegation, current != nil {
            attach(StepResult(callID: delegation, references: [reference], extra: start.extra), mergesExtra: false)
            return
        }
        finalizeCurrent()
        let id = "subagent:\(start.uuid)"
        var arguments = JSONObject([("name", .string(start.name))])
        arguments["session_id"] = start.sessionID.map { .string($0) }
        arguments["payload"] = start.data
        var step = Step(source: .agent, timestamp: start.time.rfc3339)
        step.calls = [StepCall(id: id, name: start.name, arguments: .object(arguments), extra: start.extra)]
        step.results = [StepResult(callID: id, references: [reference], extra: start.extra)]
        step.llmCallCount = 0
        steps.append(step)
    }

    // MARK: Observations

    /// Gives pending observations to the current step, sets those of other calls aside, and makes a step of those
    /// without a call.
    private mutating func flush() {
        guard let time = pendingTime else { return }
        var unnamed: [StepResult] = []
        for result in pending {
            if let id = result.callID {
                if current != nil, order[id] != nil {
                    attach(result)
                } else {
                    deferred[id, default: []].append(Deferred(result: result, time: time, position: deferredCount))
                    deferredCount += 1
                }
            } else {
                unnamed.append(result)
            }
        }
        if !unnamed.isEmpty {
            var step = Step(source: .system, timestamp: time.rfc3339)
            step.results = unnamed
            steps.append(step)
        }
        pending = []
        pendingTime = nil
    }

    /// Adds a result to the current step, or merges it with the one that its call has.
    private mutating func attach(_ result: StepResult, mergesExtra: Bool = true) {
        guard let step = current?.index, let id = result.callID else { return }
        if let position = current?.results[id] {
            var result = result
            if !mergesExtra { result.extra = nil }
            steps[step].results[position].merge(result)
        } else {
            current?.results[id] = steps[step].results.count
            steps[step].results.append(result)
        }
    }

    /// Observations whose call never came: one step at the end, without their ids.
    private mutating func appendUnclaimed() {
        let ordered = deferred.values.joined().sorted { ($0.time, $0.position) < ($1.time, $1.position) }
        guard let first = ordered.first else { return }
        var step = Step(source: .system, timestamp: first.time.rfc3339)
        step.results = ordered.map { item in
            var result = item.result
            result.callID = nil
            return result
        }
        steps.append(step)
    }

    /// Writes what is known about the current step and its tools into its `extra`.
    private mutating func finalizeCurrent() {
        guard let step = current else { return }
        current = nil
        var extra = JSONObject([
            ("ancestry", step.ancestry), ("invocation", step.invocation), ("llm_response", step.response),
        ])
        extra["llm_request"] = step.request
        let records = step.records.enumerated().sorted {
            (order[$0.element.callID] ?? .max, $0.offset) < (order[$1.element.callID] ?? .max, $1.offset)
        }
        if !records.isEmpty {
            extra["tool_ancestry"] = .array(records.map(\.element.ancestry))
            extra["tool_invocations"] = .array(records.map(\.element.invocation))
        }
        steps[step.index].extra = extra
    }

    // MARK: Clean-up

    /// Drops agent steps that only repeat calls of later steps of the same run of agent steps (`atif-trajectories.md`
    /// 3.8).
    private static func withoutProjections(_ steps: [Step]) -> [Step] {
        var kept: [Step] = []
        var later: Set<String> = []
        for step in steps.reversed() {
            guard step.source == .agent else {
                later = []
                kept.append(step)
                continue
            }
            let isBare =
                step.message == "" && step.results.isEmpty && step.reasoningContent == nil
                && step.reasoningEffort == nil
                && step.llmCallCount == 1 && !step.calls.isEmpty
            let signatures = step.calls.map(\.signature)
            if isBare, step.calls.allSatisfy({ !$0.id.isEmpty }), signatures.allSatisfy(later.contains) { continue }
            later.formUnion(signatures)
            kept.append(step)
        }
        return kept.reversed()
    }
}
