internal import ATOF
internal import LLMCodecs

extension TrajectoryContext {
    private static let specificWords: Set<String> = [
        "api", "api_format", "object_type", "role", "status", "stop_reason",
    ]

    /// What of a response's annotation may stay.
    func response(_ annotation: JSONObject) -> JSONObject {
        var kept = JSONObject()
        for (key, value) in annotation.members.map({ ($0.key, $0.value) }) {
            switch key {
            case "model", "usage": kept[key] = value
            case "id": kept[key] = text
            case "message": kept[key] = content(value)
            case "finish_reason": if value.stringValue != nil { kept[key] = value }
            case "tool_calls": kept[key] = .array((value.arrayValue ?? []).map(responseCall))
            case "api_specific": kept[key] = .object(specific(value.objectValue ?? JSONObject()))
            default: break
            }
        }
        return kept
    }

    private func responseCall(_ value: JSONValue) -> JSONValue {
        ["arguments": [:], "id": text, "name": value["name"] ?? text]
    }

    private func specific(_ members: JSONObject) -> JSONObject {
        var kept = JSONObject()
        for member in members {
            switch member.value {
            case .string: if TrajectoryContext.specificWords.contains(member.key) { kept[member.key] = member.value }
            case .array(let elements): kept[member.key] = .array(elements.map { _ in [:] })
            case .object: kept[member.key] = [:]
            case .int, .unsigned, .double: kept[member.key] = member.value
            case .null, .bool: break
            }
        }
        return kept
    }

    /// The usage with the texts that an estimate of the cost may have.
    func usage(_ usage: JSONValue) -> JSONValue? {
        guard let words, var members = usage.objectValue, var cost = members["cost"]?.objectValue else { return usage }
        for key in ["pricing_provider", "pricing_model", "pricing_as_of"] {
            guard let value = cost[key] else { continue }
            // A date begins with no letter.
            let text = (key == "pricing_as_of" ? "v" : "") + (value.stringValue ?? " ")
            if !words.isModel(text) { cost[key] = nil }
        }
        // An address, perhaps with somebody's name in it.
        cost["pricing_source"] = nil
        members["cost"] = .object(cost)
        return .object(members)
    }

    /// A body of the surface that says what may stay of a response, and nothing else.
    func body(of response: NormalizedResponse, on surface: Surface, _ compatibility: Compatibility) -> JSONObject {
        let skeleton = ResponseSkeleton(
            response: response, context: self, text: text, compatibility: compatibility)
        return switch surface {
        case .openAIChat: skeleton.openAIChat
        case .openAIResponses: skeleton.openAIResponses
        case .anthropicMessages: skeleton.anthropic
        case .gemini: skeleton.gemini
        case .ociGenAI: skeleton.oci
        }
    }
}

/// The bodies of a response without its texts.
private struct ResponseSkeleton {
    let response: NormalizedResponse
    let context: TrajectoryContext
    let text: JSONValue
    let compatibility: Compatibility

    private var message: JSONValue? {
        switch response.message {
        case .text?: text
        case .parts(let parts)?: parts.contains { $0.kind == .text } ? text : nil
        case nil: nil
        }
    }
    private var calls: [ToolCall] { response.toolCalls ?? [] }
    private var id: JSONValue? { response.id.map { _ in text } }
    private var model: JSONValue? { response.model.flatMap { context.model(.string($0)) } }

    private func name(of call: ToolCall) -> JSONValue { context.name(.string(call.name)) ?? text }

    private func count(_ path: KeyPath<Usage, UInt64?>) -> JSONValue? {
        response.usage?[keyPath: path].map { JSONValue(count: $0) }
    }

    /// The reason to stop in the provider's word; nil when it was none that all have.
    private func reason(
        complete: JSONValue, length: JSONValue, toolUse: JSONValue?, contentFilter: JSONValue?
    ) -> JSONValue? {
        switch response.finishReason {
        case .complete?: complete
        case .length?: length
        case .toolUse?: toolUse
        case .contentFilter?: contentFilter
        case .unknown?, nil: nil
        }
    }

    /// What the provider said that it cost; estimates are none of its members.
    private var cost: JSONValue? {
        guard let cost = response.usage?.cost, cost.source == .providerReported else { return nil }
        // Amounts of what is no currency say nothing.
        if context.words != nil, !CallAnnotation.isCurrency(cost.currency) { return nil }
        var members = JSONObject([("currency", .string(cost.currency))])
        for (key, amount) in [
            ("total", cost.total), ("input", cost.input), ("output", cost.output), ("cache_read", cost.cacheRead),
            ("cache_write", cost.cacheWrite),
        ] {
            members[key] = amount.map { .double($0) }
        }
        return .object(members)
    }

    private func usage(_ members: [(key: String, path: KeyPath<Usage, UInt64?>)], details: String? = nil) -> JSONValue?
    {
        guard response.usage != nil else { return nil }
        var usage = JSONObject()
        for (key, path) in members { usage[key] = count(path) }
        if let details, let cached = count(\.cacheReadTokens) { usage[details] = ["cached_tokens": cached] }
        usage["cost"] = cost
        return .object(usage)
    }

