internal import ATOF

/// A start or end of a scope with its payloads parsed, as the conversion reads it. A class, because it is handed around a lot.
final class ScopeEvent: Sendable {
    let uuid: EventUUID
    let parent: EventUUID?
    let isStart: Bool
    let category: Event.Category.Known
    let name: String
    let time: EventTime
    /// Why the scope failed, by its end.
    let failure: CallFailure?
    /// Nil for null, like the other payloads.
    let data: JSONValue?
    let metadata: JSONValue?
    let profile: JSONValue?

    /// - Parameter json: the event's canonical form, if that was made; payloads are parsed here otherwise.
    /// - Returns: nil for a mark.
    init?(_ event: Event, json: JSONValue?) {
        guard !event.isMark else { return nil }
        uuid = event.uuid
        parent = event.parentUUID
        isStart = event.kind == .scopeStart
        category = event.category?.known ?? .unknown
        name = event.name
        time = event.timestamp
        if let json {
            data = json.member("data")
            metadata = json.member("metadata")
            profile = json.member("category_profile")
        } else {
            data = event.data?.value.nonNull
            metadata = event.metadata?.value.nonNull
            profile = event.categoryProfile?.value.nonNull
        }
        failure = isStart ? nil : CallFailure(metadata)
    }
    var role: String? { metadata?["nemo_relay_scope_role"]?.stringValue }
    var sessionID: String? { metadata?["session_id"]?.stringValue }
    /// The id that the producer gave a tool's call.
    var callID: String? { profile?["tool_call_id"]?.stringValue }
    /// What a tool was called with. The wire does not tell null from nothing, but only what was started as a tool has a profile, and
    /// such a tool always has arguments.
    var arguments: JSONValue? { data ?? (profile == nil ? nil : .some(.null)) }
    var profileModel: String? { profile?["model_name"]?.stringValue }

    /// The provider's body of an LLM start: out of its envelope, or what a manual producer sent bare.
    var request: JSONValue? {
        guard let object = data?.objectValue, let content = object["content"], object["headers"] != nil else {
            return data
        }
        return content
    }

    /// `eventExtra` (`atif-trajectories.md` 3.3).
    var extra: JSONObject {
        JSONObject(present: [
            ("event_name", .string(name)), ("event_uuid", .string(uuid.description)), ("metadata", metadata),
            ("parent_event_uuid", parent.map { .string($0.description) }),
        ])
    }

    /// The call that a subagent's start says it was made for (`atif-trajectories.md` 3.7).
    var delegationID: String? {
        for source in [metadata, data] {
            for object in [source, source?["extra"]] {
                for key in ScopeEvent.delegationKeys {
                    if let id = object?[key]?.stringValue { return id }
                }
            }
        }
        return nil
    }

    private static let delegationKeys = [
        "tool_call_id", "toolCallId", "source_call_id", "sourceCallId", "delegation_tool_call_id",
        "delegationToolCallId",
        "parent_tool_call_id", "parentToolCallId",
    ]
}

extension JSONValue {
    /// The member of an object; nil for null, for a missing key, and for what is no object.
    func member(_ key: String) -> JSONValue? {
        guard let value = self[key], !value.isNull else { return nil }
        return value
    }
}
