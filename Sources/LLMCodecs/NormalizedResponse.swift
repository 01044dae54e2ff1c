package import ATOF

/// A model response in the form that all surfaces share (`codecs-and-pricing.md` 1.5): a view of its annotation.
package struct NormalizedResponse: Sendable {
    /// Members in wire form, at least those that have no typed view below: `optimization_summary` and `api_specific`.
    package private(set) var others: JSONObject
    /// Whether `others` are all members: the response was not decoded.
    private let isAnnotation: Bool
    /// Members of the provider's body that the model does not know. Kept apart, because one of them can be called
    /// `message`.
    package let extra: JSONObject

    package let id: String?
    package let model: String?
    package let message: MessageContent?
    /// Whether something else of an annotation has taken the place of the message, and nobody can tell what it was.
    package internal(set) var isMessageHidden = false
    /// Nil when the response has no such member; it can be empty.
    package let toolCalls: [ToolCall]?
    package let finishReason: FinishReason?
    package private(set) var usage: Usage?

    /// Which surface the response was decoded from, or the word `custom`.
    package var api: String? { others["api_specific"]?["api"]?.stringValue }
    /// What the runtime computed about its optimizations, opaque here.
    package var optimizationSummary: JSONObject? { others["optimization_summary"]?.objectValue }

    /// The members of the model in wire form. Those of a decoded response are put together here: exporters need few of them.
    package var members: JSONObject {
        if isAnnotation { return others }
        return JSONObject(present: [
            ("api_specific", others["api_specific"]), ("finish_reason", finishReason?.json),
            ("id", id.map { .string($0) }), ("message", message?.json), ("model", model.map { .string($0) }),
            ("tool_calls", toolCalls.map { .array($0.map(\.responseJSON)) }), ("usage", usage?.json),
        ])
    }

    /// The annotation on the wire, where an extra member replaces one of the model.
    package var annotation: JSONObject {
        JSONObject((Array(members) + Array(extra)).map { ($0.key, $0.value) })
    }

    static let modelledNames: Set<String> = [
        "id", "model", "message", "tool_calls", "finish_reason", "usage", "optimization_summary", "api_specific",
    ]

    /// What a decoder has read.
    init(
        id: String? = nil, model: String? = nil, message: MessageContent?, toolCalls: [ToolCall]?,
        finishReason: FinishReason?, usage: Usage?, apiSpecific: JSONObject?, extra: JSONObject
    ) {
        self.id = id
        self.model = model
        self.message = message
        self.toolCalls = toolCalls
        self.finishReason = finishReason
        self.usage = usage
        self.extra = extra
        others = JSONObject(present: [("api_specific", apiSpecific.map { .object($0) })])
        isAnnotation = false
    }

    /// Sets what the response says about tokens and cost.
    mutating func set(_ usage: Usage) {
        self.usage = usage
        if isAnnotation { others["usage"] = usage.json }
    }

    /// Reads an annotation by itself: only a `message` that is an object is known to be the provider's then, and counts as
    /// extra. Members of other names can be the provider's as well; with the body they are told apart.
    ///
    /// - Throws: `CodecError` when a member has a type that the model does not allow.
    package init(annotation: JSONObject) throws(CodecError) {
        var members = AnnotationMembers(annotation, modelled: NormalizedResponse.modelledNames)
        if members.modelled["message"]?.objectValue != nil { members.replace("message", by: nil) }
        try self.init(members: members.modelled, extra: members.extra)
    }

    /// - Parameter members: modelled members in wire form.
    init(members: JSONObject, extra: JSONObject) throws(CodecError) {
        others = members
        isAnnotation = true
        self.extra = extra
        var reader = MemberReader(members, rejecting: .internal)
        id = try reader.string("id")
        model = try reader.string("model")
        message = try reader.content("message")
        if let elements = try reader.array("tool_calls") {
            var calls: [ToolCall] = []
            for element in elements { calls.append(try ToolCall(ofResponse: element, rejecting: .internal)) }
            toolCalls = calls
        } else {
            toolCalls = nil
        }
        if let value = reader.present("finish_reason") {
            guard let reason = FinishReason(value) else {
                throw CodecError(.internal, "finish_reason is no known word")
            }
            finishReason = reason
        } else {
            finishReason = nil
        }
        usage = try reader.object("usage").map { (object) throws(CodecError) in try Usage(object, rejecting: .internal)
        }
        _ = try reader.object("optimization_summary")
        _ = try reader.object("api_specific")
    }
}
