package import ATOF

extension Gemini {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(
        _ body: JSONValue, _ compatibility: Compatibility = .skein
    ) throws(CodecError) -> NormalizedRequest {
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        var reader = MemberReader(object, rejecting: .invalidArgument)
        var messages: [Message] = []
        if let text = try systemText(&reader), !text.isEmpty { messages.append(Message(.system, .text(text))) }
        for content in try reader.requiredArray("contents") {
            messages += try self.messages(of: content, compatibility)
        }
        let parameters = try parameters(&reader)
        var tools: [ToolDefinition] = []
        if reader.any("tools") != nil {
            for group in try reader.requiredArray("tools") { tools += try self.tools(of: group) }
        }
        var others = JSONObject()
        others["model"] = try reader.strict("model", "a string", \.stringValue).map { .string($0) }
        return NormalizedRequest(
            messages: messages, parameters: parameters, tools: tools.isEmpty ? nil : tools, others: others,
            extra: reader.rest)
    }

    private static func systemText(_ reader: inout MemberReader) throws(CodecError) -> String? {
        guard let value = reader.any("systemInstruction") else { return nil }
        var instruction = try MemberReader(value, "systemInstruction", rejecting: .invalidArgument)
        _ = try instruction.strict("role", "a string", \.stringValue)
        let texts = try instruction.requiredArray("parts").map { (part) throws(CodecError) in
            guard let text = try Part(part).members["text"]?.stringValue else {
                throw CodecError(.invalidArgument, "parts of systemInstruction must be text")
            }
            return text
        }
        return texts.joined(separator: "\n")
    }

    private static func parameters(_ reader: inout MemberReader) throws(CodecError) -> NormalizedRequest.Parameters {
        var parameters = NormalizedRequest.Parameters()
        guard let object = try reader.strict("generationConfig", "an object", \.objectValue) else { return parameters }
        var config = MemberReader(object, rejecting: .invalidArgument)
        parameters.temperature = try config.strict("temperature", "a number", \.numberValue)
        parameters.topP = try config.strict("topP", "a number", \.numberValue)
        parameters.maxTokens = try config.strict("maxOutputTokens", "a non-negative integer", \.uint64Value)
        if config.any("stopSequences") != nil {
            guard let words = try config.strings("stopSequences") else {
                throw CodecError(.invalidArgument, "stopSequences must be an array")
            }
            parameters.stop = words
        }
        return parameters
    }

    // MARK: Contents

    /// One message, or one for each response of a function.
    private static func messages(
        of value: JSONValue, _ compatibility: Compatibility
    ) throws(CodecError) -> [Message] {
        var reader = try MemberReader(value, "a content", rejecting: .invalidArgument)
        let role = try reader.strict("role", "a string", \.stringValue) ?? "user"
        guard role == "user" || role == "model" else {
            throw CodecError(.invalidArgument, "role of a content must be user or model")
        }
        let parts = try reader.requiredArray("parts").map { (part) throws(CodecError) in try Part(part) }
        if parts.contains(where: \.isResponse) {
            guard role == "user", parts.allSatisfy({ $0.isResponse || $0.isThought && !$0.isCall }) else {
                throw CodecError(.invalidArgument, "a functionResponse must be alone, and the user's")
            }
            let results = try parts.filter(\.isResponse).map(toolMessage)
            try refuseRepeatedIDs(results.lazy.map(\.toolCallID), compatibility)
            return results
        }
        let content = visibleContent(parts)
        guard parts.contains(where: \.isCall) else {
            return [Message(role == "user" ? .user : .assistant, content ?? .text(""))]
        }
        guard role == "model" else { throw CodecError(.invalidArgument, "a functionCall must be the model's") }
        let calls = try calls(of: parts, compatibility).map {
            ToolCall(id: $0.id, name: $0.name, arguments: .string($0.arguments.compactText))
        }
        return [Message(.assistant, content, toolCalls: calls)]
    }

    private static func toolMessage(_ part: Part) throws(CodecError) -> Message {
        var reader = try MemberReader(
            part.members["functionResponse"], "functionResponse", rejecting: .invalidArgument)
        let (id, _) = try identity(&reader)
        guard let response = try reader.strict("response", "an object", \.objectValue) else {
            throw CodecError(.invalidArgument, "response of a functionResponse is missing")
        }
        var content = MessageContent.text(response.compactText)
        if let elements = try reader.strict("parts", "an array", \.arrayValue) {
            let nested = try elements.map { (element) throws(CodecError) in
                let part = try Part(element)
                guard !part.isCall, !part.isResponse else {
                    throw CodecError(.invalidArgument, "a functionResponse must not hold calls or responses")
                }
                return ContentPart(native: native(kind: part.dataKey, element))
            }
            content = .parts([ContentPart(.text, .string(response.compactText))] + nested)
        }
        return Message(.tool, content, others: JSONObject([("tool_call_id", .string(id))]))
    }

    // MARK: Tools

    /// The functions of a group, then one native tool with all that it has beside them.
    private static func tools(of value: JSONValue) throws(CodecError) -> [ToolDefinition] {
        var reader = try MemberReader(value, "a group of tools", rejecting: .invalidArgument)
        var tools: [ToolDefinition] = []
        let declarations = try reader.strict("functionDeclarations", "an array", \.arrayValue)
        for declaration in declarations ?? [] {
            var function = try MemberReader(declaration, "a function declaration", rejecting: .invalidArgument)
            guard let name = try function.strict("name", "a string", \.stringValue), !name.isEmpty else {
                throw CodecError(.invalidArgument, "name of a function declaration must not be empty")
            }
            _ = try function.strict("description", "a string", \.stringValue)
            tools.append(ToolDefinition(function: function.object))
        }
        let siblings = reader.rest
        if declarations == nil || !siblings.isEmpty {
            tools.append(ToolDefinition(native: native(kind: siblings.keys.first, .object(siblings))))
        }
        return tools
    }
}
