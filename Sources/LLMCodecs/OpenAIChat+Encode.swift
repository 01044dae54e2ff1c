internal import ATOF

extension OpenAIChat {
    /// Writes an edited request into its body.
    static func encode(_ editor: BodyEditor) throws(CodecError) -> JSONObject {
        var editor = editor
        let edited = editor.edited
        try editor.refuseChanges(of: [
            "instructions", "previous_response_id", "truncation", "reasoning", "include", "max_output_tokens",
            "max_tool_calls",
        ])
        try editor.messages { (message, _) throws(CodecError) in try json(message) }
        try editor.tools { (tool, _) throws(CodecError) in try json(tool) }
        if editor.isChanged("tool_choice") {
            editor.body["tool_choice"] = try edited.members["tool_choice"].map { (choice) throws(CodecError) in
                guard case .native(let native) = try ToolChoice(choice) else { return choice }
                return try BodyEditor.value(of: native, provider: name)
            }
        }
        encodeParameters(&editor)
        editor.copy(commonMembers)
        try editor.apiSpecific(.openAIChat, specificMembers)
        editor.extras()
        return editor.body
    }

    private static func encodeParameters(_ editor: inout BodyEditor) {
        editor.sampling(topP: "top_p")
        if editor.isChanged(\.maxTokens) {
            if let count = editor.edited.parameters?.maxTokens {
                let isLegacy = editor.body["max_completion_tokens"] == nil && editor.body["max_tokens"] != nil
                editor.body[isLegacy ? "max_tokens" : "max_completion_tokens"] = JSONValue(count: count)
            } else {
                editor.body["max_tokens"] = nil
                editor.body["max_completion_tokens"] = nil
            }
        }
        let wasText = editor.body["stop"]?.stringValue != nil
        editor.parameter(\.stop, at: "stop") { words in
            wasText && words.count == 1 ? .string(words[0]) : .array(words.map { .string($0) })
        }
    }

    private static func json(_ message: Message) throws(CodecError) -> JSONValue {
        switch message.role {
        case .system, .user, .developer, .assistant, .tool, .function: break
        case .native: return try BodyEditor.value(of: message.native, provider: name)
        case .toolCall, .toolResult:
            throw CodecError(.invalidArgument, "a \(message.role.rawValue) message has no place in Chat")
        }
        guard case .parts(let parts) = message.content else { return .object(message.members) }
        var members = message.members
        members["content"] = .array(try parts.map(json))
        return .object(members)
    }

    private static func json(_ part: ContentPart) throws(CodecError) -> JSONValue {
        switch part.kind {
        case .text, .imageURL, .file, .refusal: return .object(part.members)
        case .audio:
            var members = part.members
            members["type"] = "input_audio"
            members["input_audio"] = members["audio"]
            members["audio"] = nil
            return .object(members)
        case .native: return try BodyEditor.value(of: part.native, provider: name)
        case .image, .toolUse, .toolResult:
            throw CodecError(.invalidArgument, "a part of type \(part.kind.rawValue) has no place in Chat")
        }
    }

    private static func json(_ tool: ToolDefinition) throws(CodecError) -> JSONValue {
        if tool.function != nil { return .object(tool.members) }
        return try BodyEditor.value(of: tool.native, provider: name)
    }
}
