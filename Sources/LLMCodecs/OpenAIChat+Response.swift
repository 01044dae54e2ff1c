package import ATOF

extension OpenAIChat {
    /// Only the first choice is used, but all are checked.
    ///
    /// - Throws: `CodecError` when a member has the wrong type.
    package static func response(_ body: JSONValue) throws(CodecError) -> NormalizedResponse {
        var reader = try MemberReader(body, "the body", rejecting: .internal)
        let id = try reader.string("id")
        let model = try reader.string("model")
        var specific = JSONObject([("api", .string(name))])
        try reader.copy(responseMembers, into: &specific)
        var first = Choice()
        for (index, element) in (try reader.array("choices") ?? []).enumerated() {
            let choice = try choice(element)
            if index == 0 { first = choice }
        }
        specific["logprobs"] = first.logprobs
        let usage = try reader.object("usage").map(counts)
        return NormalizedResponse(
            id: id, model: model, message: first.message.map { .text($0) }, toolCalls: first.toolCalls,
            finishReason: first.finishReason, usage: usage, apiSpecific: specific, extra: reader.rest)
    }

    private static let responseMembers = [WireMembers(.string, ["system_fingerprint", "service_tier"])]

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

    private static func counts(of object: JSONObject) throws(CodecError) -> Usage {
        var reader = MemberReader(object, rejecting: .internal)
        var usage = Usage()
        usage.promptTokens = try reader.unsigned("prompt_tokens")
        usage.completionTokens = try reader.unsigned("completion_tokens")
        usage.totalTokens = try reader.unsigned("total_tokens")
        if let object = try reader.object("prompt_tokens_details") {
            var details = MemberReader(object, rejecting: .internal)
            usage.cacheReadTokens = try details.unsigned("cached_tokens")
        }
        usage.deriveUncachedInput()
        usage.cost = try Cost(reportedIn: &reader, bareNumber: true)
        return usage
    }
}
