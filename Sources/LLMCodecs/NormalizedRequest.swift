package import ATOF

/// A model request in the form that all surfaces share (`codecs-and-pricing.md` 1.1): a view of its annotation.
package struct NormalizedRequest: Sendable {
    /// The parameters of generation that all surfaces have.
    package struct Parameters: Sendable, Hashable {
        package var temperature: Double?
        package var maxTokens: UInt64?
        package var topP: Double?
        package var stop: [String]?

        var json: JSONValue {
            var object = JSONObject()
            object["max_tokens"] = maxTokens.map(JSONValue.init(count:))
            object["stop"] = stop.map { .array($0.map { .string($0) }) }
            object["temperature"] = temperature.map { .double($0) }
            object["top_p"] = topP.map { .double($0) }
            return .object(object)
        }
    }

    /// Members in wire form, at least those that have no typed view below: `tool_choice`, `reasoning`, `user`, `service_tier`,
    /// `api_specific` and so on.
    package let others: JSONObject
    /// Whether `others` are all members: the request was not decoded.
    private let isAnnotation: Bool
    /// Members of the provider's body that the model does not know. Kept apart, because one of them can have the name
    /// of a member.
    package let extra: JSONObject

    package let messages: [Message]
    /// The system prompt of surfaces that have it beside the messages.
    package let instructions: MessageContent?
    package let model: String?
    /// Nil when the request has none of the parameters.
    package let parameters: Parameters?
    package let tools: [ToolDefinition]?

    /// Which surface the request was decoded from, or the word `custom`.
    package var api: String? { others["api_specific"]?["api"]?.stringValue }

    /// The members of the model in wire form. Those of a decoded request are put together here: exporters need few of them.
    package var members: JSONObject {
        if isAnnotation { return others }
        var members = others
        members["instructions"] = instructions?.json
        members["messages"] = .array(messages.map { .object($0.members) })
        members["params"] = parameters?.json
        members["tools"] = tools.map { .array($0.map { .object($0.members) }) }
        return members
    }

    /// First text of the instructions, else of the first system or developer message.
    package var systemPrompt: String? {
        instructions?.firstText
            ?? messages.first { $0.role == .system || $0.role == .developer }?.content?.firstText
    }

    /// The annotation on the wire, where an extra member replaces one of the model.
    package var annotation: JSONObject {
        JSONObject((Array(members) + Array(extra)).map { ($0.key, $0.value) })
    }

    static let modelledNames: Set<String> = [
        "messages", "instructions", "model", "params", "tools", "tool_choice", "store", "previous_response_id",
        "truncation",
        "reasoning", "include", "user", "metadata", "service_tier", "parallel_tool_calls", "max_output_tokens",
        "max_tool_calls", "top_logprobs", "stream", "api_specific",
    ]

    /// What a decoder has read.
    ///
    /// - Parameter others: the members that are not parameters here, in wire form.
    init(
        messages: [Message], instructions: MessageContent? = nil, parameters: Parameters, tools: [ToolDefinition]?,
        others: JSONObject, extra: JSONObject
    ) {
        self.messages = messages
        self.instructions = instructions
        self.parameters = parameters == Parameters() ? nil : parameters
        self.tools = tools
        self.extra = extra
        model = others["model"]?.stringValue
        self.others = others
        isAnnotation = false
    }

    /// Reads an annotation that a producer supplied.
    ///
    /// - Throws: `CodecError` when a member has a type that the model does not allow.
    package init(annotation: JSONObject) throws(CodecError) {
        let members = AnnotationMembers(annotation, modelled: NormalizedRequest.modelledNames)
        try self.init(members: members.modelled, extra: members.extra)
    }

    /// - Parameter members: modelled members in wire form.
    init(members: JSONObject, extra: JSONObject) throws(CodecError) {
        others = members
        isAnnotation = true
        self.extra = extra
        var reader = MemberReader(members, rejecting: .invalidArgument)
        var messages: [Message] = []
        for element in try reader.array("messages") ?? [] {
            messages.append(try Message(element, rejecting: .invalidArgument))
        }
        self.messages = messages
        instructions = try reader.content("instructions")
        model = try reader.string("model")
        if let object = try reader.object("params") {
            var params = MemberReader(object, rejecting: .invalidArgument)
            parameters = Parameters(
                temperature: try params.number("temperature"), maxTokens: try params.unsigned("max_tokens"),
                topP: try params.number("top_p"), stop: try params.strings("stop"))
        } else {
            parameters = nil
        }
        if let elements = try reader.array("tools") {
            var tools: [ToolDefinition] = []
            for element in elements { tools.append(try ToolDefinition(element, rejecting: .invalidArgument)) }
            self.tools = tools
        } else {
            tools = nil
        }
        for key in ["store", "parallel_tool_calls", "stream"] { _ = try reader.bool(key) }
        for key in ["previous_response_id", "user", "service_tier"] { _ = try reader.string(key) }
        for key in ["reasoning", "metadata", "api_specific"] { _ = try reader.object(key) }
        for key in ["max_output_tokens", "max_tool_calls", "top_logprobs"] { _ = try reader.unsigned(key) }
        _ = try reader.array("include")
    }
}

extension NormalizedRequest: Equatable {
    /// Whether they say the same, be it decoded or annotated.
    package static func == (left: Self, right: Self) -> Bool {
        left.members == right.members && left.extra == right.extra && left.messages == right.messages
            && left.instructions == right.instructions && left.model == right.model
            && left.parameters == right.parameters && left.tools == right.tools
    }
}
