package import ATOF

extension OpenAIChat {
    /// Only the first choice is used, but all are checked.
    ///
    /// - Throws: `CodecError` when a member has the wrong type.
    package static func response(_ body: JSONValue) throws(CodecError) -> NormalizedResponse {
        var reader = try MemberReader(body, "the body", rejecting: .internal)
        var members = JSONObject()
        var specific = JSONObject([("api", .string(name))])
        for key in ["id", "model"] { members[key] = try reader.string(key).map { .string($0) } }
        for key in ["system_fingerprint", "service_tier"] { specific[key] = try reader.string(key).map { .string($0) } }
        for (index, element) in (try reader.array("choices") ?? []).enumerated() {
            let choice = try choice(element)
            guard index == 0 else { continue }
            members["message"] = choice.message.map { .string($0) }
            members["tool_calls"] = choice.toolCalls.map { .array($0.map(\.responseJSON)) }
            members["finish_reason"] = choice.finishReason?.json
            specific["logprobs"] = choice.logprobs
        }
        members["usage"] = try reader.object("usage").map { (object) throws(CodecError) in try usage(object).json }
        members["api_specific"] = .object(specific)
        return try NormalizedResponse(members: members, extra: reader.rest)
    }

    private struct Choice {
        var message: String?
        var toolCalls: [ToolCall]?
        var finishReason: FinishReason?
        var logprobs: JSONValue?
    }

    private static func choice(_ value: JSONValue) throws(CodecError) -> Choice {
        var reader = try MemberReader(value, "a choice", rejecting: .internal)
        var choice = Choice()
        choice.finishReason = try reader.string("finish_reason").map(finishReason)
        choice.logprobs = reader.present("logprobs")
        guard let object = try reader.object("message") else { return choice }
        var message = MemberReader(object, rejecting: .internal)
        choice.message = try message.string("content")
        guard let elements = try message.array("tool_calls") else { return choice }
        var calls: [ToolCall] = []
        for element in elements {
            var call = try MemberReader(element, "a tool call", rejecting: .internal)
            let id = try call.string("id") ?? ""
            guard let object = try call.object("function") else { continue }
            var function = MemberReader(object, rejecting: .internal)
            let arguments = try function.string("arguments")
            guard let name = try function.string("name") else { continue }
            calls.append(ToolCall(id: id, name: name, arguments: arguments.map(ToolCall.parsedArguments) ?? [:]))
        }
        choice.toolCalls = calls
        return choice
    }

    private static func finishReason(_ word: String) -> FinishReason {
        switch word {
        case "stop": .complete
        case "length": .length
        case "tool_calls", "function_call": .toolUse
        case "content_filter": .contentFilter
        default: .unknown(word)
        }
    }

    private static func usage(_ object: JSONObject) throws(CodecError) -> Usage {
        var reader = MemberReader(object, rejecting: .internal)
        var usage = Usage()
        usage.promptTokens = try reader.unsigned("prompt_tokens")
        usage.completionTokens = try reader.unsigned("completion_tokens")
        usage.totalTokens = try reader.unsigned("total_tokens")
        if let object = try reader.object("prompt_tokens_details") {
            var details = MemberReader(object, rejecting: .internal)
            usage.cacheReadTokens = try details.unsigned("cached_tokens")
        }
        if let prompt = usage.promptTokens, let read = usage.cacheReadTokens, read <= prompt {
            usage.uncachedInputTokens = prompt - read
        }
        usage.cost = try Cost(reportedIn: &reader, bareNumber: true)
        return usage
    }
}
