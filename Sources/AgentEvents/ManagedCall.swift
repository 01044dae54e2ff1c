package import ATOF

/// What tool and model calls have in common: who makes them, and the events of their guardrails.
package struct ManagedCall: Sendable {
    package enum Kind: String, Sendable, Hashable {
        case tool
        case llm
    }

    package let kind: Kind
    package let name: String
    /// Reserved before the call begins.
    package let uuid: EventUUID
    /// The top of the stack; the call itself is never on it.
    package let parent: ScopeFrame
    package let attributes: [String]
    /// Of the handle: what the end has when there is no result.
    package let data: JSON
    package let metadata: JSON

    package init(
        _ kind: Kind, _ name: String, uuid: EventUUID, parent: ScopeFrame, attributes: [String] = [],
        data: JSON = .null, metadata: JSON = .null
    ) {
        self.kind = kind
        self.name = name
        self.uuid = uuid
        self.parent = parent
        self.attributes = ScopeFrame.ordered(attributes)
        self.data = data
        self.metadata = metadata
    }

    // MARK: Guardrails

    /// The start of the scope in which a guardrail is evaluated. The scope is not on the stack, and never has the arguments.
    package func guardrailStart(_ name: String, uuid: EventUUID, at time: EventTime) -> EventFields {
        var fields = guardrailEvent(.scopeStart, name, uuid: uuid, at: time)
        fields.data =
            switch kind {
            case .tool: (["kind": "tool_conditional_execution", "target_name": JSON(self.name)] as JSON).bytes
            case .llm: (["kind": "llm_conditional_execution"] as JSON).bytes
            }
        return fields
    }

    package func guardrailEnd(
        _ name: String, uuid: EventUUID, startedAt: EventTime, _ outcome: GuardOutcome, at now: EventTime
    ) -> EventFields {
        var fields = guardrailEvent(.scopeEnd, name, uuid: uuid, at: now.endTime(after: startedAt))
        fields.data = outcome.data.bytes
        return fields
    }

    private func guardrailEvent(
        _ kind: Event.Kind, _ name: String, uuid: EventUUID, at time: EventTime
    ) -> EventFields {
        var fields = EventFields(kind: kind, uuid: uuid, timestamp: time, name: name)
        fields.parentUUID = parent.uuid
        fields.category = "guardrail"
        fields.metadata = metadata.bytes
        fields.propagationRootUUID = parent.propagationRoot
        return fields
    }

    /// The mark in place of a call that was rejected.
    package func rejectionMark(_ reason: String, uuid: EventUUID, at time: EventTime) -> EventFields {
        parent.mark(
            name, uuid: uuid, data: ["rejected": true, "rejection_reason": JSON(reason)], metadata: metadata, at: time)
    }

    // MARK: Lifecycle

    func event(_ kind: Event.Kind, at time: EventTime, data: JSON, metadata: JSON, profile: JSONObject) -> EventFields {
        var fields = EventFields(kind: kind, uuid: uuid, timestamp: time, name: name)
        fields.parentUUID = parent.uuid
        fields.category = self.kind.rawValue
        fields.attributes = attributes
        fields.data = data.bytes
        fields.metadata = metadata.bytes
        fields.categoryProfile = JSON(.object(profile)).bytes
        fields.propagationRootUUID = parent.propagationRoot
        return fields
    }

    /// A mark whose parent is the call.
    func mark(
        _ name: String, uuid: EventUUID, data: JSON, metadata: JSON = .null, category: String? = nil,
        profile: JSON = .null, schema: EventSchema? = nil, at time: EventTime
    ) -> EventFields {
        var fields = parent.mark(name, uuid: uuid, data: data, metadata: metadata, schema: schema, at: time)
        fields.parentUUID = self.uuid
        fields.category = category
        fields.categoryProfile = profile.bytes
        return fields
    }

    /// - Returns: nil when the severity cannot be put into the metadata.
    func mark(_ pending: PendingMark, uuid: EventUUID, at time: EventTime) -> EventFields? {
        guard let metadata = pending.publishedMetadata else { return nil }
        return mark(
            pending.name, uuid: uuid, data: pending.data, metadata: metadata, category: pending.category,
            profile: pending.categoryProfile, schema: pending.schema, at: time)
    }
}
