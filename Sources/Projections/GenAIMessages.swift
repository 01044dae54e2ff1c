internal import ATOF
internal import LLMCodecs

/// Messages and instructions as the JSON text of the conventions (`otel-projections.md` 3.3.4), with sorted keys.
enum GenAIMessages {
    /// The parts of the instructions that stand beside the messages; nil without parts.
    static func instructions(_ content: MessageContent?) -> String? {
        guard hasParts(content) else { return nil }
        var writer = GenAIPartWriter()
        writer.write(content)
        return writer.finish()
    }

    /// The messages of a request; nil when it has none.
    static func input(_ messages: [Message]) -> String? {
        if messages.isEmpty { return nil }
        var writer = GenAIPartWriter()
        for message in messages {
            writer.beginMessage(name: name(message))
            write(message, to: &writer)
            writer.endMessage(role: role(message))
        }
        return writer.finish()
    }

    /// The one message that a model answers with; nil when it says nothing and calls nothing.
    static func output(_ response: NormalizedResponse) -> String? {
        if !hasParts(response.message), response.toolCalls?.isEmpty ?? true { return nil }
        var writer = GenAIPartWriter()
        writer.beginMessage(finishReason: response.finishReason.map(word) ?? "unknown")
        writer.write(response.message)
        for call in response.toolCalls ?? [] {
            writer.writeCall(id: call.id, name: call.name, arguments: call.arguments)
        }
        writer.endMessage(role: "assistant")
        return writer.finish()
    }

    private static func hasParts(_ content: MessageContent?) -> Bool {
        switch content {
        case nil: false
        case .text: true
        case .parts(let parts): !parts.isEmpty
        }
    }

    /// A finish reason in the words of the conventions; a provider's own word stays.
    static func word(_ reason: FinishReason) -> String {
        switch reason {
        case .complete: "stop"
        case .length: "length"
        case .toolUse: "tool_call"
        case .contentFilter: "content_filter"
        case .unknown(let word): word
        }
    }

    /// The tools that a request offers, by name and type; nil when it offers none that has both.
    static func definitions(_ tools: [ToolDefinition]?) -> String? {
        let definitions = tools?.flatMap(definitions(of:)) ?? []
        if definitions.isEmpty { return nil }
        var writer = JSONWriter()
        for (index, tool) in definitions.enumerated() {
            writer.raw(index == 0 ? "[{\"name\":" : ",{\"name\":")
            writer.write(tool.name)
            writer.raw(",\"type\":")
            writer.write(tool.type)
            writer.raw("}")
        }
        writer.raw("]")
        return writer.text
    }

    /// Several where a group of Gemini's has several.
    private static func definitions(of tool: ToolDefinition) -> [(name: String, type: String)] {
        if tool.function != nil {
            return GenAILookup.notBlank(tool.function?["name"]).map { [(name: $0, type: "function")] } ?? []
        }
        guard let native = tool.native, let value = native.value.objectValue else { return [] }
        if let name = value["name"] {
            let type = value["type"]?.stringValue ?? native.kind
            guard let name = GenAILookup.notBlank(name), GenAILookup.notBlank(.string(type)) != nil else { return [] }
            return [(name: name, type: type)]
        }
        switch native.provider {
        case "openai_responses": return hosted.contains(native.kind) ? [(name: native.kind, type: native.kind)] : []
        case "gemini":
            return value.filter { hostedByGemini.contains($0.key) && !$0.value.isNull }
                .map { (name: $0.key, type: $0.key) }
        default: return []
        }
    }

    /// Tools that providers run, which have no name but their type.
    private static let hosted: Set<String> = [
        "web_search", "web_search_preview", "file_search", "computer_use_preview", "code_interpreter",
        "image_generation", "local_shell", "shell", "apply_patch",
    ]
    private static let hostedByGemini: Set<String> = [
        "codeExecution", "googleSearch", "googleSearchRetrieval", "urlContext", "googleMaps", "retrieval",
        "enterpriseWebSearch",
    ]

    private static func role(_ message: Message) -> String {
        switch message.role {
        case .user: message.isToolResults ? "tool" : "user"
        case .system, .developer, .assistant, .tool: message.role.rawValue
        case .function, .toolResult: "tool"
        case .toolCall: "assistant"
        case .native: message.native?.value["role"]?.stringValue ?? "provider_native"
        }
    }

    private static func name(_ message: Message) -> String? {
        switch message.role {
        case .system, .developer, .user, .assistant, .function: message.members["name"]?.stringValue
        // The name of a call is its tool's.
        case .tool, .toolCall, .toolResult, .native: nil
        }
    }

    private static func write(_ message: Message, to writer: inout GenAIPartWriter) {
        switch message.role {
        case .system, .developer, .user: writer.write(message.content)
        case .assistant:
            writer.write(message.content)
            for call in message.toolCalls ?? [] {
                writer.writeCall(id: call.id, name: call.name, arguments: parsed(call.arguments))
            }
        case .tool:
            writer.writeResponse(id: message.members["tool_call_id"]?.stringValue, message.content?.json ?? .null)
        case .function: writer.writeResponse(id: nil, message.content?.json ?? .null)
        case .toolCall:
            writer.writeCall(
                id: message.members["call_id"]?.stringValue ?? "", name: message.members["name"]?.stringValue ?? "",
                arguments: message.members["arguments"] ?? .null)
        case .toolResult:
            writer.writeResponse(id: message.members["call_id"]?.stringValue, message.members["output"] ?? .null)
        case .native:
            if let native = message.native { writer.write(native) }
        }
    }

    /// The arguments of a call in a request are text that holds JSON.
    private static func parsed(_ arguments: JSONValue) -> JSONValue {
        arguments.stringValue.map(ToolCall.parsedArguments) ?? arguments
    }
}
