internal import ATOF

extension Anthropic {
    /// Writes an edited request into its body.
    static func encode(_ editor: BodyEditor) throws(CodecError) -> JSONObject {
        var editor = editor
        let edited = editor.edited
        try editor.refuseChanges(of: [
            "store", "previous_response_id", "truncation", "reasoning", "include", "user", "max_output_tokens",
            "max_tool_calls", "top_logprobs",
        ])
        if editor.isChanged("instructions") {
            editor.body["system"] = try edited.instructions.map(json)
        }
        try editor.messages { (message, _) throws(CodecError) in try json(message) }
        try editor.tools { (tool, _) throws(CodecError) in try json(tool) }
        try encodeToolChoice(&editor)
        editor.sampling(topP: "top_p")
        editor.parameter(\.maxTokens, at: "max_tokens") { JSONValue(count: $0) }
        editor.parameter(\.stop, at: "stop_sequences") { .array($0.map { .string($0) }) }
        editor.copy(commonMembers)
        try editor.apiSpecific(.anthropicMessages, specificMembers, wireKeys: [userProfileKey: "user_profile_id"])
        editor.extras()
        return editor.body
    }

    /// The choice and the flag for parallel calls are one object here.
    private static func encodeToolChoice(_ editor: inout BodyEditor) throws(CodecError) {
        let isParallelChanged = editor.isChanged("parallel_tool_calls")
        guard editor.isChanged("tool_choice") || isParallelChanged else { return }
        var choice = editor.body["tool_choice"]
        if editor.isChanged("tool_choice") {
            choice = try editor.edited.members["tool_choice"].map { (value) throws(CodecError) in
                switch try ToolChoice(value) {
                case .auto: ["type": "auto"]
                case .required: ["type": "any"]
                case .none: ["type": "none"]
                case .function(let function): choosing(function, continuing: editor)
                case .native(let native): try BodyEditor.value(of: native, provider: name)
                }
            }
        }
        if let parallel = editor.edited.members["parallel_tool_calls"]?.boolValue {
            if var object = (choice ?? ["type": "auto"]).objectValue {
                object["disable_parallel_tool_use"] = .bool(!parallel)
                choice = .object(object)
            } else if isParallelChanged {
                throw CodecError(.invalidArgument, "parallel_tool_calls needs a tool_choice that is an object")
            }
        } else if isParallelChanged, var object = choice?.objectValue {
            object["disable_parallel_tool_use"] = nil
            choice = .object(object)
        }
        editor.body["tool_choice"] = choice
    }

    /// A choice of another function keeps what it has besides.
    private static func choosing(_ function: String, continuing editor: BodyEditor) -> JSONValue {
        var choice = editor.continuedChoice ?? JSONObject([("type", "tool")])
        choice["name"] = .string(function)
        return .object(choice)
    }

    private static func json(_ message: Message) throws(CodecError) -> JSONValue {
        switch message.role {
        case .system, .user, .assistant: break
        case .native: return try BodyEditor.value(of: message.native, provider: name)
        case .developer, .tool, .function, .toolCall, .toolResult:
            throw CodecError(.invalidArgument, "a \(message.role.rawValue) message has no place in Messages")
        }
        guard message.toolCalls?.isEmpty ?? true else {
            throw CodecError(.invalidArgument, "tool_calls have no place in Messages: calls are content blocks")
        }
        var members = message.members
        for key in ["name", "tool_calls"] { members[key] = nil }
        members["content"] = try message.content.map(json) ?? []
        return .object(members)
    }

    private static func json(_ content: MessageContent) throws(CodecError) -> JSONValue {
        switch content {
        case .text(let text): .string(text)
        case .parts(let parts): .array(try parts.map(json))
        }
    }

    private static func json(_ part: ContentPart) throws(CodecError) -> JSONValue {
        switch part.kind {
        case .text, .toolUse, .toolResult: return .object(part.members)
        case .image: return .object(try part.flattened(as: "image"))
        case .file: return .object(try part.flattened(as: "document"))
        case .native: return try BodyEditor.value(of: part.native, provider: name)
        case .imageURL, .audio, .refusal:
            throw CodecError(.invalidArgument, "a part of type \(part.kind.rawValue) has no place in Messages")
        }
    }

    private static func json(_ tool: ToolDefinition) throws(CodecError) -> JSONValue {
        guard var members = tool.function else { return try BodyEditor.value(of: tool.native, provider: name) }
        members["input_schema"] = members["parameters"]
        members["parameters"] = nil
        for member in tool.members where member.key != "function" && member.key != "type" {
            members[member.key] = member.value
        }
        return .object(members)
    }
}
