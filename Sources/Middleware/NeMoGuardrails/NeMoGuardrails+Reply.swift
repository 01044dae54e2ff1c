internal import ATOF

/// Reads the answers to remote checks (`middleware-guardrails-pii.md` 9.1). Stricter than the reference: what does not say which rails ran
/// has passed nothing.
extension NeMoGuardrailsVerdict {
    /// - Throws: `NeMoGuardrailsFailure` that says what is wrong with the answer, without a word of it.
    package init(status: Int, body: [UInt8], to check: NeMoGuardrailsCheck) throws(NeMoGuardrailsFailure) {
        guard (200..<300).contains(status) else {
            throw NeMoGuardrailsFailure(
                .status, status: status,
                "remote request failed with status \(status); error body omitted from marks (\(body.count) bytes)")
        }
        guard let reply = try? JSONParser.parse(body), let message = reply["choices"]?[0]?["message"]?.objectValue
        else {
            throw NeMoGuardrailsFailure(
                .wrongAnswer, status: status, "the answer is no chat completion: choices[0].message is missing")
        }
        // Every request asks for them. A text alone may be what a rail has put in the place of the model's.
        guard let rails = reply["guardrails"]?["log"]?["activated_rails"]?.arrayValue else {
            throw NeMoGuardrailsFailure(
                .wrongAnswer, status: status,
                "the answer does not say which rails ran: guardrails.log.activated_rails is missing")
        }
        if let rail = NeMoGuardrailsVerdict.blockingRail(of: rails) {
            self = .blocked(rail: rail)
            return
        }
        switch check {
        case .input(_, let messages):
            self = try NeMoGuardrailsVerdict.text(of: message, against: messages.last?["content"]?.stringValue, status)
        case .output(_, let text): self = try NeMoGuardrailsVerdict.text(of: message, against: text, status)
        case .toolOutput(let name, _, let result):
            self = try NeMoGuardrailsVerdict.result(of: message, tool: name, result, status)
        }
    }

    /// A rail that stopped or refused, and has a name: one without does not block.
    private static func blockingRail(of rails: [JSONValue]) -> String? {
        for rail in rails {
            let refuses =
                rail["decisions"]?.arrayValue?.contains { $0.stringValue?.hasPrefix("refuse ") == true } ?? false
            if rail["stop"] == true || refuses, let name = rail["name"]?.stringValue { return name }
        }
        return nil
    }

    private static func text(
        of message: JSONObject, against original: String?, _ status: Int
    ) throws(NeMoGuardrailsFailure) -> NeMoGuardrailsVerdict {
        guard let text = message["content"]?.stringValue else {
            throw NeMoGuardrailsFailure(.wrongAnswer, status: status, "the answer's message has no text")
        }
        return text == original ? .passed : .modified(.string(text))
    }

    private static func result(
        of message: JSONObject, tool: String, _ original: JSONValue, _ status: Int
    ) throws(NeMoGuardrailsFailure) -> NeMoGuardrailsVerdict {
        let content = message["content"]?.stringValue ?? ""
        if message["role"]?.stringValue == "tool" {
            if let name = message["name"]?.nonNull, name != .string(tool) {
                throw NeMoGuardrailsFailure(
                    .wrongAnswer, status: status, "the answer's tool message has the name of another tool")
            }
            guard let result = try? JSONParser.parse(content) else {
                throw NeMoGuardrailsFailure(.wrongAnswer, status: status, "the answer's tool message is not JSON")
            }
            return result == original ? .passed : .modified(result)
        }
        guard let object = (try? JSONParser.parse(content))?.objectValue, let result = object["result"] else {
            return .passed
        }
        if let name = object["tool_name"]?.nonNull, name != .string(tool) {
            throw NeMoGuardrailsFailure(.wrongAnswer, status: status, "the answer has the result of another tool")
        }
        return result == original ? .passed : .modified(result)
    }
}
