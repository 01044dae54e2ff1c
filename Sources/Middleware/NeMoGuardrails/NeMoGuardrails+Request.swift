package import ATOF

/// The requests of remote checks: `POST <endpoint>/v1/chat/completions` (`middleware-guardrails-pii.md` 9.1).
///
/// NeMo Relay lets the server call the model, and replaces the provider by it. A collector stands beside the calls, so that its requests
/// ask for the rails of one surface and nothing that needs a model: no dialogue, no retrieval, no generation.
extension NeMoGuardrails {
    package func body(of check: NeMoGuardrailsCheck) -> [UInt8] {
        var body: JSONObject
        switch check {
        case .input(let model, let messages):
            body = request(model, messages, rail: "input", ["input": .bool(true)])
        case .output(let model, let text):
            // Without a user's message the server runs no output rail.
            body = request(
                model,
                [
                    ["role": "user", "content": "Validate the answer."],
                    ["role": "assistant", "content": .string(text)],
                ],
                rail: "output", ["output": .bool(true)])
        case .toolOutput(let name, let arguments, let result):
            // The server calls the check of a tool's output by the rails of its input.
            body = request("", toolMessages(name, arguments, result), rail: "tool_output", ["tool_input": .bool(true)])
        }
        body["stream"] = false
        var writer = JSONWriter()
        writer.write(body)
        return writer.bytes
    }

    private static let surfaces = ["input", "output", "dialog", "retrieval", "tool_input", "tool_output"]

    /// - Parameters:
    ///   - rail: the member of `request_defaults.rails` that says which rails run; true without it.
    ///   - on: the server's member that is on; all others are off.
    private func request(
        _ model: String, _ messages: [JSONValue], rail: String, _ on: [String: JSONValue]
    ) -> JSONObject {
        var rails = JSONObject(NeMoGuardrails.surfaces.map { ($0, .bool(false)) })
        for (name, value) in on { rails[name] = defaults.rails?[rail] ?? value }
        var log = defaults.log ?? JSONObject()
        log["activated_rails"] = true
        var options = JSONObject([("rails", .object(rails)), ("log", .object(log))])
        options["llm_params"] = defaults.llmParams.map { .object($0) }
        options["llm_output"] = defaults.llmOutput
        options["output_vars"] = defaults.outputVars
        var guardrails = JSONObject([("options", .object(options))])
        switch configuration {
        case .one(let id): guardrails["config_id"] = .string(id)
        case .several(let ids): guardrails["config_ids"] = .array(ids.map { .string($0) })
        }
        guardrails["context"] = defaults.context.map { .object($0) }
        guardrails["thread_id"] = defaults.threadID.map { .string($0) }
        guardrails["state"] = defaults.state.map { .object($0) }
        return JSONObject([
            ("model", .string(model)), ("messages", .array(messages)), ("guardrails", .object(guardrails)),
        ])
    }

    private func toolMessages(_ name: String, _ arguments: JSONValue, _ result: JSONValue) -> [JSONValue] {
        let id = JSONValue.string("nemo_guardrails_\(name)_call")
        return [
            ["role": "user", "content": .string("Run the tool '\(name)' and validate the result.")],
            [
                "role": "assistant", "content": "",
                "tool_calls": [
                    [
                        "id": id, "type": "function",
                        "function": ["name": .string(name), "arguments": .string(arguments.compactText)],
                    ]
                ],
            ],
            ["role": "tool", "tool_call_id": id, "content": .string(result.compactText)],
        ]
    }
}

extension NeMoGuardrailsCheck {
    /// The check of an OpenAI Chat request: its messages up to the last one of the user, for behind it the server runs no input rail.
    /// Content in parts becomes the text of its text parts, the only form in which the server's rails read it.
    ///
    /// - Throws: `NeMoGuardrailsFailure` for a body that is none. Nil when the user says nothing in it.
    package init?(request body: JSONValue) throws(NeMoGuardrailsFailure) {
        guard let messages = body["messages"]?.arrayValue else {
            throw NeMoGuardrailsFailure(
                .unsupported, "the request has no messages: only OpenAI Chat bodies can be checked")
        }
        guard let last = messages.lastIndex(where: { $0["role"]?.stringValue == "user" }) else { return nil }
        self = .input(
            model: body["model"]?.stringValue ?? "", messages: messages[...last].map(NeMoGuardrailsCheck.flattened))
    }

