package import ATOF

extension Anthropic {
    /// - Throws: `CodecError` when a member has the wrong type.
    package static func response(_ body: JSONValue) throws(CodecError) -> NormalizedResponse {
        var reader = try MemberReader(body, "the body", rejecting: .internal)
        let id = try reader.string("id")
        let model = try reader.string("model")
        var specific = JSONObject([("api", .string(name))])
        try reader.copy(
            [WireMembers(.string, ["role", "stop_reason", "stop_sequence", "service_tier"])], into: &specific)
        specific["object_type"] = try reader.string("type").map { .string($0) }
        specific["container"] = reader.present("container")
        let blocks = try reader.array("content")
        specific["content_blocks"] = blocks.map { .array($0) }
        var texts: [String] = []
        var calls: [ToolCall] = []
        for block in blocks ?? [] {
            switch block["type"] {
            case "text":
                if let text = block["text"]?.stringValue { texts.append(text) }
            case "tool_use":
                if let id = block["id"]?.stringValue, let name = block["name"]?.stringValue, let input = block["input"]
                {
                    calls.append(ToolCall(id: id, name: name, arguments: input))
                }
            default: break
            }
        }
        let usage = try reader.object("usage").map(counts)
        return NormalizedResponse(
            id: id, model: model, message: texts.isEmpty ? nil : .text(texts.joined(separator: "\n")),
            toolCalls: calls.isEmpty ? nil : calls,
            finishReason: specific["stop_reason"]?.stringValue.map(finishReason), usage: usage, apiSpecific: specific,
            extra: reader.rest)
    }

    private static func finishReason(_ word: String) -> FinishReason {
        switch word {
        case "end_turn": .complete
        case "max_tokens": .length
        case "tool_use": .toolUse
        default: .unknown(word)
        }
    }

    /// Counts are disjoint here: the input holds neither what was read from a cache nor what was written to one.
    private static func counts(of object: JSONObject) throws(CodecError) -> Usage {
        var reader = MemberReader(object, rejecting: .internal)
        var usage = Usage()
        usage.promptTokens = try reader.unsigned("input_tokens")
        usage.completionTokens = try reader.unsigned("output_tokens")
        usage.cacheReadTokens = try reader.unsigned("cache_read_input_tokens")
        usage.cacheWriteTokens = try reader.unsigned("cache_creation_input_tokens")
        usage.uncachedInputTokens = usage.promptTokens
        if let input = usage.promptTokens, let output = usage.completionTokens {
            usage.totalTokens = input.addingSaturating(output)
        }
        usage.cost = try Cost(reportedIn: &reader, bareNumber: false)
        return usage
    }
}
