internal import ATOF

/// Writes what an edited response says over the body that it was decoded from (`middleware-guardrails-pii.md` 8.4).
///
/// Written are the id, the model, the text, the calls of tools and the reason to stop; everything else of the body stays. A text that lies
/// in several blocks goes into the first of them. What has no place is not written: whoever needs it decodes the result and looks.
struct ResponseOverlay {
    let baseline: NormalizedResponse
    let edited: NormalizedResponse

    /// The text of the edited response; nil when it has none, or has parts.
    private var text: String? { if case .text(let text) = edited.message { text } else { nil } }
    private var isMessageChanged: Bool { baseline.message != edited.message }
    private var calls: [ToolCall] { edited.toolCalls ?? [] }

    // MARK: Members

    private func identity(_ body: inout JSONObject, id: String?, model: String?) {
        if let id, baseline.id != edited.id { body[id] = edited.id.map { .string($0) } }
        if let model, baseline.model != edited.model { body[model] = edited.model.map { .string($0) } }
    }

    /// A word of the common form has none of the provider's, so only what the provider said otherwise can be changed.
    private func finishReason(_ body: inout JSONObject, at key: String) {
        guard baseline.finishReason != edited.finishReason else { return }
        switch edited.finishReason {
        case nil: body[key] = nil
        case .unknown(let word): body[key] = .string(word)
        case .complete, .length, .toolUse, .contentFilter: break
        }
    }

    /// Blocks with the text in the first that is visible, none in the others.
    private func blocks(_ blocks: [JSONValue], isText: (JSONValue) -> Bool) -> [JSONValue] {
        guard isMessageChanged else { return blocks }
        var isWritten = false
        return blocks.map { block in
            guard isText(block), var members = block.objectValue else { return block }
            members["text"] = isWritten ? nil : text.map { .string($0) }
            isWritten = true
            return .object(members)
        }
    }

    /// Items of which some are calls: with the edited ones in their order, without those that are gone.
    private func items(
        _ items: [JSONValue], isCall: (JSONValue) -> Bool, write: (ToolCall, inout JSONObject) -> Void
    ) -> [JSONValue] {
        var rest = calls[...]
        return items.compactMap { item in
            guard isCall(item), var members = item.objectValue else { return item }
            guard let call = rest.popFirst() else { return nil }
            write(call, &members)
            return .object(members)
        }
    }

    /// Arguments that were no JSON become some: a string in a string, which decodes to the same.
    private static func text(ofArguments arguments: JSONValue) -> JSONValue { .string(arguments.compactText) }

    // MARK: Surfaces

    func openAIChat(_ body: JSONObject) -> JSONObject {
        var body = body
        identity(&body, id: "id", model: "model")
        guard var choices = body["choices"]?.arrayValue, var choice = choices.first?.objectValue else { return body }
        finishReason(&choice, at: "finish_reason")
        if var message = choice["message"]?.objectValue {
            if isMessageChanged { message["content"] = text.map { .string($0) } }
            if let calls = edited.toolCalls {
                message["tool_calls"] = .array(
                    calls.map { call in
                        [
                            "function": [
                                "arguments": ResponseOverlay.text(ofArguments: call.arguments),
                                "name": .string(call.name),
                            ],
                            "id": .string(call.id), "type": "function",
                        ]
                    })
            } else if baseline.toolCalls != nil {
                message["tool_calls"] = nil
            }
            choice["message"] = .object(message)
        }
        choices[0] = .object(choice)
        body["choices"] = .array(choices)
        return body
    }

    func openAIResponses(_ body: JSONObject) -> JSONObject {
        var body = body
        identity(&body, id: "id", model: "model")
        finishReason(&body, at: "status")
        if isMessageChanged, body["output_text"] != nil { body["output_text"] = text.map { .string($0) } }
        guard let output = body["output"]?.arrayValue else { return body }
        let isText: (JSONValue) -> Bool = { $0["type"] == "output_text" && $0["text"]?.stringValue != nil }
        var isWritten = false
        let messages = output.map { item -> JSONValue in
            guard isMessageChanged, item["type"] == "message", var members = item.objectValue,
                let content = members["content"]?.arrayValue
            else { return item }
            let texts = blocks(content, isText: isText)
            let cleared = texts.map { block -> JSONValue in
                guard isText(block), var members = block.objectValue else { return block }
                members["text"] = nil
                return .object(members)
            }
            members["content"] = .array(isWritten ? cleared : texts)
            if content.contains(where: isText) { isWritten = true }
            return .object(members)
        }
        body["output"] = .array(
            items(messages, isCall: { $0["type"] == "function_call" }) { call, members in
                members["call_id"] = .string(call.id)
                members["name"] = .string(call.name)
                members["arguments"] = ResponseOverlay.text(ofArguments: call.arguments)
            })
        return body
    }

