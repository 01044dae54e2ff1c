package import ATOF

extension OpenAIResponses {
    /// - Throws: `CodecError` when a member has the wrong type.
    package static func response(_ body: JSONValue) throws(CodecError) -> NormalizedResponse {
        var reader = try MemberReader(body, "the body", rejecting: .internal)
        let id = try reader.string("id")
        let model = try reader.string("model")
        var specific = JSONObject([("api", .string(name))])
        try reader.copy(
            [WireMembers(.string, ["status", "previous_response_id", "service_tier"]), WireMembers(.bool, ["store"])],
            into: &specific)
        for key in ["incomplete_details", "truncation", "reasoning"] { specific[key] = reader.present(key) }
        let items = try reader.array("output")
        specific["output_items"] = items.map { .array($0) }
        let usage = try reader.object("usage").map { (object) throws(CodecError) in
            try counts(of: object, details: &specific)
        }
        let calls = calls(in: items ?? [])
        return NormalizedResponse(
            id: id, model: model, message: text(of: items ?? [], outputText: body["output_text"]).map { .text($0) },
            toolCalls: calls.isEmpty ? nil : calls,
            finishReason: specific["status"]?.stringValue.map {
                finishReason($0, incompleteFor: specific["incomplete_details"]?["reason"]?.stringValue)
            },
            usage: usage, apiSpecific: specific, extra: reader.rest)
    }

    private static func text(of items: [JSONValue], outputText: JSONValue?) -> String? {
        var texts: [String] = []
        for item in items {
            let blocks: [JSONValue]
            switch item["type"] {
            case "message": blocks = item["content"]?.arrayValue ?? []
            case "output_text": blocks = [item]
            default: continue
            }
            for block in blocks where block["type"] == "output_text" {
                if let text = block["text"]?.stringValue { texts.append(text) }
            }
        }
        if !texts.isEmpty { return texts.joined(separator: "\n") }
        guard let text = outputText?.stringValue, !text.isEmpty else { return nil }
        return text
    }

    private static func calls(in items: [JSONValue]) -> [ToolCall] {
        items.filter { $0["type"] == "function_call" }.map {
            ToolCall(
                id: $0["call_id"]?.stringValue ?? "", name: $0["name"]?.stringValue ?? "",
                arguments: $0["arguments"]?.stringValue.map(ToolCall.parsedArguments) ?? [:])
        }
    }

    private static func finishReason(_ status: String, incompleteFor reason: String?) -> FinishReason {
        switch (status, reason) {
        case ("completed", _): .complete
        case ("incomplete", "max_output_tokens"): .length
        case ("incomplete", "content_filter"): .contentFilter
        case ("incomplete", let reason?): .unknown(reason)
        default: .unknown(status)
        }
    }

    /// - Parameter details: receives the details of both counts.
    private static func counts(of object: JSONObject, details: inout JSONObject) throws(CodecError) -> Usage {
        var reader = MemberReader(object, rejecting: .internal)
        var usage = Usage()
        usage.promptTokens = try reader.unsigned("input_tokens")
        usage.completionTokens = try reader.unsigned("output_tokens")
        usage.totalTokens = try reader.unsigned("total_tokens")
        for (key, counter) in [
            ("input_tokens_details", "cached_tokens"), ("output_tokens_details", "reasoning_tokens"),
        ] {
            guard var object = try reader.object(key) else { continue }
            var counters = MemberReader(object, rejecting: .internal)
            let count = try counters.unsigned(counter)
            if count == nil { object[counter] = nil }
            if counter == "cached_tokens" { usage.cacheReadTokens = count }
            details[key] = .object(object)
        }
        usage.deriveUncachedInput()
        usage.cost = try Cost(reportedIn: &reader, bareNumber: false)
        return usage
    }
}