    var openAIChat: JSONObject {
        var message = JSONObject([("role", "assistant")])
        message["content"] = self.message
        message["tool_calls"] = response.toolCalls.map { calls in
            .array(
                calls.map {
                    ["function": ["arguments": "{}", "name": name(of: $0)], "id": text, "type": "function"]
                })
        }
        var choice = JSONObject([("index", 0), ("message", .object(message))])
        choice["finish_reason"] = reason(
            complete: "stop", length: "length", toolUse: "tool_calls", contentFilter: "content_filter")
        var body = JSONObject([("choices", [.object(choice)])])
        body["id"] = id
        body["model"] = model
        body["usage"] = usage(
            [
                ("prompt_tokens", \.promptTokens), ("completion_tokens", \.completionTokens),
                ("total_tokens", \.totalTokens),
            ], details: "prompt_tokens_details")
        return body
    }

    var openAIResponses: JSONObject {
        var output: [JSONValue] = []
        if let message {
            output.append(
                ["content": [["text": message, "type": "output_text"]], "role": "assistant", "type": "message"])
        }
        output += calls.map {
            ["arguments": "{}", "call_id": text, "name": name(of: $0), "type": "function_call"]
        }
        var body = JSONObject([("output", .array(output))])
        body["id"] = id
        body["model"] = model
        body["status"] = reason(
            complete: "completed", length: "incomplete", toolUse: nil, contentFilter: "incomplete")
        if compatibility == .skein, body["status"] == "incomplete" {
            let isLong = response.finishReason == .length
            body["incomplete_details"] = ["reason": isLong ? "max_output_tokens" : "content_filter"]
        }
        body["usage"] = usage(
            [
                ("input_tokens", \.promptTokens), ("output_tokens", \.completionTokens),
                ("total_tokens", \.totalTokens),
            ], details: "input_tokens_details")
        return body
    }

    var anthropic: JSONObject {
        var content: [JSONValue] = []
        if let message { content.append(["text": message, "type": "text"]) }
        content += calls.map { ["id": text, "input": [:], "name": name(of: $0), "type": "tool_use"] }
        var body = JSONObject([("content", .array(content)), ("role", "assistant"), ("type", "message")])
        body["id"] = id
        body["model"] = model
        body["stop_reason"] = reason(
            complete: "end_turn", length: "max_tokens", toolUse: "tool_use", contentFilter: nil)
        body["usage"] = usage([
            ("input_tokens", \.promptTokens), ("output_tokens", \.completionTokens),
            ("cache_read_input_tokens", \.cacheReadTokens), ("cache_creation_input_tokens", \.cacheWriteTokens),
        ])
        return body
    }

    var gemini: JSONObject {
        var parts: [JSONValue] = []
        if let message { parts.append(["text": message]) }
        parts += calls.map { ["functionCall": ["args": [:], "id": text, "name": name(of: $0)]] }
        var candidate = JSONObject([("content", ["parts": .array(parts), "role": "model"])])
        candidate["finishReason"] = reason(
            complete: "STOP", length: "MAX_TOKENS", toolUse: "STOP", contentFilter: "SAFETY")
        var body = JSONObject([("candidates", [.object(candidate)])])
        body["responseId"] = id
        body["modelVersion"] = model
        if response.usage != nil {
            var usage = JSONObject()
            usage["promptTokenCount"] = count(\.promptTokens)
            usage["candidatesTokenCount"] = count(\.completionTokens)
            usage["cachedContentTokenCount"] = count(\.cacheReadTokens)
            usage["totalTokenCount"] = count(\.totalTokens)
            body["usageMetadata"] = .object(usage)
        }
        return body
    }

    var oci: JSONObject {
        var message = JSONObject([("role", "ASSISTANT")])
        message["content"] = self.message.map { [["text": $0, "type": "TEXT"]] }
        if !calls.isEmpty {
            message["toolCalls"] = .array(calls.map { ["arguments": "{}", "id": text, "name": name(of: $0)] })
        }
        var choice = JSONObject([("index", 0), ("message", .object(message))])
        choice["finishReason"] = reason(
            complete: "stop", length: "length", toolUse: "tool_calls", contentFilter: "content_filter")
        var chat = JSONObject([("apiFormat", "GENERIC"), ("choices", [.object(choice)])])
        if response.usage != nil {
            var usage = JSONObject()
            usage["promptTokens"] = count(\.promptTokens)
            usage["completionTokens"] = count(\.completionTokens)
            usage["totalTokens"] = count(\.totalTokens)
            usage["promptTokensDetails"] = count(\.cacheReadTokens).map { ["cachedTokens": $0] }
            chat["usage"] = .object(usage)
        }
        var body = JSONObject([("chatResponse", .object(chat))])
        body["modelId"] = model
        return body
    }
}
