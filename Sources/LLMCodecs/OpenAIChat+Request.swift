package import ATOF

extension OpenAIChat {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(_ body: JSONValue) throws(CodecError) -> NormalizedRequest {
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        let elements = try reader.requiredArray("messages")
        var messages: [Message] = []
        messages.reserveCapacity(elements.count)
        for element in elements { messages.append(try message(element)) }
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

    private static let plainKeys = ["content", "role", "name"]
    private static let assistantKeys = ["content", "role", "tool_calls", "name"]
    private static let toolKeys = ["content", "role", "tool_call_id"]

    private static func portableKeys(_ role: Message.Role) -> [String]? {
        switch role {
        case .system, .developer, .user, .function: plainKeys
        case .assistant: assistantKeys
        case .tool: toolKeys
        case .toolCall, .toolResult, .native: nil
        }
    }

    /// The usual message, with a text, and with calls of functions at most.
    private static func plainMessage(_ value: JSONValue) -> Message? {
        guard let object = value.objectValue, let text = object["content"]?.stringValue,
            let role = object["role"]?.stringValue.flatMap(Message.Role.init(rawValue:))
        else { return nil }
        var calls: [ToolCall]?
        switch role {
        case .system, .developer, .user: if object.count != 2 { return nil }
        case .assistant:
            if object.count == 3, let list = object["tool_calls"]?.arrayValue {
                calls = plainCalls(list)
                if calls == nil { return nil }
            } else if object.count != 2 {
                return nil
            }
        case .tool: if object.count != 3 || object["tool_call_id"]?.stringValue == nil { return nil }
        case .function, .toolCall, .toolResult, .native: return nil
        }
        return Message(role: role, content: .text(text), toolCalls: calls, members: object)
    }

    /// Calls of functions with nothing beside what they need; nil for all others.
    private static func plainCalls(_ list: [JSONValue]) -> [ToolCall]? {
        var calls: [ToolCall] = []
        calls.reserveCapacity(list.count)
        for element in list {
            guard let call = element.objectValue, call.count == 3, call["type"]?.stringValue == "function",
                let id = call["id"]?.stringValue, let function = call["function"]?.objectValue, function.count == 2,
                let name = function["name"]?.stringValue, let arguments = function["arguments"],
                arguments.stringValue != nil
            else { return nil }
            calls.append(ToolCall(id: id, name: name, arguments: arguments))
        }
        return calls
    }

    private static func message(_ value: JSONValue) throws(CodecError) -> Message {
        if let plain = plainMessage(value) { return plain }
        var reader = try MemberReader(value, "a message", rejecting: .invalidArgument)
        let word = try reader.requiredString("role")
        guard let role = Message.Role(rawValue: word), let keys = portableKeys(role),
            reader.object.allSatisfy({ keys.contains($0.key) })
        else { return Message(native: native(kind: word, value)) }
        guard try areCallsPortable(&reader) else {
            _ = try reader.content("content", part: part)
            return Message(native: native(kind: word, value))
        }
        // The wire form of a portable message is its own, but for the types of parts and explicit nulls.
        var members = reader.object
        if members.contains(where: \.value.isNull) {
            for key in ["content", "name", "tool_calls"] where members[key]?.isNull == true { members[key] = nil }
        }
        if role == .function { members["content"] = members["content"] ?? .null }
        return try Message(.object(members), rejecting: .invalidArgument, part: part)
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

    /// A message with nothing but what all surfaces have; nil for another role, and for content that cannot be read.
    static func commonMessage(_ members: JSONObject) -> Message? {
        guard let role = members["role"]?.stringValue.flatMap(Message.Role.init(rawValue:)),
            let keys = portableKeys(role)
        else { return nil }
        var common = members.filtered { keys.contains(members.members[$0].key) }
        common["tool_calls"] = members["tool_calls"]?.arrayValue.map { .array($0.compactMap(commonCall)) }
        guard let message = try? message(.object(common)), message.role != .native else { return nil }
        return message
    }

    /// A call of a function, or of a custom tool, as one of a function.
    private static func commonCall(_ call: JSONValue) -> JSONValue? {
        guard let tool = call["function"] ?? call["custom"], let name = tool["name"]?.stringValue else { return nil }
        let arguments = (tool["arguments"] ?? tool["input"])?.stringValue ?? ""
        return ToolCall(id: call["id"]?.stringValue ?? "", name: name, arguments: .string(arguments)).requestJSON
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
