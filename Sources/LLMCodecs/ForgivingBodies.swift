internal import ATOF

/// Bodies as SDKs and gateways write them although their provider's own form is another, put into that form. The reference refuses them,
/// or passes over what they say.
enum ForgivingBodies {
    /// A response of another form.
    ///
    /// - Returns: nil where nothing is known of it.
    static func response(_ body: JSONObject, _ surface: Surface) -> JSONObject? {
        switch surface {
        case .openAIChat: chat(body)
        case .openAIResponses, .anthropicMessages: withNamedCost(body)
        case .gemini: gemini(body)
        case .ociGenAI: nil
        }
    }

    /// A request of another form.
    ///
    /// - Returns: nil where nothing is known of it.
    static func request(_ body: JSONObject, _ surface: Surface) -> JSONObject? {
        switch surface {
        case .anthropicMessages: withToolResults(body)
        case .gemini: gemini(body)
        case .openAIChat, .openAIResponses, .ociGenAI: nil
        }
    }

    /// Whether a request has names of another form, so that some of it would be passed over.
    static func isOtherForm(request body: JSONObject, _ surface: Surface) -> Bool {
        guard surface == .gemini else { return false }
        func isOther(_ value: JSONValue?) -> Bool {
            value?.objectValue?.keys.contains { $0.utf8.contains(UInt8(ascii: "_")) } ?? false
        }
        let parts = (body["contents"]?.arrayValue ?? []).lazy.flatMap { $0["parts"]?.arrayValue ?? [] }
        let groups = body["tools"]?.arrayValue ?? []
        return [.object(body), body["generationConfig"]].contains(where: isOther) || parts.contains(where: isOther)
            || groups.contains(where: isOther)
    }

    /// Whether a response says what its provider's form has no place for, though that can be read.
    static func isOtherForm(_ body: JSONObject, _ surface: Surface) -> Bool {
        switch surface {
        case .openAIChat: body["choices"]?[0].map { $0["text"]?.stringValue != nil && $0["message"] == nil } ?? false
        case .gemini:
            ["usage_metadata", "model_version", "response_id", "prompt_feedback"].contains { body[$0] != nil }
                || body["candidates"]?[0]?["finish_reason"] != nil
                || body["candidates"]?[0]?["content"]?["parts"]?.arrayValue?.contains { $0["function_call"] != nil }
                    ?? false
        case .openAIResponses, .anthropicMessages, .ociGenAI: false
        }
    }

    // MARK: OpenAI, Mistral, Databricks

    /// Text completions, contents in parts, and arguments that are no text.
    private static func chat(_ body: JSONObject) -> JSONObject {
        replacing(body, "choices") { choice in
            guard var choice = choice.objectValue else { return choice }
            if choice["message"] == nil, let text = choice["text"] {
                choice["message"] = ["role": "assistant", "content": text]
                choice["text"] = nil
            }
            if var message = choice["message"]?.objectValue {
                if message["content"]?.arrayValue != nil {
                    message["content"] = .string(text(of: message["content"]))
                }
                message = replacing(message, "tool_calls") { call in
                    guard var members = call.objectValue, var function = call["function"]?.objectValue,
                        let arguments = function["arguments"], arguments.stringValue == nil, !arguments.isNull
                    else { return call }
                    function["arguments"] = .string(arguments.compactText)
                    members["function"] = .object(function)
                    return .object(members)
                }
                choice["message"] = .object(message)
            }
            return .object(choice)
        }
    }

    private static func replacing(
        _ object: JSONObject, _ key: String, _ replacement: (JSONValue) -> JSONValue
    ) -> JSONObject {
        guard let elements = object[key]?.arrayValue else { return object }
        var object = object
        object[key] = .array(elements.map(replacement))
        return object
    }

    /// A text, or those of parts without thoughts.
    static func text(of content: JSONValue?) -> String {
        content?.stringValue
            ?? (content?.arrayValue ?? []).filter { $0["type"] != "thinking" }.compactMap { $0["text"]?.stringValue }
            .joined()
    }

    // MARK: Anthropic, Responses

    /// Gateways state a cost as a bare number, as only OpenRouter's chat form does.
    private static func withNamedCost(_ body: JSONObject) -> JSONObject? {
        guard var usage = body["usage"]?.objectValue, let cost = usage["cost"], cost.numberValue != nil else {
            return nil
        }
        usage["cost"] = nil
        if usage["cost_usd"] == nil { usage["cost_usd"] = cost }
        var body = body
        body["usage"] = .object(usage)
        return body
    }

    /// A result needs no content.
    private static func withToolResults(_ body: JSONObject) -> JSONObject {
        replacing(body, "messages") { message in
            guard let members = message.objectValue else { return message }
            return .object(
                replacing(members, "content") { block in
                    guard var block = block.objectValue, block["type"] == "tool_result", block["content"] == nil else {
                        return block
                    }
                    block["content"] = ""
                    return .object(block)
                })
        }
    }

    // MARK: Gemini

    /// As Google's SDKs dump their objects: names with underscores, nulls for what is not there, results of tools from a role of their own.
    static func gemini(_ body: JSONObject) -> JSONObject {
        let body = JSONObject(
            body.filter { !$0.value.isNull }.map { (camelCase($0.key), geminiValue($0.value, $0.key)) })
        return replacing(body, "contents") { content in
            guard var members = content.objectValue, ["tool", "function"].contains(content["role"]) else {
                return content
            }
            members["role"] = "user"
            return .object(members)
        }
    }

    /// What a model, a tool or a schema says keeps its names and its nulls.
    private static let foreign: Set<String> = [
        "args", "response", "parameters", "parameters_json_schema", "parametersJsonSchema", "response_schema",
        "responseSchema", "response_json_schema", "responseJsonSchema", "labels",
    ]

    private static func geminiValue(_ value: JSONValue, _ key: String) -> JSONValue {
        if foreign.contains(key) { return value }
        switch value {
        case .array(let elements): return .array(elements.map { geminiValue($0, "") })
        case .object(let object):
            return .object(
                JSONObject(
                    object.filter { !$0.value.isNull }.map { (camelCase($0.key), geminiValue($0.value, $0.key)) }))
        case .null, .bool, .int, .unsigned, .double, .string: return value
        }
    }

    private static func camelCase(_ key: String) -> String {
        guard key.utf8.contains(UInt8(ascii: "_")) else { return key }
        let words = key.split(separator: "_")
        return words.dropFirst().reduce(String(words.first ?? "")) { $0 + $1.prefix(1).uppercased() + $1.dropFirst() }
    }
}
