package import ATOF

extension OpenAIChat {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(_ body: JSONValue) throws(CodecError) -> NormalizedRequest {
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        guard let elements = try reader.array("messages") else {
            throw CodecError(.invalidArgument, "messages is missing")
        }
        var messages: [JSONValue] = []
        messages.reserveCapacity(elements.count)
        for element in elements { messages.append(.object(try message(element))) }
        var members = JSONObject()
        members["messages"] = .array(messages)
        members["params"] = try parameters(&reader)
        if reader.any("tools") != nil {
            guard let elements = try reader.array("tools") else {
                throw CodecError(.invalidArgument, "tools must be an array")
            }
            var tools: [JSONValue] = []
            for element in elements { tools.append(.object(try tool(element).members)) }
            members["tools"] = .array(tools)
        }
        members["tool_choice"] = reader.any("tool_choice").map(toolChoice)
        for key in ["model", "user", "service_tier"] { members[key] = try reader.string(key).map { .string($0) } }
        for key in ["store", "parallel_tool_calls", "stream"] { members[key] = try reader.bool(key).map { .bool($0) } }
        if try reader.unsigned("top_logprobs") != nil { members["top_logprobs"] = object["top_logprobs"] }
        members["metadata"] = try reader.object("metadata").map { .object($0) }
        members["api_specific"] = .object(try apiSpecific(&reader))
        return try NormalizedRequest(members: members, extra: reader.rest)
    }

    private static func parameters(_ reader: inout MemberReader) throws(CodecError) -> JSONValue? {
        var params = JSONObject()
        params["temperature"] = try reader.number("temperature").map { .double($0) }
        params["top_p"] = try reader.number("top_p").map { .double($0) }
        for key in ["max_tokens", "max_completion_tokens"] where try reader.unsigned(key) != nil {
            params["max_tokens"] = reader.object[key]
        }
        if case .string(let word) = reader.any("stop") {
            params["stop"] = [.string(word)]
        } else {
            params["stop"] = try reader.strings("stop").map { .array($0.map { .string($0) }) }
        }
        return params.isEmpty ? nil : .object(params)
    }

    private static func apiSpecific(_ reader: inout MemberReader) throws(CodecError) -> JSONObject {
        var checked: [String] = []
        for key in [
            "audio", "logit_bias", "moderation", "prediction", "prompt_cache_options", "response_format",
            "stream_options",
            "web_search_options",
        ] where try reader.object(key) != nil { checked.append(key) }
        for key in [
            "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "safety_identifier", "verbosity",
        ] where try reader.string(key) != nil { checked.append(key) }
        for key in ["frequency_penalty", "presence_penalty"] where try reader.number(key) != nil { checked.append(key) }
        if try reader.array("functions") != nil { checked.append("functions") }
        if try reader.strings("modalities") != nil { checked.append("modalities") }
        if try reader.bool("logprobs") != nil { checked.append("logprobs") }
        if try reader.unsigned("n") != nil { checked.append("n") }
        if try reader.integer("seed") != nil { checked.append("seed") }
        if reader.any("function_call") != nil { checked.append("function_call") }
        var specific = JSONObject()
        for key in checked { specific[key] = reader.object[key] }
        specific["api"] = .string(name)
        return specific
    }

    // MARK: Messages

    private static let portableKeys: [Message.Role: Set<String>] = [
        .system: ["role", "content", "name"], .developer: ["role", "content", "name"],
        .user: ["role", "content", "name"],
        .assistant: ["role", "content", "tool_calls", "name"], .tool: ["role", "content", "tool_call_id"],
        .function: ["role", "content", "name"],
    ]

    private static func message(_ value: JSONValue) throws(CodecError) -> JSONObject {
        var reader = try MemberReader(value, "a message", rejecting: .invalidArgument)
        let word = try reader.requiredString("role")
        guard let role = Message.Role(rawValue: word), let keys = portableKeys[role],
            reader.object.allSatisfy({ keys.contains($0.key) }), try areCallsPortable(&reader)
        else { return Message(native: native(kind: word, value)).members }
        // The wire form of a portable message is its own, but for the types of parts and explicit nulls.
        var members = reader.object
        if let content = members["content"] { members["content"] = try self.content(content) }
        for key in ["content", "name", "tool_calls"] where members[key]?.isNull == true { members[key] = nil }
        if role == .function {
            guard members["content"]?.stringValue != nil || members["content"] == nil else {
                throw CodecError(.invalidArgument, "content of a function message must be a string or null")
            }
            members["content"] = members["content"] ?? .null
        }
        return members
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

    private static func content(_ value: JSONValue) throws(CodecError) -> JSONValue {
        guard case .array(let elements) = value else { return value }
        var parts: [JSONValue] = []
        for element in elements {
            var reader = try MemberReader(element, "a content part", rejecting: .invalidArgument)
            let part: ContentPart
            switch reader.any("type")?.stringValue {
            case "text", "file", "refusal":
                part = try ContentPart(element, rejecting: .invalidArgument)
            case "image_url":
                var url = try MemberReader(reader.any("image_url"), "image_url", rejecting: .invalidArgument)
                var image = JSONObject([("url", .string(try url.requiredString("url")))])
                image["detail"] = try url.string("detail").map { .string($0) }
                var members = reader.object
                members["image_url"] = .object(image)
                part = ContentPart(kind: .imageURL, members: members)
            case "input_audio":
                guard let audio = reader.any("input_audio") else {
                    throw CodecError(.invalidArgument, "an input_audio part lacks its payload")
                }
                var members = reader.rest
                members["type"] = .string(ContentPart.Kind.audio.rawValue)
                members["audio"] = audio
                part = ContentPart(kind: .audio, members: members)
            case let type:
                part = ContentPart(native: native(kind: type ?? "unknown", element))
            }
            parts.append(.object(part.members))
        }
        return .array(parts)
    }

    // MARK: Tools

    private static func tool(_ value: JSONValue) throws(CodecError) -> ToolDefinition {
        var reader = try MemberReader(value, "a tool", rejecting: .invalidArgument)
        let type = reader.any("type")?.stringValue
        guard type == "function" else { return ToolDefinition(native: native(kind: type ?? "unknown", value)) }
        var function = try MemberReader(reader.any("function"), "function of a tool", rejecting: .invalidArgument)
        _ = try function.requiredString("name")
        var inner = function.object
        if try function.string("description") == nil { inner["description"] = nil }
        if try function.bool("strict") == nil { inner["strict"] = nil }
        var members = reader.object
        members["function"] = .object(inner)
        return ToolDefinition(members: members)
    }

    private static func toolChoice(_ value: JSONValue) -> JSONValue {
        if value == "auto" || value == "none" || value == "required" { return value }
        if value["type"] == "function", let name = value["function"]?["name"]?.stringValue {
            return ["type": "function", "function": ["name": .string(name)]]
        }
        return .object(native(kind: "tool_choice", value).members)
    }
}
