package import ATOF

extension OpenAIResponses {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(_ body: JSONValue) throws(CodecError) -> NormalizedRequest {
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        let messages: [Message]
        switch reader.any("input") {
        case .string(let text): messages = [Message(.user, .text(text))]
        case .array(let items): messages = try items.map(item)
        default: throw CodecError(.invalidArgument, "input must be a string or an array")
        }
        let instructions = try reader.string("instructions").map { MessageContent.text($0) }
        var parameters = NormalizedRequest.Parameters()
        parameters.temperature = try reader.number("temperature")
        parameters.topP = try reader.number("top_p")
        parameters.maxTokens = try reader.unsigned("max_output_tokens")
        var tools: [ToolDefinition]?
        if reader.any("tools") != nil { tools = try reader.requiredArray("tools").map(tool) }
        var others = JSONObject()
        others["max_output_tokens"] = parameters.maxTokens.map(JSONValue.init(count:))
        var parallel = try reader.bool("parallel_tool_calls")
        if let choice = reader.any("tool_choice") {
            others["tool_choice"] = toolChoice(choice)
            if parallel == nil { parallel = try Anthropic.parallelCalls(allowedBy: choice) }
        }
        others["parallel_tool_calls"] = parallel.map { .bool($0) }
        try reader.copy(commonMembers, into: &others)
        var specific = JSONObject([("api", .string(name))])
        try reader.copy(specificMembers, into: &specific)
        others["api_specific"] = .object(specific)
        return NormalizedRequest(
            messages: messages, instructions: instructions, parameters: parameters, tools: tools, others: others,
            extra: reader.rest)
    }

    // MARK: Items

    private static func item(_ value: JSONValue) throws(CodecError) -> Message {
        var reader = try MemberReader(value, "an item of input", rejecting: .invalidArgument)
        let type = reader.any("type")?.stringValue
        if let role = value["role"]?.stringValue { return try message(value, role: role) }
        switch type {
        case "function_call":
            let arguments = ToolCall.parsedArguments(try reader.requiredString("arguments"))
            return try exchange(.toolCall, &reader, with: ["name"], payload: ("arguments", arguments))
        case "function_call_output":
            guard let output = reader.any("output") else {
                throw CodecError(.invalidArgument, "output of a function_call_output is missing")
            }
            return try exchange(.toolResult, &reader, with: [], payload: ("output", output))
        default: return Message(native: native(kind: type ?? "unknown", value))
        }
    }

    /// A call or its result, which are messages of their own here.
    private static func exchange(
        _ role: Message.Role, _ reader: inout MemberReader, with strings: [String], payload: (key: String, JSONValue)
    ) throws(CodecError) -> Message {
        var members = JSONObject([("role", .string(role.rawValue))])
        for key in ["call_id"] + strings { members[key] = .string(try reader.requiredString(key)) }
        members["id"] = try reader.string("id").map { .string($0) }
        members[payload.key] = payload.1
        _ = reader.any("role")
        for member in reader.rest { members[member.key] = member.value }
        return Message(role: role, content: nil, members: members)
    }

    /// A message with nothing but role and content; nil for another item, and for content that cannot be read.
    static func commonMessage(_ members: JSONObject) -> Message? {
        guard let role = members["role"]?.stringValue else { return nil }
        let common = members.filtered { ["type", "role", "content"].contains(members.members[$0].key) }
        guard let message = try? message(.object(common), role: role), message.role != .native else { return nil }
        return message
    }

    private static func message(_ value: JSONValue, role: String) throws(CodecError) -> Message {
        var reader = try MemberReader(value, "an item of input", rejecting: .invalidArgument)
        for key in ["type", "role"] { _ = reader.any(key) }
        let content = reader.any("content")
        guard reader.rest.isEmpty else { return Message(native: native(kind: "message", value)) }
        guard let content else { throw CodecError(.invalidArgument, "content of a message is missing") }
        let parsed = try MessageContent(content, rejecting: .invalidArgument, part: part)
        switch Message.Role(rawValue: role) {
        case .system?: return Message(.system, parsed)
        case .user?: return Message(.user, parsed)
        case .developer?: return Message(.developer, parsed)
        case .assistant?: return Message(.assistant, parsed)
        case nil, .tool?, .function?, .toolCall?, .toolResult?, .native?:
            return Message(native: native(kind: "message", value))
        }
    }

    private static func part(_ value: JSONValue) throws(CodecError) -> ContentPart {
        var reader = try MemberReader(value, "a content part", rejecting: .invalidArgument)
        let type = reader.any("type")?.stringValue
        switch type {
        case "input_text", "output_text":
            let text = try reader.requiredString("text")
            return ContentPart(.text, .string(text), extra: reader.rest)
        case "refusal": return try ContentPart(value, rejecting: .invalidArgument)
        case "input_image": return gathered(.image, imageKeys, &reader)
        case "input_file": return gathered(.file, fileKeys, &reader)
        default: return ContentPart(native: native(kind: type ?? "unknown", value))
        }
    }

    /// A part whose payload is an object here and members of the part on the wire.
    private static func gathered(
        _ kind: ContentPart.Kind, _ keys: [String], _ reader: inout MemberReader
    ) -> ContentPart {
        var payload = JSONObject()
        for key in keys { payload[key] = reader.any(key) }
        return ContentPart(kind, .object(payload), extra: reader.rest)
    }

    // MARK: Tools

    private static func tool(_ value: JSONValue) throws(CodecError) -> ToolDefinition {
        var reader = try MemberReader(value, "a tool", rejecting: .invalidArgument)
        let type = reader.any("type")?.stringValue
        guard type == "function" else { return ToolDefinition(native: native(kind: type ?? "unknown", value)) }
        if let function = value["function"]?.objectValue {
            _ = reader.any("function")
            return ToolDefinition(function: try ToolDefinition.checkedFunction(function), extra: reader.rest)
        }
        return ToolDefinition(function: try ToolDefinition.checkedFunction(reader.rest))
    }

    private static func toolChoice(_ value: JSONValue) -> JSONValue {
        if value == "auto" || value == "none" || value == "required" { return value }
        switch value["type"]?.stringValue {
        case "auto": return "auto"
        case "any": return "required"
        case "none": return "none"
        case "tool", "function":
            if let name = value["name"]?.stringValue ?? value["function"]?["name"]?.stringValue {
                return ToolChoice.function(name)
            }
        default: break
        }
        return .object(native(kind: "tool_choice", value).members)
    }
}