    func anthropic(_ body: JSONObject) -> JSONObject {
        var body = body
        identity(&body, id: "id", model: "model")
        finishReason(&body, at: "stop_reason")
        guard let content = body["content"]?.arrayValue else { return body }
        let texts = blocks(content) { $0["type"] == "text" && $0["text"]?.stringValue != nil }
        body["content"] = .array(
            items(
                texts,
                isCall: { block in
                    block["type"] == "tool_use" && block["id"]?.stringValue != nil && block["name"]?.stringValue != nil
                        && block["input"] != nil
                }
            ) { call, members in
                members["id"] = .string(call.id)
                members["name"] = .string(call.name)
                members["input"] = call.arguments
            })
        return body
    }

    func gemini(_ body: JSONObject) -> JSONObject {
        var body = body
        identity(&body, id: "responseId", model: "modelVersion")
        guard var candidates = body["candidates"]?.arrayValue, var candidate = candidates.first?.objectValue else {
            return body
        }
        finishReason(&candidate, at: "finishReason")
        if var content = candidate["content"]?.objectValue, let parts = content["parts"]?.arrayValue {
            content["parts"] = .array(geminiParts(parts))
            candidate["content"] = .object(content)
        }
        candidates[0] = .object(candidate)
        body["candidates"] = .array(candidates)
        return body
    }

    /// Parts with one text for all that are visible. Without a text there is no part for it: an empty one would be none.
    private func geminiParts(_ parts: [JSONValue]) -> [JSONValue] {
        var isWritten = false
        let hasParts = if case .parts = edited.message { true } else { false }
        let visible = parts.compactMap { value -> JSONValue? in
            guard !hasParts, let part = try? Gemini.Part(value), part.isVisible, part.dataKey == "text" else {
                return value
            }
            defer { isWritten = true }
            guard !isWritten, let text else { return nil }
            var members = part.members
            members["text"] = .string(text)
            return .object(members)
        }
        return items(visible, isCall: { $0["functionCall"]?.objectValue != nil }) { call, members in
            var function = members["functionCall"]?.objectValue ?? JSONObject()
            // Without an id of its own a call is known by its name.
            if function["id"] != nil { function["id"] = .string(call.id) }
            function["name"] = .string(call.name)
            if function["args"] != nil || call.arguments != [:] { function["args"] = call.arguments }
            members["functionCall"] = .object(function)
        }
    }

    func oci(_ body: JSONObject) -> JSONObject {
        var body = body
        let isEnclosed = body["chatResponse"]?.objectValue != nil
        if isEnclosed { identity(&body, id: nil, model: "modelId") }
        var chat = body["chatResponse"]?.objectValue ?? body
        switch OCI.format(of: chat) {
        case OCI.cohere:
            if isMessageChanged { chat["text"] = text.map { .string($0) } }
            finishReason(&chat, at: "finishReason")
            ociCalls(&chat)
        case OCI.cohereV2:
            identity(&chat, id: "id", model: nil)
            finishReason(&chat, at: "finishReason")
            if var message = chat["message"]?.objectValue {
                ociMessage(&message)
                chat["message"] = .object(message)
            }
        default:
            // Only the choice that was decoded is governed: the others go.
            guard var choice = chat["choices"]?[0]?.objectValue else { break }
            finishReason(&choice, at: "finishReason")
            if var message = choice["message"]?.objectValue {
                ociMessage(&message)
                choice["message"] = .object(message)
            }
            chat["choices"] = [.object(choice)]
        }
        guard isEnclosed else { return chat }
        body["chatResponse"] = .object(chat)
        return body
    }

    private func ociMessage(_ message: inout JSONObject) {
        if isMessageChanged {
            if message["content"]?.stringValue != nil {
                message["content"] = text.map { .string($0) }
            } else if let content = message["content"]?.arrayValue {
                message["content"] = .array(
                    blocks(content) { $0["type"] == "TEXT" && $0["text"]?.stringValue != nil })
            }
        }
        ociCalls(&message)
    }

    private func ociCalls(_ owner: inout JSONObject) {
        guard let elements = owner["toolCalls"]?.arrayValue else { return }
        guard edited.toolCalls != nil else {
            if baseline.toolCalls != nil { owner["toolCalls"] = nil }
            return
        }
        let isCall: (JSONValue) -> Bool = { ($0["function"]?["name"] ?? $0["name"])?.stringValue != nil }
        owner["toolCalls"] = .array(
            items(elements, isCall: isCall) { call, members in
                // An id that the call did not have is its place.
                if members["id"] != nil { members["id"] = .string(call.id) }
                if var function = members["function"]?.objectValue {
                    ociFunction(call, &function)
                    members["function"] = .object(function)
                } else {
                    ociFunction(call, &members)
                }
            })
    }

    private func ociFunction(_ call: ToolCall, _ members: inout JSONObject) {
        members["name"] = .string(call.name)
        if members["arguments"] == nil, members["parameters"] != nil {
            members["parameters"] = call.arguments
        } else if members["arguments"] != nil {
            let isText = members["arguments"]?.stringValue != nil
            members["arguments"] = isText ? ResponseOverlay.text(ofArguments: call.arguments) : call.arguments
        }
    }
}
