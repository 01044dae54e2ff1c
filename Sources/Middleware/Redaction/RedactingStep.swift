internal import ATOF

/// A step that takes something out of events, whoever has put it there.
///
/// What a step behind it adds, it has not seen. So the chain shows it that too: events that steps add, and what the answers of workers
/// and of remote guardrails have put into an event.
protocol RedactingStep: ChainStep {
    /// What the chain does with the step's own event, and nothing else: tells nobody, drops nothing.
    mutating func redact(_ draft: inout EventDraft)
    /// Whether it looks again at what comes after it. The reference does not.
    var redactsLate: Bool { get }
    /// A text that tells of events without being of one, such as an agent's name in an alert.
    ///
    /// - Returns: nil when nothing has changed.
    func redacted(name: String) -> String?
}

extension MiddlewareChain {
    /// A text that tells of events without being of one, as the redactions leave it.
    package func redacted(name: String) -> String {
        steps.reduce(name) { ($1 as? any RedactingStep)?.redacted(name: $0) ?? $0 }
    }

    /// The packed events that a step has added, as all redactions leave them. They stand behind the event that caused them, and no step
    /// has looked at them.
    mutating func redact(added: inout [[UInt8]], tenant: String) {
        guard hasRedactions, !added.isEmpty else { return }
        for place in added.indices {
            var writer = EventBatchWriter()
            writer.append(packed: added[place])
            guard let event = try? EventBatch(unpacking: writer.bytes).event(at: 0) else { continue }
            var draft = EventDraft(event, tenant: tenant)
            redact(&draft, by: steps.indices)
            if let packed = draft.packed() { added[place] = packed }
        }
    }

    /// Shows the redactions before a step what the step has put into the event, and nothing else: what they have hashed or masked already
    /// stays as it is.
    mutating func redactAgain(_ draft: inout EventDraft, since before: EventDraft, by range: Range<Int>) {
        var redacted = draft
        redact(&redacted, by: range.filter { (steps[$0] as? any RedactingStep)?.redactsLate ?? false })
        draft.take(redacted, whereItDiffersFrom: before)
    }

    private mutating func redact(_ draft: inout EventDraft, by indices: some Sequence<Int>) {
        for index in indices {
            guard var step = steps[index] as? any RedactingStep else { continue }
            step.redact(&draft)
        }
    }
}

extension EventDraft {
    /// Takes the payloads of a draft that was made of this one, but for places that have not changed since an earlier one.
    fileprivate mutating func take(_ redacted: EventDraft, whereItDiffersFrom before: EventDraft) {
        let earlier = before
        if let value = EventDraft.merged(redacted.data, data, earlier.data) { data = value }
        if let value = EventDraft.merged(redacted.metadata, metadata, earlier.metadata) { metadata = value }
        if let value = EventDraft.merged(redacted.categoryProfile, categoryProfile, earlier.categoryProfile) {
            categoryProfile = value
        }
        if let value = EventDraft.merged(redacted.unknownFields, unknownFields, earlier.unknownFields) {
            unknownFields = value
        }
    }

    /// - Returns: nil when the value stays as it is.
    private static func merged(_ redacted: JSONValue?, _ now: JSONValue?, _ before: JSONValue?) -> JSONValue?? {
        if redacted == now || now == before { return nil }
        guard let redacted, let now, let before else { return .some(redacted) }
        return .some(JSONDifference.keepingUnchanged(from: before, to: now, in: redacted))
    }
}
