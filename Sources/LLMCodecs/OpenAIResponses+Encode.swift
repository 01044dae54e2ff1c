internal import ATOF

extension OpenAIResponses {
    /// Writes an edited request into its body.
    static func encode(_ editor: BodyEditor) throws(CodecError) -> JSONObject {
        var editor = editor
        let edited = editor.edited
        if editor.isChanged("instructions") {
            if case .parts = edited.instructions {
                throw CodecError(.invalidArgument, "instructions must be a string")
            }
            editor.body["instructions"] = edited.instructions?.json
        }
        if editor.isChanged("messages") { editor.body["input"] = try input(&editor) }
        try editor.tools { (tool, original) throws(CodecError) in
            try json(tool, isWrapped: original?["function"]?.objectValue != nil)
        }
        try encodeToolChoice(&editor)
        try encodeParameters(&editor)
        editor.copy(commonMembers)
        try editor.apiSpecific(.openAIResponses, specificMembers)
        editor.extras()
        return editor.body
    }

    private static func encodeParameters(_ editor: inout BodyEditor) throws(CodecError) {
        editor.sampling(topP: "top_p")
        if editor.isChanged(\.stop) {
            throw CodecError(.invalidArgument, "stop cannot be changed on this surface")
        }
        // The common form says the limit twice; the wire has it once.
        let limit = editor.edited.members["max_output_tokens"]
        if editor.isChanged(\.maxTokens) {
            let count = editor.edited.parameters?.maxTokens.map(JSONValue.init(count:))
            guard !editor.isChanged("max_output_tokens") || limit == count else {
                throw CodecError(.invalidArgument, "max_output_tokens and max_tokens differ")
            }
            editor.body["max_output_tokens"] = count
        } else if editor.isChanged("max_output_tokens") {
            editor.body["max_output_tokens"] = limit
        }
    }

    private static func encodeToolChoice(_ editor: inout BodyEditor) throws(CodecError) {
        let parallel = editor.edited.members["parallel_tool_calls"]
        let flag = "disable_parallel_tool_use"
        let wasInChoice = editor.body["parallel_tool_calls"]?.nonNull == nil && editor.body["tool_choice"]?[flag] != nil
        if editor.isChanged("tool_choice") {
            editor.body["tool_choice"] = try editor.edited.members["tool_choice"].map { (value) throws(CodecError) in
                switch try ToolChoice(value) {
                case .auto, .none, .required: value
                case .function(let function): choosing(function, continuing: editor)
                case .native(let native): try BodyEditor.value(of: native, provider: name)
                }
            }
            if wasInChoice { editor.body["parallel_tool_calls"] = parallel }
        }
        guard editor.isChanged("parallel_tool_calls") else { return }
        editor.body["parallel_tool_calls"] = parallel
        if var choice = editor.body["tool_choice"]?.objectValue, choice[flag] != nil {
            choice[flag] = nil
            editor.body["tool_choice"] = .object(choice)
        }
    }

    /// A choice of another function keeps what it has besides, and its form.
    private static func choosing(_ function: String, continuing editor: BodyEditor) -> JSONValue {
        guard var choice = editor.continuedChoice else { return ["name": .string(function), "type": "function"] }
        if choice["name"]?.stringValue == nil, var inner = choice["function"]?.objectValue {
            inner["name"] = .string(function)
            choice["function"] = .object(inner)
        } else {
            choice["name"] = .string(function)
        }
        return .object(choice)
    }

    // MARK: Input

    private static func input(_ editor: inout BodyEditor) throws(CodecError) -> JSONValue {
        let messages = editor.edited.messages
        if editor.body["input"]?.stringValue != nil, messages.count == 1, messages[0].role == .user,
            case .text(let text) = messages[0].content, messages[0].members["name"] == nil
        {
            return .string(text)
        }
        return .array(
            try editor.items(
                messages, baseline: editor.baseline.messages, originals: editor.body["input"]?.arrayValue ?? [],
                identity: \.identity
            ) { (message, _) throws(CodecError) in try json(message) })
    }

    private static func json(_ message: Message) throws(CodecError) -> JSONValue {
        var members = message.members
        switch message.role {
        case .system, .user, .developer, .assistant:
            guard let content = message.content, message.toolCalls?.isEmpty ?? true else {
                throw CodecError(.invalidArgument, "a message needs content and has no tool_calls in Responses")
            }
            for key in ["name", "tool_calls"] { members[key] = nil }
            members["type"] = "message"
            if case .parts(let parts) = content {
                members["content"] = .array(
                    try parts.map { (part) throws(CodecError) in try json(part, of: message.role) })
            }
        case .toolCall:
            members["role"] = nil
            members["type"] = "function_call"
            let arguments = members["arguments"] ?? .null
            members["arguments"] = .string(arguments.stringValue ?? arguments.compactText)
        case .toolResult:
            members["role"] = nil
            members["type"] = "function_call_output"
        case .native: return try BodyEditor.value(of: message.native, provider: name)
        case .tool, .function:
            throw CodecError(.invalidArgument, "a \(message.role.rawValue) message has no place in Responses")
        }
        return .object(members)
    }

    private static func json(_ part: ContentPart, of role: Message.Role) throws(CodecError) -> JSONValue {
        var members = part.members
        switch part.kind {
        case .text: members["type"] = role == .assistant ? "output_text" : "input_text"
        case .refusal where role == .assistant: break
        case .image: members = try part.flattened(as: "input_image")
        case .file: members = try part.flattened(as: "input_file")
        case .imageURL:
            members["image_url"] = members["image_url"]?["url"]
            members["detail"] = part.members["image_url"]?["detail"]
            members["type"] = "input_image"
        case .native: return try BodyEditor.value(of: part.native, provider: name)
        case .audio, .refusal, .toolUse, .toolResult:
            throw CodecError(
                .invalidArgument, "a part of type \(part.kind.rawValue) has no place in a \(role.rawValue) message")
        }
        return .object(members)
    }

    /// - Parameter isWrapped: whether the members of the function lie in an object of their own.
    private static func json(_ tool: ToolDefinition, isWrapped: Bool) throws(CodecError) -> JSONValue {
        guard let function = tool.function else { return try BodyEditor.value(of: tool.native, provider: name) }
        if isWrapped { return .object(tool.members) }
        var members = tool.members
        members["function"] = nil
        for member in function { members[member.key] = member.value }
        members["type"] = "function"
        return .object(members)
    }
}
