internal import ATOF
internal import LLMCodecs

/// Model calls that were observed twice, by a hook in the agent and by a gateway for example (`atif-trajectories.md`
/// 3.12).
struct DuplicateCalls: Sendable {
    /// Spans that make no steps.
    private(set) var suppressed: Set<EventUUID> = []
    /// The ends of suppressed spans by the span for which each was suppressed, which can be a suppressed one itself.
    private var replaced: [EventUUID: [ScopeEvent]] = [:]

    /// - Parameter events: all of a document.
    init(_ events: [ScopeEvent], index: ScopeIndex) {
        var spans: [Span] = []
        for event in events where event.category == .llm && !event.isStart && event.payload != nil {
            guard event.parent != nil, let start = index.start(of: event.uuid), start.payload != nil else { continue }
            spans.append(Span(start: start, end: event))
        }
        // Spans of equal fidelity both stay, and most producers have but one: then nothing has to be compared.
        guard let first = spans.first?.fidelity, spans.contains(where: { $0.fidelity != first }) else { return }
        var groups: [EventUUID: [Span]] = [:]
        for span in spans {
            if let parent = span.end.parent { groups[parent, default: []].append(span) }
        }
        // In a fixed order: a span that ends twice can be in two groups.
        for (_, group) in groups.sorted(by: { $0.key < $1.key }) where group.count > 1 {
            suppress(group.sorted { $0.start.time < $1.start.time }, index.compatibility)
        }
    }

    /// The ends of the spans whose metrics belong to one that stays. Fidelity grows with every replacement, so this
    /// comes to an end.
    func ends(replacedBy uuid: EventUUID) -> [ScopeEvent] {
        (replaced[uuid] ?? []).flatMap { [$0] + ends(replacedBy: $0.uuid) }
    }

    /// - Parameter spans: of one parent, by start.
    private mutating func suppress(_ spans: [Span], _ compatibility: Compatibility) {
        let fidelities = spans.map(\.fidelity)
        guard let first = fidelities.first, fidelities.contains(where: { $0 != first }) else { return }
        var traits: [Int: Traits] = [:]
        func trait(_ index: Int) -> Traits {
            if let known = traits[index] { return known }
            let made = Traits(spans[index], compatibility)
            traits[index] = made
            return made
        }
        for (first, span) in spans.enumerated() {
            for second in spans.indices.dropFirst(first + 1) {
                if spans[second].start.time > span.end.time { break }
                guard fidelities[first] != fidelities[second], span.start.time <= spans[second].end.time,
                    trait(first).isSameCall(as: trait(second))
                else { continue }
                let secondStays = fidelities[first] < fidelities[second]
                let (stays, goes) = secondStays ? (spans[second], span) : (span, spans[second])
                guard suppressed.insert(goes.end.uuid).inserted else { continue }
                replaced[stays.end.uuid, default: []].append(goes.end)
            }
        }
    }

    private struct Span {
        let start: ScopeEvent
        let end: ScopeEvent
        /// How close to the provider's own bytes the span is.
        let fidelity: Int

        init(start: ScopeEvent, end: ScopeEvent) {
            self.start = start
            self.end = end
            fidelity = max(start.fidelity, end.fidelity)
        }
    }

    /// What two spans are compared by: by their bodies, of whatever their producers made annotations, and by the model, which these may name.
    private struct Traits {
        let model: String?
        let request: String
        let response: String
        let correlationKeys: Set<String>
        let isInexactHook: Bool
        let isGateway: Bool

        init(_ span: Span, _ compatibility: Compatibility) {
            let data = span.end.answer(compatibility) ?? .null
            let response = LLMNormalizer.response(profile: span.end.annotatedProfile, data: data, compatibility)
            model = ModelName.of(end: span.end, data: data, response: response, start: span.start, compatibility)
            request = span.start.withRequest { request in
                request.map { MessageText.user(annotated: nil, request: $0.body).compactText } ?? ""
            }
            let calls = ToolPromotion.calls(in: data, compatibility).map(\.signature).joined(separator: ",")
            self.response = MessageText.agent(annotated: nil, response: data).compactText + calls
            let metadata = [span.start.metadata, span.end.metadata].compactMap(\.self)
            func has(_ key: String) -> Bool { metadata.contains { $0[key] != nil } }
            let isInexact = metadata.contains { $0["provider_payload_exact"] == false }
            isInexactHook = has("hook_event_name") && isInexact
            isGateway = has("gateway_path") || has("llm_correlation_source")
            correlationKeys = Traits.correlationKeys([span.start, span.end])
        }

        func isSameCall(as other: Traits) -> Bool {
            if let model, let theirs = other.model, model != theirs { return false }
            if request == other.request, response == other.response { return true }
            guard isInexactHook && other.isGateway || isGateway && other.isInexactHook else { return false }
            return request == other.request || !correlationKeys.isDisjoint(with: other.correlationKeys)
        }

        private static let requestPaths: [[String]] =
            [
                ["api_call_id"], ["apiCallId"], ["request_id"], ["requestId"], ["request", "id"],
                ["metadata", "request_id"],
            ]
            + [["metadata", "requestId"], ["llm_correlation_request_id"]]
            + ["api_call_id", "apiCallId", "request_id", "requestId"].map { ["extra", $0] }
        private static let generationPaths: [[String]] =
            [["generation_id"], ["generationId"], ["generation", "id"], ["llm_correlation_generation_id"]]
            + ["metadata", "extra"].flatMap { [[$0, "generation_id"], [$0, "generationId"]] }

        private static func correlationKeys(_ events: [ScopeEvent]) -> Set<String> {
            var keys: Set<String> = []
            for event in events {
                let request = event.withRequest { $0?.body.value }
                for source in [event.metadata, event.data, request].compactMap(\.self) {
                    for (kind, paths) in [("request ", requestPaths), ("generation ", generationPaths)] {
                        for path in paths {
                            let value = path.reduce(Optional(source)) { $0?[$1] }
                            if let id = value?.stringValue, !id.isEmpty { keys.insert(kind + id) }
                        }
                    }
                }
            }
            return keys
        }
    }
}
