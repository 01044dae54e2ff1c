package import ATOF

/// What a mark `llm.chunk` says about one event of a stream (`codecs-and-pricing.md` 3).
package enum ChunkMark {
    /// The mark's data. The provider is told by the event's shape, whoever was called.
    package static func data(of event: JSONValue, index: Int) -> JSONValue {
        var data = details(of: event) ?? JSONObject([("provider", "unknown")])
        data["chunk_index"] = .int(Int64(index))
        return .object(data)
    }

    private static func details(of event: JSONValue) -> JSONObject? {
        if event["object"] == "chat.completion.chunk" { return chat(event) }
        guard let type = event["type"]?.stringValue else { return nil }
        if type.hasPrefix("response.") { return responses(event, type) }
        return anthropicTypes.contains(type) ? anthropic(event, type) : nil
    }

    private static let anthropicTypes: Set<String> = [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop", "ping",
    ]

    private static func chat(_ event: JSONValue) -> JSONObject {
        var data = JSONObject([("event_type", "chat.completion.chunk"), ("provider", "openai_chat_completions")])
        let choices = event["choices"]?.arrayValue ?? []
        let indices = choices.compactMap { choice in choice["index"].flatMap { $0.uint64Value == nil ? nil : $0 } }
        if !indices.isEmpty { data["choice_indices"] = .array(indices) }
        let reasons = choices.compactMap { choice -> JSONValue? in
            guard let reason = choice["finish_reason"]?.stringValue else { return nil }
            var object = JSONObject([("finish_reason", .string(reason))])
            if let index = choice["index"]?.uint64Value { object["choice_index"] = JSONValue(count: index) }
            return .object(object)
        }
        if !reasons.isEmpty { data["finish_reasons"] = .array(reasons) }
        let counts = event["usage"]
        data["usage"] = usage(
            prompt: counts?["prompt_tokens"], completion: counts?["completion_tokens"],
            total: counts?["total_tokens"], cacheRead: counts?["prompt_tokens_details"]?["cached_tokens"])
        return data
    }

    private static func responses(_ event: JSONValue, _ type: String) -> JSONObject {
        var data = JSONObject([("event_type", .string(type)), ("provider", "openai_responses")])
        data["indices"] = indices(["output_index", "content_index"], of: event)
        let response = event["response"]
        data["status"] = (response?["status"] ?? event["status"])?.stringValue.map { .string($0) }
        data["finish_reason"] = response?["incomplete_details"]?["reason"]?.stringValue.map { .string($0) }
        let counts = event["usage"] ?? response?["usage"]
        data["usage"] = usage(
            prompt: counts?["input_tokens"], completion: counts?["output_tokens"], total: counts?["total_tokens"],
            cacheRead: counts?["input_tokens_details"]?["cached_tokens"])
        return data
    }

    private static func anthropic(_ event: JSONValue, _ type: String) -> JSONObject {
        var data = JSONObject([("event_type", .string(type)), ("provider", "anthropic_messages")])
        data["indices"] = indices(["index"], of: event)
        let reason = event["delta"]?["stop_reason"] ?? event["message"]?["stop_reason"]
        data["stop_reason"] = reason?.stringValue.map { .string($0) }
        let counts = event["usage"]?.nonNull ?? event["message"]?["usage"]
        let sum: JSONValue? =
            if let input = counts?["input_tokens"]?.uint64Value, let output = counts?["output_tokens"]?.uint64Value {
                JSONValue(count: input.addingSaturating(output))
            } else {
                nil
            }
        data["usage"] = usage(
            prompt: counts?["input_tokens"], completion: counts?["output_tokens"], total: sum,
            cacheRead: counts?["cache_read_input_tokens"], cacheWrite: counts?["cache_creation_input_tokens"])
        return data
    }

    private static func indices(_ keys: [String], of event: JSONValue) -> JSONValue? {
        let known = keys.compactMap { key in
            event[key].flatMap { value in value.uint64Value.map { _ in (key, value) } }
        }
        return known.isEmpty ? nil : .object(JSONObject(known))
    }

    /// The counts that are known; nil when none is.
    private static func usage(
        prompt: JSONValue?, completion: JSONValue?, total: JSONValue?, cacheRead: JSONValue?,
        cacheWrite: JSONValue? = nil
    ) -> JSONValue? {
        var usage = Usage()
        usage.promptTokens = prompt?.uint64Value
        usage.completionTokens = completion?.uint64Value
        usage.totalTokens = total?.uint64Value
        usage.cacheReadTokens = cacheRead?.uint64Value
        usage.cacheWriteTokens = cacheWrite?.uint64Value
        return usage == Usage() ? nil : usage.json
    }
}
