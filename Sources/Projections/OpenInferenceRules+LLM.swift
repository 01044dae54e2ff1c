internal import ATOF
internal import LLMCodecs

// Requests and responses of models (`otel-projections.md` 3.4.3, 3.4.4).
extension OpenInferenceRules {
    /// - Returns: the model's name as the start knows it.
    static func addRequest(_ event: Event, _ payloads: EventPayloads, _ attributes: inout [Attribute]) -> String? {
        if let input = payloads.data {
            addText(
                DisplayText(namesAreCalls: payloads.isStrict).llmInput(input), orJSON: withoutHeaders(input),
                value: "input.value", type: "input.mime_type", &attributes)
        }
        let annotated = LLMNormalizer.annotatedRequest(payloads.profile)
        let replay = annotated == nil ? replayedRequest(payloads.data) : nil
        lazy var request =
            annotated
            ?? LLMNormalizer.request(profile: nil, data: payloads.data, name: event.name, payloads.compatibility)
        if let replay {
            addReplayed(replay, isStrict: payloads.isStrict, &attributes)
        } else if let request {
            addNormalized(request, isStrict: payloads.isStrict, &attributes)
        }
        return LLMFacts.startModel(payloads) { request }
    }

    private static func withoutHeaders(_ input: JSONValue) -> JSONValue {
        guard case .object(var object) = input else { return input }
        object["headers"] = nil
        return .object(object)
    }

    // MARK: Normalised requests

    private static func addNormalized(
        _ request: NormalizedRequest, isStrict: Bool, _ attributes: inout [Attribute]
    ) {
        if let text = invocationParameters(request.parameters) {
            attributes.append(Attribute("llm.invocation_parameters", text))
        }
        attributes.reserveCapacity(attributes.count + 4 * request.messages.count + (request.tools?.count ?? 0) + 16)
        // The list is handed over and taken back: two owners would make it be copied.
        var messages = OpenInferenceMessages(isStrict: isStrict, after: attributes.takeAll())
        if let text = request.instructions.flatMap(DisplayText(namesAreCalls: isStrict).text(of:)) {
            messages.add(role: "system", content: text)
        }
        for message in request.messages { messages.add(message) }
        attributes = messages.attributes
        for (index, tool) in (request.tools ?? []).enumerated() {
            attributes.append(Attribute(schemaKeys[index], schema(of: tool)))
        }
    }

    private static let schemaKeys = NumberedKeys("llm.tools.", ".tool.json_schema")

    /// The members in the order of the reference's declaration; the doubles are always written as such.
    private static func invocationParameters(_ parameters: NormalizedRequest.Parameters?) -> String? {
        guard let parameters else { return nil }
        var writer = JSONWriter(capacity: 128)
        var isEmpty = true
        func add(_ key: String, _ value: JSONValue?) {
            if let value { write(key, value, &isEmpty, &writer) }
        }
        writer.raw("{")
        add("temperature", parameters.temperature.map { .double($0) })
        add("max_tokens", parameters.maxTokens.map { .unsigned($0) })
        add("top_p", parameters.topP.map { .double($0) })
        add("stop", parameters.stop.map { .array($0.map { .string($0) }) })
        writer.raw("}")
        return writer.text
    }

    /// One member of an object.
    private static func write(_ key: String, _ value: JSONValue, _ isFirst: inout Bool, _ writer: inout JSONWriter) {
        if !isFirst { writer.raw(",") }
        isFirst = false
        writer.write(key)
        writer.raw(":")
        writer.write(value)
    }

    private static let nativeKeys = ["type", "provider", "kind", "value"]
    private static let functionKeys = ["name", "description", "parameters", "strict"]
    /// Left out when they are null.
    private static let optionalKeys = ["description", "strict"]

    /// A tool's members in the order of the reference's declaration, others after them.
    private static func schema(of tool: ToolDefinition) -> String {
        var writer = JSONWriter(capacity: 512)
        guard let function = tool.function else {
            write(tool.members, first: nativeKeys, &writer)
            return writer.text
        }
        writer.raw("{\"type\":\"function\",\"function\":")
        write(function, first: functionKeys, &writer)
        var isFirst = false
        for member in tool.members where member.key != "type" && member.key != "function" {
            write(member.key, member.value, &isFirst, &writer)
        }
        writer.raw("}")
        return writer.text
    }

    /// An object with some members first and the others in their order.
    private static func write(_ object: JSONObject, first keys: [String], _ writer: inout JSONWriter) {
        var isFirst = true
        writer.raw("{")
        for key in keys {
            guard let value = object[key], !value.isNull || !optionalKeys.contains(key) else { continue }
            write(key, value, &isFirst, &writer)
        }
        for member in object where !keys.contains(member.key) { write(member.key, member.value, &isFirst, &writer) }
        writer.raw("}")
    }

    static func verbatim(_ value: JSONValue) -> String { value.stringValue ?? value.compactText }

    // MARK: Replayed requests

    /// The content of a request that OpenClaw replays.
    private static func replayedRequest(_ input: JSONValue?) -> JSONObject? {
        guard let content = input?["content"]?.objectValue else { return nil }
        let isReplay =
            content["source"]?.stringValue?.hasPrefix("openclaw.") == true || content["placeholderRequest"] != nil
        return isReplay ? content : nil
    }

