internal import ATOF
internal import LLMCodecs

/// A start or end of a scope as the conversion reads it. A class, because it is handed around a lot.
///
/// What is asked for again and again is read once. Whole payloads are parsed for whoever asks for them, and not kept: those of all events
/// of a trajectory would not fit into any cache.
final class ScopeEvent: Sendable {
    private let event: Event
    let category: Event.Category.Known
    let name: String
    /// The data as it came. Nil for null.
    let payload: RawJSON?
    private let hasProfile: Bool

    let role: String?
    /// Why the scope failed, by its end.
    let failure: CallFailure?
    /// Whether its end says that nothing went wrong.
    let saysOK: Bool
    /// How close to the provider's own bytes a model call's payload is (`atif-trajectories.md` 3.12).
    let fidelity: Int
    /// The id that the producer gave a tool's call.
    let callID: String?
    let profileModel: String?
    /// Whether the profile has more than those two to say.
    private let isAnnotated: Bool

    /// - Returns: nil for a mark.
    init?(_ event: consuming Event) {
        guard !event.isMark else { return nil }
        category = event.category?.known ?? .unknown
        name = event.name
        payload = event.data
        let (metadata, profile) = (event.metadata, event.categoryProfile)
        hasProfile = profile != nil
        let isEnd = event.kind == .scopeEnd
        (role, failure, saysOK, fidelity) =
            metadata?.withRoot {
                (
                    $0["nemo_relay_scope_role"]?.stringValue, isEnd ? CallFailure($0) : nil,
                    isEnd && CallFailure.status($0) == "OK", ScopeEvent.fidelity($0)
                )
            } ?? (nil, nil, false, ScopeEvent.usualFidelity)
        (callID, profileModel, isAnnotated) =
            profile?.withRoot { profile in
                (
                    profile["tool_call_id"]?.stringValue, profile["model_name"]?.stringValue,
                    ScopeEvent.annotations.contains { profile[$0] != nil }
                )
            } ?? (nil, nil, false)
        self.event = event
    }

    var uuid: EventUUID { event.uuid }
    var parent: EventUUID? { event.parentUUID }
    var isStart: Bool { event.kind == .scopeStart }
    var time: EventTime { event.timestamp }

    private static let annotations = ["annotated_request", "annotated_response", "tool_result_annotation"]
    private static let usualFidelity = 50

    private static func fidelity(_ metadata: JSONCursor) -> Int {
        if metadata["projection"]?.boolValue == true { return 10 }
        if let isExact = metadata["provider_payload_exact"]?.boolValue { return isExact ? 100 : 30 }
        if metadata["fidelity_source"] != nil || metadata["api_call_id"] != nil { return 95 }
        return metadata["hook_event_name"] != nil ? 90 : usualFidelity
    }

    /// Parsed anew each time.
    var data: JSONValue? { payload?.value }
    /// What a model call ended with, put together where the producer published a stream; parsed anew each time.
    func answer(_ compatibility: Compatibility) -> JSONValue? { data.map { LLMNormalizer.answer($0, compatibility) } }
    /// Parsed anew each time.
    var metadata: JSONValue? { event.metadata?.value }
    /// The profile if it holds an annotation of the producer; parsed anew each time.
    var annotatedProfile: JSONValue? { isAnnotated ? event.categoryProfile?.value : nil }

    var sessionID: String? { metadata?["session_id"]?.stringValue }
    /// What a tool was called with. The wire does not tell null from nothing, but only what was started as a tool has a profile, and
    /// such a tool always has arguments.
    var arguments: JSONValue? { data ?? (hasProfile ? .some(.null) : nil) }

    /// The provider's body of an LLM start: out of its envelope, or what a manual producer sent bare.
    struct Request {
        /// Where it is in the parsed data.
        let body: JSONCursor
        let payload: JSONDraft.Payload
    }

    /// Lends the request, nil without data.
    func withRequest<Result>(_ body: (Request?) -> Result) -> Result {
        guard let payload else { return body(nil) }
        return payload.withRoot { root in
            guard let content = root["content"], root["headers"] != nil else {
                return body(Request(body: root, payload: .init(payload)))
            }
            return body(Request(body: content, payload: .init(payload, member: "content")))
        }
    }

    /// `eventExtra` (`atif-trajectories.md` 3.3).
    var extra: JSONObject { extra(withResult: false) }

    /// - Parameter withResult: whether the data stands in it, as what a tool gave back.
    func extra(withResult: Bool) -> JSONObject {
        var builder = JSONValueBuilder()
        writeExtra(withResult: withResult, to: &builder)
        return builder.value.objectValue ?? JSONObject()
    }

    /// Writes the same.
    func writeExtra<Sink: JSONSink & ~Copyable>(withResult: Bool, to sink: inout Sink) {
        sink.beginObject()
        sink.member("event_name", name)
        sink.member("event_uuid", uuid)
        sink.member("metadata", event.metadata.map { JSONDraft.Payload($0) })
        sink.member("parent_event_uuid", parent)
        if withResult { sink.member("tool_result", payload.map { JSONDraft.Payload($0) }) }
        sink.endObject()
    }

    /// What a document says of a scope that did not end.
    var unended: JSONValue {
        var object = JSONObject([
            ("category", .string(event.category?.raw ?? category.rawValue)), ("event_name", .string(name)),
            ("event_uuid", .string(uuid.description)), ("timestamp", .string(time.inMicroseconds.rfc3339)),
        ])
        object["parent_event_uuid"] = parent.map { .string($0.description) }
        object["tool_call_id"] = callID.map { .string($0) }
        if category == .tool { object["tool_arguments"] = arguments }
        return .object(object)
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
