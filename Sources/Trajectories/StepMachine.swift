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

    let index: ScopeIndex
    private let duplicates: DuplicateCalls
    let correlated: [EventUUID: String]

    var steps: [Step] = []
    /// Steps of model calls, which tools belong to.
    var agents: [AgentStep] = []
    /// The one that tools belong to which name no call.
    var current: Int?
    /// The newest that has an answer.
    var newest: Int?
    var asked = AskedCalls()
    /// The calls of tools by their scopes: a tool keeps its call, whatever is asked for meanwhile.
    var bound: [EventUUID: Int] = [:]
    /// Tools that ended before their start came.
    var endedEarly: Set<EventUUID> = []
    /// The call of the tool that started last and has not ended.
    var activeTool: Int?
    /// The same two where the reference is followed, which knows calls by their ids.
    var scopeCalls: [EventUUID: String] = [:]
    var activeCall: String?
    /// Results, with the ends that they came with.
    var pending: [(result: StepResult, end: ScopeEvent)] = []
    var pendingTime: EventTime?
    var unclaimed = UnclaimedResults()
    private var requests: [EventUUID: CallRequest] = [:]

    /// What the start of a model call leaves for its end.
    private struct CallRequest: Sendable {
        let reasoningEffort: JSONValue?
        /// The request of a call that made no user step.
        let continuation: JSONDraft.Payload?
    }

    var isStrict: Bool { index.compatibility.isStrict }

    /// - Parameter events: those of the agent, in order of time: tools are correlated ahead of the walk.
    init(index: ScopeIndex, duplicates: DuplicateCalls, events: some Sequence<ScopeEvent>) {
        self.index = index
        self.duplicates = duplicates
        correlated = ToolCorrelation.callIDs(of: events, compatibility: index.compatibility)
    }

    /// Makes room for what becomes of so many events, as a rule.
    mutating func reserve(events count: Int) { steps.reserveCapacity(count / 2) }

    mutating func receive(_ input: Input) {
        switch input {
        case .subagent(let start): subagentStarted(start)
        case .scope(let event):
            switch event.category {
            case .llm:
                if duplicates.suppressed.contains(event.uuid) { return }
                if event.isStart { modelCallStarted(event) } else { modelCallEnded(event) }
            case .tool:
                switch (event.isStart, isStrict) {
                case (true, true): toolStartedAsInReference(event)
                case (true, false): toolStarted(event)
                case (false, true): toolEndedAsInReference(event)
                case (false, false): toolEnded(event)
                }
            case .guardrail: if !isStrict, !event.isStart { guardrailEnded(event) }
            case .agent, .function, .retriever, .embedder, .reranker, .evaluator, .custom, .unknown: break
            }
        }
    }

    /// The steps, when all events have been received, and what belongs to those of model calls.
    mutating func finish() -> (steps: [Step], agents: [AgentStep]) {
        flush()
        // By index: an iterator would copy each agent step, and so count all that it holds.
        for position in agents.indices { steps[agents[position].step].extra = .agent(position) }
        if isStrict {
            if let last = unclaimed.trailingStep() { steps.append(last) }
        } else {
            steps = UnclaimedResults.merged(unclaimed.steps(arguments), into: steps)
        }
        // Handed over: who gets them changes them, and a second owner would make them be copied.
        var finished: [Step] = []
        swap(&finished, &steps)
        finished = RepeatedSteps.removed(from: finished, compatibility: index.compatibility) { step in
            if case .agent(let position) = step.extra { !agents[position].records.isEmpty } else { false }
        }
        if asked.hasRepeatedIDs, !isStrict { RepeatedIDs.rename(in: &finished, &agents) }
        return (finished, agents)
    }

    // MARK: Model calls

    private mutating func modelCallStarted(_ event: ScopeEvent) {
        flush()
        current = nil
        scopeCalls = [:]
        activeCall = nil
        activeTool = nil
        event.withRequest { request in
            if let request { modelCallStarted(event, request) }
        }
    }

    private mutating func modelCallStarted(_ event: ScopeEvent, _ request: ScopeEvent.Request) {
        let effort = request.body["reasoning_effort"]?.value.nonNull
        let prompt = Prompt(event, request: request.body, compatibility: index.compatibility)
        if case .continuation = prompt.turn, index.answered.contains(event.uuid) {
            requests[event.uuid] = CallRequest(reasoningEffort: effort, continuation: request.payload)
            return
        }
        requests[event.uuid] = CallRequest(reasoningEffort: effort, continuation: nil)
        let (source, message) = prompt.message
        var step = Step(source: source, time: event.time)
        step.message = message
        step.extra = .request(event, request.payload)
        steps.append(step)
    }

    private mutating func modelCallEnded(_ event: ScopeEvent) {
        flush()
        let request = requests.removeValue(forKey: event.uuid)
        guard let data = event.answer(index.compatibility) else {
            if !isStrict, event.failure != nil { modelCallFailed(event, request) }
            return
        }
        let response = LLMNormalizer.response(
            profile: event.annotatedProfile, data: data, pricing: index.pricing, index.compatibility)
        var step = step(
            of: event, request,
            model: ModelName.of(
                end: event, data: data, response: response, start: start(of: event),
                index.compatibility))
        let annotated = LLMNormalizer.annotatedResponse(event.annotatedProfile, data: data)
        let isStreamed = event.payload?.withRoot(\.isObject) != true
        let failure = isStrict ? nil : failure(of: event, answer: data, isStreamed)
        if isStrict {
            step.message = MessageText.agent(annotated: annotated, response: data)
            step.reasoningContent = data["reasoning"]?.stringValue
        } else {
            step.message = AnswerContent.message(
                annotated: annotated, response: response, data: data, isStreamed: isStreamed,
                hasFailed: failure != nil)
            step.reasoningContent = AnswerContent.reasoning(data)
        }
        step.metrics = metrics(of: event, data, response: response)
        steps.append(step)
        let calls = ToolPromotion.calls(in: data, response: response, compatibility: index.compatibility)
        // Without an answer the tools go on belonging to the last call that has one.
        if failure == nil || !calls.isEmpty || step.message != "" {
            current = agents.count
            newest = current
        }
        agents.append(
            AgentStep(step: steps.count - 1, end: event, request: request?.continuation, failure: failure))
        for call in calls { append(call) }
        if !unclaimed.isEmpty { claim(calls.map(\.id)) }
    }

    /// What is known of a call that failed: the end's word first, then that of the provider.
    private func failure(of end: ScopeEvent, answer: JSONValue, _ isStreamed: Bool) -> CallFailure? {
        let provider =
            end.saysOK
            ? nil : LLMNormalizer.error(profile: end.annotatedProfile, answer: answer, isStreamed: isStreamed)
        return CallFailure(end.failure, provider)
    }

    /// A call without an answer leaves a step as well; it has no calls, so the tools go on belonging to the last one.
    private mutating func modelCallFailed(_ event: ScopeEvent, _ request: CallRequest?) {
        let model = ModelName.of(
            end: event, data: nil, response: nil, start: start(of: event), index.compatibility)
        steps.append(step(of: event, request, model: model))
        agents.append(
            AgentStep(step: steps.count - 1, end: event, request: request?.continuation, failure: event.failure))
    }

    private func start(of end: ScopeEvent) -> ScopeEvent? { index.start(of: end.uuid) }

    private func step(of end: ScopeEvent, _ request: CallRequest?, model: String?) -> Step {
        var step = Step(source: .agent, time: end.time)
        step.modelName = model
        step.reasoningEffort = request?.reasoningEffort.map { isStrict ? $0 : Step.scalar($0) }
        step.llmCallCount = 1
        return step
    }

    private func metrics(of event: ScopeEvent, _ data: JSONValue, response: NormalizedResponse?) -> StepMetrics? {
        var metrics = StepMetrics(end: event, data: data, response: response, index: index)
        for end in duplicates.ends(replacedBy: event.uuid) {
            let data = end.answer(index.compatibility)
            let response = LLMNormalizer.response(
                profile: end.annotatedProfile, data: data, pricing: index.pricing, index.compatibility)
            guard let other = StepMetrics(end: end, data: data, response: response, index: index) else { continue }
            if metrics == nil { metrics = other } else { metrics?.fill(from: other) }
        }
        return metrics
    }

    /// Adds a call to the current step. Ids are made unique in it, unless the reference is followed.
    mutating func append(_ call: StepCall) {
        guard let current else { return }
        var call = call
        let askedID = call.id
        if !isStrict, agents[current].order[call.id] != nil {
            var position = agents[current].order.count + 1
            while agents[current].order["\(call.id):\(position)"] != nil { position += 1 }
            call.rename(position: position)
        }
        steps[agents[current].step].calls.append(call)
        agents[current].append(call, byName: isStrict)
        if !isStrict {
            asked.append(
                AskedCalls.Call(
                    agent: current, id: call.id, askedID: askedID, name: call.name, arguments: call.arguments))
        }
    }

    /// Attaches what ended before its call was known.
    private mutating func claim(_ ids: [String]) {
        guard let current else { return }
        for id in ids {
            for (result, end, time) in unclaimed.claimResults(id) {
                var result = result
                if !isStrict {
                    guard let own = claim(end, id) else {
                        unclaimed.add(result, id: id, end: end, at: time)
                        continue
                    }
                    result.callID = own
                }
                attach(result, to: owner(of: end, id) ?? current)
            }
            for record in unclaimed.claimRecords(id) {
                var record = record
                if !isStrict {
                    guard let own = claim(record.end, id) else {
                        unclaimed.add(record)
                        continue
                    }
                    record.callID = own
                }
                agents[owner(of: record.end, id) ?? current].records.append(record)
            }
        }
    }
}
