internal import ATOF

extension OCI {
    /// Writes an edited request into its body.
    static func encode(_ editor: BodyEditor) throws(CodecError) -> JSONObject {
        let enclosed = editor.body["chatRequest"]?.objectValue
        var envelope = editor.body
        var editor = editor
        editor.body = enclosed ?? envelope
        try editor.refuseChanges(of: [
            "model", "instructions", "store", "previous_response_id", "truncation", "reasoning", "include", "user",
            "metadata", "service_tier", "parallel_tool_calls", "max_output_tokens", "max_tool_calls", "top_logprobs",
            "stream",
        ])
        let format = format(of: editor.body)
        if editor.isChanged("messages") {
            if format == cohere { try encodeCohere(&editor) } else { try encodeMessages(&editor, format: format) }
        }
        try encodeTools(&editor)
        editor.sampling(topP: "topP")
        editor.parameter(\.maxTokens, at: "maxTokens") { JSONValue(count: $0) }
        editor.parameter(\.stop, at: stopKey(format: format)) { .array($0.map { .string($0) }) }
        editor.extras()
        if enclosed == nil { envelope = editor.body } else { envelope["chatRequest"] = .object(editor.body) }
        try encodeSpecific(editor, into: &envelope, isEnvelope: enclosed != nil)
        return envelope
    }

    /// Compartment and serving mode lie in the envelope; a cleared `api_specific` changes nothing.
    private static func encodeSpecific(
        _ editor: BodyEditor, into envelope: inout JSONObject, isEnvelope: Bool
    ) throws(CodecError) {
        guard let after = editor.edited.members["api_specific"]?.objectValue, editor.isChanged("api_specific") else {
            return
        }
        let before = editor.baseline.members["api_specific"]?.objectValue ?? JSONObject()
        guard before["api"] == after["api"], before["api_format"] == after["api_format"] else {
            throw CodecError(.invalidArgument, "api and api_format cannot be changed")
        }
        for (key, wireKey) in [("compartment_id", "compartmentId"), ("serving_mode", "servingMode")]
        where before[key] != after[key] {
            guard isEnvelope else { throw CodecError(.invalidArgument, "\(key) needs a body with chatRequest") }
            envelope[wireKey] = after[key]
        }
    }

    // MARK: Messages

    private static func encodeMessages(_ editor: inout BodyEditor, format: String) throws(CodecError) {
        let messages = try editor.items(
            editor.edited.messages, baseline: editor.baseline.messages,
            originals: editor.body["messages"]?.arrayValue ?? [], patching: .samePlace,
            identity: \.identity
        ) { (message, _) throws(CodecError) in try json(message, format: format) }
        editor.body["messages"] = .array(messages)
    }

    private static func json(_ message: Message, format: String) throws(CodecError) -> JSONValue {
        switch message.role {
        case .system, .user, .assistant, .tool: break
        case .native: return try BodyEditor.value(of: message.native, provider: name)
        case .developer, .function, .toolCall, .toolResult:
            throw CodecError(.invalidArgument, "a \(message.role.rawValue) message has no place in OCI")
        }
        var members = JSONObject([("role", .string(message.role.rawValue.uppercased()))])
        switch message.content {
        case nil: members["content"] = []
        case .text(let text): members["content"] = [["text": .string(text), "type": "TEXT"]]
        case .parts(let parts): members["content"] = .array(try parts.map(json))
        }
        members["toolCallId"] = message.members["tool_call_id"]
        members["toolCalls"] = message.toolCalls.map { .array($0.map { json($0, format: format) }) }
        return .object(members)
    }

    private static func json(_ part: ContentPart) throws(CodecError) -> JSONValue {
        switch part.kind {
        case .text:
            var members = part.members
            members["type"] = "TEXT"
            return .object(members)
        case .native: return try BodyEditor.value(of: part.native, provider: name)
        case .imageURL, .image, .audio, .file, .refusal, .toolUse, .toolResult:
            throw CodecError(.invalidArgument, "a part of type \(part.kind.rawValue) has no place in OCI")
        }
    }

    private static func json(_ call: ToolCall, format: String) -> JSONValue {
        let function = JSONObject([("arguments", call.arguments), ("name", .string(call.name))])
        var members = format == cohereV2 ? JSONObject([("function", .object(function))]) : function
        members["type"] = "FUNCTION"
        members["id"] = call.id.isEmpty ? nil : .string(call.id)
        return .object(members)
    }

    // MARK: COHERE

    private static func encodeCohere(_ editor: inout BodyEditor) throws(CodecError) {
        var turns = editor.edited.messages[...]
        var baseline = editor.baseline.messages[...]
        let hadPreamble = !(editor.body["preambleOverride"]?.stringValue ?? "").isEmpty
        if hadPreamble { baseline = baseline.dropFirst() }
        if editor.body["message"]?.stringValue != nil { baseline = baseline.dropLast() }
        if let first = turns.first, first.role == .system {
            editor.body["preambleOverride"] = .string(try text(of: first))
            turns.removeFirst()
        } else {
            editor.body["preambleOverride"] = nil
        }
        guard let last = turns.popLast(), last.role == .user else {
            throw CodecError(.invalidArgument, "the last message must be the user's in the format COHERE")
        }
        editor.body["message"] = .string(try text(of: last))
        let history = try editor.items(
            Array(turns), baseline: Array(baseline), originals: editor.body["chatHistory"]?.arrayValue ?? []
        ) { (message, _) throws(CodecError) in try turn(message) }
        if !history.isEmpty || editor.body["chatHistory"] != nil { editor.body["chatHistory"] = .array(history) }
    }

    private static func turn(_ message: Message) throws(CodecError) -> JSONValue {
        if message.role == .native { return try BodyEditor.value(of: message.native, provider: name) }
        guard let role = cohereRoles.first(where: { $0.value == message.role })?.key else {
            throw CodecError(.invalidArgument, "a \(message.role.rawValue) message has no place in the format COHERE")
        }
        return ["message": .string(try text(of: message)), "role": .string(role)]
    }

    private static func text(of message: Message) throws(CodecError) -> String {
        guard case .text(let text) = message.content, message.toolCalls?.isEmpty ?? true else {
            throw CodecError(.invalidArgument, "a message must be plain text in the format COHERE")
        }
        return text
    }

    // MARK: Tools

    private static func encodeTools(_ editor: inout BodyEditor) throws(CodecError) {
        if editor.isChanged("tools") {
            editor.body["tools"] = try editor.edited.tools.map { (tools) throws(CodecError) in
                .array(
                    try editor.items(
                        tools, baseline: editor.baseline.tools ?? [],
                        originals: editor.body["tools"]?.arrayValue ?? []
                    ) { (tool, _) throws(CodecError) in try json(tool) })
            }
        }
        guard editor.isChanged("tool_choice") else { return }
        editor.body["toolChoice"] = try editor.edited.members["tool_choice"].map { (choice) throws(CodecError) in
            guard case .native(let native) = try ToolChoice(choice) else {
                throw CodecError(.invalidArgument, "tool_choice must be a provider_native value of OCI")
            }
            return try BodyEditor.value(of: native, provider: name)
        }
    }

    private static func json(_ tool: ToolDefinition) throws(CodecError) -> JSONValue {
        guard let function = tool.function else { return try BodyEditor.value(of: tool.native, provider: name) }
        var members = tool.members
        members["type"] = "FUNCTION"
        members["function"] = nil
        for member in function where member.key != "strict" { members[member.key] = member.value }
        return .object(members)
    }
}
