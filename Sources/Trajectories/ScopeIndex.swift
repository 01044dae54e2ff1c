internal import ATOF
internal import LLMCodecs

/// What all machines of one document look up: scopes by UUID (`atif-trajectories.md` 3.0), and prices.
struct ScopeIndex: Sendable {
    let compatibility: Compatibility
    let pricing: PricingSources
    private var starts: [EventUUID: ScopeEvent] = [:]
    /// LLM calls whose end makes an agent step: it has data, or, where the reference is not followed, says that the call
    /// failed.
    private(set) var answered: Set<EventUUID> = []

    init(_ events: [ScopeEvent], compatibility: Compatibility, pricing: PricingSources) {
        self.compatibility = compatibility
        self.pricing = pricing
        starts.reserveCapacity(events.count / 2 + 1)
        for event in events {
            if event.isStart {
                starts[event.uuid] = event
            } else if event.category == .llm, event.payload != nil || !compatibility.isStrict && event.failure != nil {
                answered.insert(event.uuid)
            }
        }
    }

    func start(of uuid: EventUUID) -> ScopeEvent? { starts[uuid] }

    /// `extra.ancestry` (`atif-trajectories.md` 3.5).
    func ancestry(of event: ScopeEvent) -> JSONValue {
        .object(
            JSONObject(present: [
                ("function_id", .string(event.uuid.description)), ("function_name", .string(event.name)),
                ("parent_id", event.parent.map { .string($0.description) }),
                ("parent_name", event.parent.flatMap { starts[$0] }.map { .string($0.name) }),
            ]))
    }

    /// `extra.invocation` of a scope that ended (`atif-trajectories.md` 3.5), with both times or none. The reference says
    /// "completed" of everything.
    func invocation(id: String, end: ScopeEvent) -> JSONValue {
        let hasFailed = !compatibility.isStrict && end.failure != nil
        let start = starts[end.uuid]
        return .object(
            JSONObject(present: [
                ("end_timestamp", start.map { _ in .double(end.time.epochSecondsInMilliseconds) }),
                ("framework", "nemo_relay"), ("invocation_id", .string(id)),
                ("start_timestamp", start.map { .double($0.time.epochSecondsInMilliseconds) }),
                ("status", hasFailed ? "error" : "completed"),
            ]))
    }
}