    private static func flattened(_ message: JSONValue) -> JSONValue {
        guard var object = message.objectValue, let parts = object["content"]?.arrayValue else { return message }
        object["content"] = .string(parts.compactMap { $0["text"]?.stringValue }.joined(separator: "\n"))
        return .object(object)
    }

    /// The request with what the rails made of the user's last message.
    ///
    /// - Throws: `NeMoGuardrailsFailure` for content in parts: which of them was meant nobody knows.
    package static func rewritten(_ body: JSONValue, text: JSONValue) throws(NeMoGuardrailsFailure) -> JSONValue {
        guard var object = body.objectValue, var messages = object["messages"]?.arrayValue,
            let last = messages.lastIndex(where: { $0["role"]?.stringValue == "user" }),
            var message = messages[last].objectValue, message["content"]?.stringValue != nil
        else {
            throw NeMoGuardrailsFailure(
                .unsupported, "the rails changed a message that is no plain text; its parts cannot be rewritten")
        }
        message["content"] = text
        messages[last] = .object(message)
        object["messages"] = .array(messages)
        return .object(object)
    }

    /// The check of an OpenAI Chat response: of all that the model says, its refusal and its reasoning too, and of what its annotation says
    /// beyond that. Of several texts each has lines of its own.
    ///
    /// - Parameters:
    ///   - body: nil for a response of which there is the annotation only.
    /// - Throws: `NeMoGuardrailsFailure` for a body that is none, or has several choices. Nil when the model says nothing in it.
    package init?(response body: JSONValue?, annotation: JSONValue? = nil) throws(NeMoGuardrailsFailure) {
        var texts = try body.map { body throws(NeMoGuardrailsFailure) in try NeMoGuardrailsCheck.texts(body) } ?? []
        for text in annotation.map(NeMoGuardrailsCheck.texts(annotation:)) ?? [] where !texts.contains(text) {
            texts.append(text)
        }
        if texts.isEmpty { return nil }
        let model = body?["model"]?.stringValue ?? annotation?["model"]?.stringValue
        self = .output(model: model ?? "", text: texts.joined(separator: "\n"))
    }

    private static func texts(_ body: JSONValue) throws(NeMoGuardrailsFailure) -> [String] {
        guard let choices = body["choices"]?.arrayValue, choices.count == 1,
            let message = choices[0]["message"]?.objectValue
        else {
            throw NeMoGuardrailsFailure(
                .unsupported, "the response has not exactly one choice: only such OpenAI Chat bodies can be checked")
        }
        let content = message["content"]?.nonNull
        if let content, content.stringValue == nil {
            throw NeMoGuardrailsFailure(.unsupported, "the response's content is no text")
        }
        return ([content] + besideContent.map { message[$0] }).compactMap { $0?.stringValue }.filter { !$0.isEmpty }
    }

    /// Where a message has text beside its content; `reasoning` is that of other servers of the same API.
    private static let besideContent = ["refusal", "reasoning_content", "reasoning"]

    private static func texts(annotation: JSONValue) -> [String] {
        guard let object = annotation.objectValue else { return texts(content: annotation) }
        return (["message"] + besideContent).flatMap { object[$0].map(texts(content:)) ?? [] }
    }

    /// Of content in any form: of parts the texts and refusals.
    private static func texts(content: JSONValue) -> [String] {
        let texts: [String] =
            switch content {
            case .null: []
            case .string(let text): [text]
            case .array(let parts):
                parts.compactMap { $0.stringValue ?? $0["text"]?.stringValue ?? $0["refusal"]?.stringValue }
            case .bool, .int, .unsigned, .double, .object: [content.compactText]
            }
        return texts.filter { !$0.isEmpty }
    }

    /// The response with what the rails made of its text; nil where that was not its content alone.
    package static func rewritten(response body: JSONValue?, _ checked: String, text: JSONValue) -> JSONValue? {
        guard body?["choices"]?[0]?["message"]?["content"] == .string(checked), var object = body?.objectValue,
            var choices = object["choices"]?.arrayValue, choices.count == 1, var choice = choices[0].objectValue,
            var message = choice["message"]?.objectValue
        else { return nil }
        message["content"] = text
        choice["message"] = .object(message)
        choices[0] = .object(choice)
        object["choices"] = .array(choices)
        return .object(object)
    }
}
