internal import ATOF
internal import LLMCodecs

/// What a step says (`atif-trajectories.md` 3.9).
enum MessageText {
    /// A text or valid content parts as they are, null as an empty text, everything else as JSON text.
    static func content(_ value: JSONValue?) -> JSONValue {
        guard let value, !value.isNull else { return "" }
        if value.stringValue != nil || ContentParts.isValid(value) { return value }
        return .string(value.compactText)
    }

    // MARK: User

    static func user(annotated: NormalizedRequest?, request: JSONCursor) -> JSONValue {
        if case .text(let text)? = lastUser(annotated)?.content { return .string(text) }
        if let content = lastContent(request, "messages", "content", roleRequired: false) {
            return self.content(content.value)
        }
        if let message = input(of: request) { return message }
        return content((request["prompt"] ?? request).value)
    }

    static func lastUser(_ request: NormalizedRequest?) -> Message? {
        request?.messages.last { $0.role == .user }
    }

    /// The user's last content in a list of a request, and where that is.
    static func lastContent(
        _ request: JSONCursor, _ list: String, _ member: String, roleRequired: Bool
    ) -> (value: JSONValue, pointer: String)? {
        guard let items = request[list]?.elements,
            let index = items.lastIndex(where: { isUser($0, roleRequired: roleRequired) }),
            let content = items[index][member]
        else { return nil }
        return (content.value, "\(list)/\(index)/\(member)")
    }

    /// What the user said last in the input of a Responses request, and where that is.
    ///
    /// - Parameter reading: what there is to say of a content, nil for one that is passed over.
    static func lastInput<Said>(
        _ request: JSONCursor, _ reading: (JSONValue, _ pointer: String) -> Said?
    ) -> Said? {
        guard let items = request["input"]?.elements else { return nil }
        for index in items.indices.reversed() where isUser(items[index], roleRequired: true) {
            if let content = items[index]["content"]?.value, let said = reading(content, "input/\(index)/content") {
                return said
            }
        }
        return nil
    }

    private static func isUser(_ message: JSONCursor, roleRequired: Bool) -> Bool {
        message.isObject && message["role"]?.stringValue.map { $0 == "user" } ?? !roleRequired
    }

    /// What the user said last in the input of a Responses request.
    private static func input(of request: JSONCursor) -> JSONValue? {
        if let text = request["input"]?.stringValue { return .string(text) }
        return lastInput(request) { content, _ in said(in: content) }
    }

    /// Nil for content that says nothing.
    static func said(in content: JSONValue) -> JSONValue? {
        if content.stringValue != nil { return content }
        for type in ["input_text", "text"] {
            if let text = joined(content, type: type) { return .string(text) }
        }
        return ContentParts.isValid(content) ? .some(content) : .none
    }

    /// The texts of parts of one type, a line each; nil when there is none.
    private static func joined(_ parts: JSONValue, type: String) -> String? {
        let texts = (parts.arrayValue ?? []).filter { $0["type"] == .string(type) }.compactMap {
            $0["text"]?.stringValue
        }
        return texts.isEmpty ? nil : texts.joined(separator: "\n")
    }

    // MARK: Agent

    static func agent(annotated: NormalizedResponse?, response: JSONValue) -> JSONValue {
        if let annotated {
            switch annotated.message {
            case .text(let text): return .string(text)
            case .parts: break
            // Then only the raw response has it.
            case nil: if !annotated.isMessageHidden { return "" }
            }
        }
        return text(of: response) ?? content(response)
    }

    /// What an answer of a known form says; nil for what is shown as JSON text.
    static func text(of response: JSONValue) -> JSONValue? {
        guard let object = response.objectValue else { return content(response) }
        if let content = agentContent(response) {
            return anthropic(object, content) ?? self.content(content.value)
        }
        if let text = response["output_text"]?.stringValue ?? responsesText(object) { return .string(text) }
        return ToolPromotion.hasCallList(object) ? "" : nil
    }

    /// The content of an answer, and where that is: the first that is not null.
    static func agentContent(_ response: JSONValue) -> (value: JSONValue, pointer: String)? {
        guard let object = response.objectValue else { return nil }
        if let content = response.member("content") { return (content, "content") }
        if let content = response["assistant_message"]?.member("content") {
            return (content, "assistant_message/content")
        }
        if let content = ToolPromotion.chatMessage(object)?.member("content") {
            let isBare = object["raw_response"] == nil
            return (content, isBare ? "choices/0/message/content" : "raw_response/choices/0/message/content")
        }
        return response.member("answer").map { ($0, "answer") }
    }

    /// The text blocks of an Anthropic message; empty when it calls tools without a word, whatever it thought before.
    ///
    /// - Parameter content: of the answer; another one than the message's own has no such blocks.
    static func anthropic(_ response: JSONObject, _ content: (value: JSONValue, pointer: String)) -> JSONValue? {
        guard response["type"] == "message", content.pointer == "content", let elements = content.value.arrayValue
        else {
            return nil
        }
        let texts = elements.filter { $0["type"] == "text" }.compactMap { $0["text"]?.stringValue }
            .filter { !$0.allSatisfy(\.isWhitespace) }
        if !texts.isEmpty { return .string(texts.joined(separator: "\n")) }
        return elements.contains { $0["type"] == "tool_use" } ? .some("") : .none
    }

    private static func responsesText(_ response: JSONObject) -> String? {
        var texts: [String] = []
        for item in response["output"]?.arrayValue ?? [] {
            if item["type"] == "message" {
                for block in item["content"]?.arrayValue ?? [] where block["type"] == "output_text" {
                    if let text = block["text"]?.stringValue { texts.append(text) }
                }
            } else if item["type"] == "output_text", let text = item["text"]?.stringValue {
                texts.append(text)
            }
        }
        return texts.isEmpty ? nil : texts.joined(separator: "\n")
    }
}
