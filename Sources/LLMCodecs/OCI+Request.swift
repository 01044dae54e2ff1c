package import ATOF

extension OCI {
    /// - Throws: `CodecError` for a body that the reference refuses.
    package static func request(_ body: JSONValue) throws(CodecError) -> NormalizedRequest {
        guard let envelope = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        let enclosed = envelope["chatRequest"]?.objectValue
        let chat = enclosed ?? envelope
        let format = format(of: chat)
        var reader = MemberReader(chat, rejecting: .invalidArgument)
        _ = reader.any("apiFormat")
        var others = JSONObject()
        var specific = JSONObject([("api", .string(name)), ("api_format", .string(format))])
        if enclosed != nil {
            others["model"] = model(servedBy: envelope["servingMode"])
            if let compartment = envelope["compartmentId"], compartment.stringValue != nil {
                specific["compartment_id"] = compartment
            }
            specific["serving_mode"] = envelope["servingMode"]
        }
        others["api_specific"] = .object(specific)
        var parameters = NormalizedRequest.Parameters()
        parameters.temperature = try reader.number("temperature")
        parameters.topP = try reader.number("topP")
        parameters.maxTokens = try reader.unsigned("maxTokens")
        parameters.stop = try reader.strings(stopKey(format: format))
        let tools = try reader.array("tools")?.map {
            ToolDefinition(native: native(kind: $0["type"]?.stringValue, $0))
        }
        others["tool_choice"] = reader.present("toolChoice").map {
            .object(native(kind: $0["type"]?.stringValue, $0).members)
        }
        let messages =
            format == cohere
            ? try cohereMessages(&reader) : try (reader.array("messages") ?? []).map(message)
        return NormalizedRequest(
            messages: messages, parameters: parameters, tools: tools, others: others, extra: reader.rest)
    }

    private static func model(servedBy servingMode: JSONValue?) -> JSONValue? {
        guard let id = servingMode?["modelId"] ?? servingMode?["endpointId"], id.stringValue != nil else { return nil }
        return id
    }

    // MARK: GENERIC and COHEREV2

    private static func message(_ value: JSONValue) throws(CodecError) -> Message {
        var reader = try MemberReader(value, "a message", rejecting: .invalidArgument)
        let word = reader.any("role")?.stringValue?.lowercased() ?? "user"
        let content = try content(reader.any("content"))
        let toolCalls = try reader.array("toolCalls")?.map(call)
        switch (word, content) {
        case ("assistant", _): return Message(.assistant, content, toolCalls: toolCalls)
        case ("user", let content?): return Message(.user, content)
        case ("system", let content?): return Message(.system, content)
        case ("tool", let content?):
            guard let id = value["toolCallId"], id.stringValue != nil else { break }
            return Message(.tool, content, others: JSONObject([("tool_call_id", id)]))
        default: break
        }
        return Message(native: native(kind: word, value))
    }

    private static func call(_ value: JSONValue) throws(CodecError) -> ToolCall {
        guard let object = value.objectValue else {
            throw CodecError(.invalidArgument, "a tool call must be an object")
        }
        let function = object["function"]?.objectValue ?? object
        let arguments = function["arguments"].map { $0.stringValue ?? $0.compactText }
        return ToolCall(
            id: object["id"]?.stringValue ?? "", name: function["name"]?.stringValue ?? "",
            arguments: .string(arguments ?? ""))
    }

    // MARK: COHERE

    /// The preamble, the history and the last message, which are members of their own in this format.
    private static func cohereMessages(_ reader: inout MemberReader) throws(CodecError) -> [Message] {
        var messages: [Message] = []
        if let preamble = reader.any("preambleOverride")?.stringValue, !preamble.isEmpty {
            messages.append(Message(.system, .text(preamble)))
        }
        if reader.any("chatHistory") != nil {
            messages += try reader.requiredArray("chatHistory").map(turn)
        }
        if let text = reader.any("message")?.stringValue { messages.append(Message(.user, .text(text))) }
        return messages
    }

    private static func turn(_ value: JSONValue) throws(CodecError) -> Message {
        guard let object = value.objectValue else { throw CodecError(.invalidArgument, "a turn must be an object") }
        let word = object["role"]?.stringValue?.uppercased() ?? "USER"
        guard let text = object["message"]?.stringValue, let role = cohereRoles[word] else {
            return Message(native: native(kind: word, value))
        }
        return Message(role, .text(text))
    }

    static let cohereRoles: [String: Message.Role] = ["USER": .user, "CHATBOT": .assistant, "SYSTEM": .system]
}
