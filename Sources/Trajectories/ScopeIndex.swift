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
    /// Scopes that ended; nothing where the reference is followed, which does not tell.
    private var ended: Set<EventUUID> = []

    init(_ events: [ScopeEvent], compatibility: Compatibility, pricing: PricingSources) {
        self.compatibility = compatibility
        self.pricing = pricing
        starts.reserveCapacity(events.count / 2 + 1)
        if !compatibility.isStrict { ended.reserveCapacity(events.count / 2 + 1) }
        for event in events {
            if event.isStart {
                starts[event.uuid] = event
                continue
            }
            if !compatibility.isStrict { ended.insert(event.uuid) }
            if event.category == .llm, event.payload != nil || !compatibility.isStrict && event.failure != nil {
                answered.insert(event.uuid)
            }
        }
    }

    /// What a document says of scopes that did not end; nothing where the reference is followed.
    ///
    /// - Parameter events: those of the document's agent.
    func extra(ofUnended events: [ScopeEvent]) -> JSONObject {
        if compatibility.isStrict { return JSONObject() }
        let unended = events.filter { $0.isStart && !ended.contains($0.uuid) }
        return unended.isEmpty ? JSONObject() : JSONObject([("unended_scopes", .array(unended.map(\.unended)))])
    }

    func start(of uuid: EventUUID) -> ScopeEvent? { starts[uuid] }

    /// `extra.ancestry` (`atif-trajectories.md` 3.5).
    func writeAncestry<Sink: JSONSink & ~Copyable>(of event: ScopeEvent, to sink: inout Sink) {
        sink.beginObject()
        sink.member("function_id", event.uuid)
        sink.member("function_name", event.name)
        sink.member("parent_id", event.parent)
        sink.member("parent_name", event.parent.flatMap { starts[$0] }?.name)
        sink.endObject()
    }

    /// `extra.invocation` of a scope that ended (`atif-trajectories.md` 3.5), with both times or none. The reference says
    /// "completed" of everything.
    ///
    /// - Parameters:
    ///   - hasFailed: whether its status is `error`.
    ///   - writeID: writes the invocation's id.
    func writeInvocation<Sink: JSONSink & ~Copyable>(
        of end: ScopeEvent, hasFailed: Bool, to sink: inout Sink, writeID: (inout Sink) -> Void
    ) {
        let start = starts[end.uuid]
        sink.beginObject()
        sink.member("end_timestamp", start.map { _ in end.time.epochSecondsInMilliseconds })
        sink.member("framework", "nemo_relay")
        sink.key("invocation_id")
        writeID(&sink)
        sink.member("start_timestamp", start?.time.epochSecondsInMilliseconds)
        sink.member("status", hasFailed ? "error" : "completed")
        sink.endObject()
    }
}