    private static func addReplayed(_ content: JSONObject, isStrict: Bool, _ attributes: inout [Attribute]) {
        attributes.append("llm.provider", string: content["provider"])
        let display = DisplayText(namesAreCalls: isStrict)
        var messages = OpenInferenceMessages(isStrict: isStrict, after: attributes.takeAll())
        if let text = display.text(content["systemPrompt"]) { messages.add(role: "system", content: text) }
        var qualified = false
        for message in content["messages"]?.arrayValue ?? [] {
            guard let role = message["role"]?.stringValue, let text = display.text(message["content"]) else {
                continue
            }
            messages.add(role: role, content: text)
            qualified = true
        }
        if !qualified, let text = display.text(content["prompt"]) { messages.add(role: "user", content: text) }
        attributes = messages.attributes
    }

    // MARK: Responses

    /// - Returns: the model's name as the end knows it.
    static func addResponse(
        _ event: Event, _ payloads: EventPayloads, _ start: StartAttributes, _ pricing: PricingSources,
        _ attributes: inout [Attribute]
    ) -> String? {
        let annotated = LLMNormalizer.annotatedResponse(payloads.profile, data: payloads.data)
        let response =
            annotated
            ?? LLMNormalizer.response(profile: nil, data: payloads.data, pricing: pricing, payloads.compatibility)
        addUsage(LLMFacts.usage(event, payloads, response), isStrict: payloads.isStrict, &attributes)
        if let amount = LLMFacts.cost(event, payloads, start, response, pricing, .usd)?.amount {
            attributes.append(Attribute("llm.cost.total", .double(amount)))
        }
        if annotated == nil, payloads.data?["openclaw"]?.objectValue != nil {
            addReplayedResponse(payloads.data, isStrict: payloads.isStrict, &attributes)
        } else if let response {
            addNormalized(response, isStrict: payloads.isStrict, &attributes)
        }
        return LLMFacts.endModel(payloads, response)
    }

    private static func addUsage(_ usage: Usage, isStrict: Bool, _ attributes: inout [Attribute]) {
        func add(_ key: String, _ count: UInt64?) {
            guard let count else { return }
            // OTLP has no unsigned integers; the reference lets large ones wrap.
            attributes.append(Attribute(key, .int(isStrict ? Int64(bitPattern: count) : Int64(clamping: count))))
        }
        add("llm.token_count.prompt", usage.promptTokens)
        add("llm.token_count.completion", usage.completionTokens)
        add("llm.token_count.total", usage.totalTokens)
        add("llm.token_count.prompt_details.cache_read", usage.cacheReadTokens)
        add("llm.token_count.prompt_details.cache_write", usage.cacheWriteTokens)
    }

    private static func addNormalized(
        _ response: NormalizedResponse, isStrict: Bool, _ attributes: inout [Attribute]
    ) {
        switch response.finishReason {
        case nil: break
        case .complete: attributes.append(Attribute("llm.finish_reason", "complete"))
        case .length: attributes.append(Attribute("llm.finish_reason", "length"))
        case .toolUse: attributes.append(Attribute("llm.finish_reason", "tool_use"))
        case .contentFilter: attributes.append(Attribute("llm.finish_reason", "content_filter"))
        case .unknown(let word): attributes.append(Attribute("llm.finish_reason", word))
        }
        let calls = response.toolCalls ?? []
        if response.message != nil || !calls.isEmpty {
            attributes.append(Attribute("llm.output_messages.0.message.role", "assistant"))
        }
        if let text = response.message.flatMap(DisplayText(namesAreCalls: isStrict).text(of:)) {
            attributes.append(Attribute("llm.output_messages.0.message.content", text))
        }
        for (index, call) in calls.enumerated() {
            attributes.append(Attribute(AnswerKeys.callID[index], call.id))
            attributes.append(Attribute(AnswerKeys.callName[index], call.name))
            attributes.append(Attribute(AnswerKeys.callArguments[index], call.arguments.compactText))
        }
        OptimizationRules.add(response.optimizationSummary, &attributes)
    }

    private enum AnswerKeys {
        static let callID = NumberedKeys(calls, ".tool_call.id")
        static let callName = NumberedKeys(calls, ".tool_call.function.name")
        static let callArguments = NumberedKeys(calls, ".tool_call.function.arguments")

        private static let calls = "llm.output_messages.0.message.tool_calls."
    }

    private static func addReplayedResponse(_ output: JSONValue?, isStrict: Bool, _ attributes: inout [Attribute]) {
        guard let output, ["role", "content", "tool_calls"].contains(where: { output[$0] != nil }) else { return }
        let message = "llm.output_messages.0.message"
        attributes.append(Attribute(String(joining: message, "role"), output["role"]?.stringValue ?? "assistant"))
        if let text = DisplayText(namesAreCalls: isStrict).text(output["content"]) {
            attributes.append(Attribute(String(joining: message, "content"), text))
        }
        for (index, call) in (output["tool_calls"]?.arrayValue ?? []).enumerated() {
            let prefix = "\(message).tool_calls.\(index).tool_call"
            let function = call["function"]
            attributes.append(
                String(joining: prefix, "id"), string: call["id"] ?? call["tool_call_id"] ?? call["call_id"])
            let names = [call["name"], call["toolName"], call["tool_name"], function?["name"], call["function_name"]]
            if let name = names.lazy.compactMap({ $0?.stringValue }).first {
                attributes.append(Attribute(String(joining: prefix, "function.name"), name))
            }
            if let arguments = function?["arguments"] ?? call["arguments"] ?? call["args"] ?? call["input"] {
                attributes.append(Attribute(String(joining: prefix, "function.arguments"), verbatim(arguments)))
            }
        }
    }
}
