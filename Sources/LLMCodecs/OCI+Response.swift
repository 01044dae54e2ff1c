package import ATOF

extension OCI {
    /// Only content of a wrong type is refused; everything else that cannot be read is left out.
    ///
    /// - Throws: `CodecError` for content that is no text and no parts.
    package static func response(_ body: JSONValue) throws(CodecError) -> NormalizedResponse {
        guard let envelope = body.objectValue else {
            return NormalizedResponse(
                message: nil, toolCalls: nil, finishReason: nil, usage: nil, apiSpecific: nil,
                extra: JSONObject([("raw", body)]))
        }
        var outer = MemberReader(envelope, rejecting: .invalidArgument)
        var extra = JSONObject()
        var model: String?
        var version: String?
        let enclosed = envelope["chatResponse"]?.objectValue
        if enclosed != nil {
            _ = outer.any("chatResponse")
            model = outer.any("modelId")?.stringValue
            version = outer.any("modelVersion")?.stringValue
            extra = outer.rest
        }
        var chat = MemberReader(enclosed ?? envelope, rejecting: .invalidArgument)
        let format = format(of: chat.object)
        _ = chat.any("apiFormat")
        var specific = JSONObject([("api", .string(name)), ("api_format", .string(format))])
        specific["model_version"] = version.map { .string($0) }
        let usage = chat.any("usage")?.objectValue.map(counts)
        let turn = try turn(of: format, in: &chat)
        extra = JSONObject([extra, chat.rest, turn.extra].joined().map { ($0.key, $0.value) })
        return NormalizedResponse(
            id: turn.id, model: model, message: turn.message, toolCalls: turn.toolCalls,
            finishReason: turn.finishReason.map(finishReason), usage: usage, apiSpecific: specific, extra: extra)
    }

    /// What the model said, wherever the format has it.
    private struct Turn {
        var id: String?
        var message: MessageContent?
        var toolCalls: [ToolCall]?
        var finishReason: String?
        /// What is left of nested objects, under their names.
        var extra = JSONObject()

        mutating func read(message object: JSONObject) throws(CodecError) {
            var reader = MemberReader(object, rejecting: .invalidArgument)
            _ = reader.any("role")
            message = try OCI.content(reader.any("content"))
            toolCalls = OCI.calls(reader.any("toolCalls"))
            keep(reader.rest, as: "message")
        }

        mutating func keep(_ rest: JSONObject, as key: String) {
            if !rest.isEmpty { extra[key] = .object(rest) }
        }
    }

    private static func turn(of format: String, in chat: inout MemberReader) throws(CodecError) -> Turn {
        var turn = Turn()
        switch format {
        case cohere:
            turn.message = chat.any("text")?.stringValue.map { .text($0) }
            turn.toolCalls = calls(chat.any("toolCalls"))
            turn.finishReason = chat.any("finishReason")?.stringValue
        case cohereV2:
            turn.id = chat.any("id")?.stringValue
            turn.finishReason = chat.any("finishReason")?.stringValue
            if let message = chat.any("message")?.objectValue { try turn.read(message: message) }
        default:
            guard let first = chat.any("choices")?[0]?.objectValue else { break }
            var choice = MemberReader(first, rejecting: .invalidArgument)
            _ = choice.any("index")
            turn.finishReason = choice.any("finishReason")?.stringValue
            if let message = choice.any("message")?.objectValue { try turn.read(message: message) }
            turn.keep(choice.rest, as: "choice")
        }
        return turn
    }

    private static func calls(_ value: JSONValue?) -> [ToolCall]? {
        var calls: [ToolCall] = []
        for (position, element) in (value?.arrayValue ?? []).enumerated() {
            guard let object = element.objectValue else { continue }
            let function = object["function"]?.objectValue ?? object
            guard let name = function["name"]?.stringValue else { continue }
            let arguments: JSONValue =
                switch function["arguments"] {
                case .string(let text)?: ToolCall.parsedArguments(text)
                case let value?: value
                case nil: function["parameters"] ?? .null
                }
            calls.append(
                ToolCall(
                    id: object["id"]?.stringValue ?? "call_\(position)", name: name, arguments: arguments))
        }
        return calls.isEmpty ? nil : calls
    }

    private static func finishReason(_ word: String) -> FinishReason {
        switch word {
        case "stop", "COMPLETE", "STOP_SEQUENCE": .complete
        case "length", "max_tokens", "MAX_TOKENS": .length
        case "tool_calls", "TOOL_CALL": .toolUse
        case "content_filter": .contentFilter
        default: .unknown(word)
        }
    }

    private static func counts(of object: JSONObject) -> Usage {
        var usage = Usage()
        usage.promptTokens = object["promptTokens"]?.uint64Value
        usage.completionTokens = object["completionTokens"]?.uint64Value
        usage.totalTokens = object["totalTokens"]?.uint64Value
        usage.cacheReadTokens = object["promptTokensDetails"]?["cachedTokens"]?.uint64Value
        usage.deriveUncachedInput()
        return usage
    }
}
