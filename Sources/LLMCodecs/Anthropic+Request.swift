package import ATOF

extension Anthropic {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(_ body: JSONValue) throws(CodecError) -> NormalizedRequest {
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        let messages = try reader.requiredArray("messages").map(message)
        var instructions: MessageContent?
        if let system = reader.any("system") {
            instructions = try MessageContent(system, rejecting: .invalidArgument, part: block)
        }
        var parameters = NormalizedRequest.Parameters()
        parameters.temperature = try reader.number("temperature")
        parameters.topP = try reader.number("top_p")
        parameters.maxTokens = try reader.unsigned("max_tokens")
        parameters.stop = try reader.strings("stop_sequences")
        var tools: [ToolDefinition]?
        if reader.any("tools") != nil { tools = try reader.requiredArray("tools").map(tool) }
        var others = JSONObject()
        if let choice = reader.any("tool_choice") {
            others["tool_choice"] = toolChoice(choice)
            others["parallel_tool_calls"] = try parallelCalls(allowedBy: choice).map { .bool($0) }
        }
        try reader.copy(commonMembers, into: &others)
        var specific = JSONObject([("api", .string(name))])
        try reader.copy(specificMembers, into: &specific)
        if let profile = specific[userProfileKey] {
            specific[userProfileKey] = nil
            specific["user_profile_id"] = profile
        }
        others["api_specific"] = .object(specific)
        return NormalizedRequest(
            messages: messages, instructions: instructions, parameters: parameters, tools: tools, others: others,
            extra: reader.rest)
    }

    private static func message(_ value: JSONValue) throws(CodecError) -> Message {
        var reader = try MemberReader(value, "a message", rejecting: .invalidArgument)
        let word = try reader.requiredString("role")
        guard let content = reader.any("content") else {
            throw CodecError(.invalidArgument, "content of a message is missing")
        }
        guard reader.rest.isEmpty else { return Message(native: native(kind: word, value)) }
        let parsed = try MessageContent(content, rejecting: .invalidArgument, part: block)
        switch word {
        case "user": return Message(.user, parsed)
        case "assistant": return Message(.assistant, parsed)
        case "system": return Message(.system, parsed)
        default: return Message(native: native(kind: word, value))
        }
    }

    /// A message with nothing but role and content; nil for another role, and for content that cannot be read.
    static func commonMessage(_ members: JSONObject) -> Message? {
        let common = members.filtered { ["role", "content"].contains(members.members[$0].key) }
        guard let message = try? message(.object(common)), message.role != .native else { return nil }
        return message
    }

    private static func block(_ value: JSONValue) throws(CodecError) -> ContentPart {
        var reader = try MemberReader(value, "a content block", rejecting: .invalidArgument)
        switch reader.any("type")?.stringValue {
        case "text", "tool_use":
            return try ContentPart(value, rejecting: .invalidArgument)
        case "tool_result":
            var members = reader.object
            if try reader.bool("is_error") == nil { members["is_error"] = nil }
            return try ContentPart(.object(members), rejecting: .invalidArgument)
        case "image": return ContentPart(.image, .object(reader.rest))
        case "document": return ContentPart(.file, .object(reader.rest))
        case let type: return ContentPart(native: native(kind: type ?? "unknown", value))
        }
    }

    private static func tool(_ value: JSONValue) throws(CodecError) -> ToolDefinition {
        var reader = try MemberReader(value, "a tool", rejecting: .invalidArgument)
        guard reader.object["type"] == nil, reader.object["name"] != nil, let schema = reader.any("input_schema") else {
            return ToolDefinition(native: native(kind: value["type"]?.stringValue ?? "unknown", value))
        }
        var function = JSONObject([("parameters", schema)])
        for key in ["name", "description", "strict"] { function[key] = reader.any(key) }
        return ToolDefinition(function: try ToolDefinition.checkedFunction(function), extra: reader.rest)
    }

    private static func toolChoice(_ value: JSONValue) -> JSONValue {
        switch value["type"]?.stringValue {
        case "auto": return "auto"
        case "any": return "required"
        case "none": return "none"
        case let type:
            if type == "tool", let name = value["name"]?.stringValue { return ToolChoice.function(name) }
            return .object(native(kind: type ?? "unknown", value).members)
        }
    }

    /// Whether several calls may come in one turn; nil when the choice does not say.
    static func parallelCalls(allowedBy choice: JSONValue) throws(CodecError) -> Bool? {
        guard let object = choice.objectValue else { return nil }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        return try reader.bool("disable_parallel_tool_use").map { !$0 }
    }
}
