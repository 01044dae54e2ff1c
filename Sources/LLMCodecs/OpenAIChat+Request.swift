package import ATOF

extension OpenAIChat {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(_ body: JSONValue) throws(CodecError) -> NormalizedRequest {
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        var messages: [Message] = []
        for element in try reader.requiredArray("messages") { messages.append(try message(element)) }
        let parameters = try parameters(&reader)
        var tools: [ToolDefinition]?
        if reader.any("tools") != nil { tools = try reader.requiredArray("tools").map(tool) }
        var others = JSONObject()
        others["tool_choice"] = reader.any("tool_choice").map(toolChoice)
        try reader.copy(commonMembers, into: &others)
        var specific = JSONObject([("api", .string(name))])
        try reader.copy(specificMembers, into: &specific)
        others["api_specific"] = .object(specific)
        return NormalizedRequest(
            messages: messages, parameters: parameters, tools: tools, others: others, extra: reader.rest)
    }

    private static func parameters(_ reader: inout MemberReader) throws(CodecError) -> NormalizedRequest.Parameters {
        var parameters = NormalizedRequest.Parameters()
        parameters.temperature = try reader.number("temperature")
        parameters.topP = try reader.number("top_p")
        let legacy = try reader.unsigned("max_tokens")
        parameters.maxTokens = try reader.unsigned("max_completion_tokens") ?? legacy
        if case .string(let word) = reader.any("stop") {
            parameters.stop = [word]
        } else {
            parameters.stop = try reader.strings("stop")
        }
        return parameters
    }

    // MARK: Messages

    private static func message(_ value: JSONValue) throws(CodecError) -> Message {
        var reader = try MemberReader(value, "a message", rejecting: .invalidArgument)
        let word = try reader.requiredString("role")
        guard let role = Message.Role(rawValue: word),
            reader.object.allSatisfy({ isPortable($0.key, in: role) }), try areCallsPortable(&reader)
        else { return Message(native: native(kind: word, value)) }
        // The wire form of a portable message is its own, but for the types of parts and explicit nulls.
        var members = reader.object
        if members.contains(where: { $0.value.isNull }) {
            for key in ["content", "name", "tool_calls"] where members[key]?.isNull == true { members[key] = nil }
        }
        if role == .function { members["content"] = members["content"] ?? .null }
        return try Message(.object(members), rejecting: .invalidArgument, part: part)
    }

    private static func isPortable(_ key: String, in role: Message.Role) -> Bool {
        switch (role, key) {
        case (.system, "name"), (.developer, "name"), (.user, "name"), (.assistant, "name"), (.function, "name"),
            (.assistant, "tool_calls"), (.tool, "tool_call_id"):
            true
        case (.toolCall, _), (.toolResult, _), (.native, _): false
        default: key == "role" || key == "content"
        }
    }

    /// Whether no call has a type or a member of its own; then the message can go over to the common form.
    private static func areCallsPortable(_ reader: inout MemberReader) throws(CodecError) -> Bool {
        guard reader.object["role"] == "assistant", let calls = try reader.array("tool_calls") else { return true }
        var portable = true
        for call in calls {
            var members = try MemberReader(call, "a tool call", rejecting: .invalidArgument)
            let isFunction = members.any("type") == "function"
            let function = members.any("function")?.objectValue
            let extra = members.rest.contains { $0.key != "id" }
            let inner = function?.contains { $0.key != "name" && $0.key != "arguments" } ?? false
            if !isFunction || extra || inner {
                portable = false
            } else {
                _ = try ToolCall(ofRequest: call, rejecting: .invalidArgument)
            }
        }
        return portable
    }

    private static func part(_ value: JSONValue) throws(CodecError) -> ContentPart {
        var reader = try MemberReader(value, "a content part", rejecting: .invalidArgument)
        switch reader.any("type")?.stringValue {
        case "text", "file", "refusal":
            return try ContentPart(value, rejecting: .invalidArgument)
        case "image_url":
            var url = try MemberReader(reader.any("image_url"), "image_url", rejecting: .invalidArgument)
            var image = JSONObject([("url", .string(try url.requiredString("url")))])
            image["detail"] = try url.string("detail").map { .string($0) }
            return ContentPart(.imageURL, .object(image), extra: reader.rest)
        case "input_audio":
            guard let audio = reader.any("input_audio") else {
                throw CodecError(.invalidArgument, "an input_audio part lacks its payload")
            }
            return ContentPart(.audio, audio, extra: reader.rest)
        case let type:
            return ContentPart(native: native(kind: type ?? "unknown", value))
        }
    }

    // MARK: Tools

    private static func tool(_ value: JSONValue) throws(CodecError) -> ToolDefinition {
        var reader = try MemberReader(value, "a tool", rejecting: .invalidArgument)
        let type = reader.any("type")?.stringValue
        guard type == "function" else { return ToolDefinition(native: native(kind: type ?? "unknown", value)) }
        let function = try MemberReader(reader.any("function"), "function of a tool", rejecting: .invalidArgument)
        return ToolDefinition(function: try ToolDefinition.checkedFunction(function.object), extra: reader.rest)
    }

    private static func toolChoice(_ value: JSONValue) -> JSONValue {
        if value == "auto" || value == "none" || value == "required" { return value }
        if value["type"] == "function", let name = value["function"]?["name"]?.stringValue {
            return ToolChoice.function(name)
        }
        return .object(native(kind: "tool_choice", value).members)
    }
}
