internal import ATOF
internal import LLMCodecs

/// What a step says (`atif-trajectories.md` 3.9).
enum MessageText {
    /// A text or valid content parts as they are, null as an empty text, everything else as JSON text.
    static func content(_ value: JSONValue?) -> JSONValue {
        guard let value, !value.isNull else { return "" }
        if value.stringValue != nil || isParts(value) { return value }
        return .string(value.compactText)
    }

    /// Whether a value is an array of nothing but ATIF content parts.
    static func isParts(_ value: JSONValue) -> Bool {
        guard let elements = value.arrayValue else { return false }
        return elements.allSatisfy { part in
            switch part["type"] {
            case "text": return part["text"]?.stringValue != nil
            case "image":
                guard let type = part["source"]?["media_type"]?.stringValue else { return false }
                return mediaTypes.contains(type) && part["source"]?["path"]?.stringValue != nil
            default: return false
            }
        }
    }

    private static let mediaTypes: Set<String> = ["image/jpeg", "image/png", "image/gif", "image/webp"]

    // MARK: User

    static func user(annotated: NormalizedRequest?, request: JSONValue) -> JSONValue {
        if case .text(let text) = annotated?.messages.last(where: { $0.role == .user })?.content {
            return .string(text)
        }
        if let messages = request["messages"]?.arrayValue,
            let last = messages.last(where: { isUser($0, roleRequired: false) }), let content = last["content"]
        {
            return self.content(content)
        }
        if let message = input(request["input"]) { return message }
        if let prompt = request["prompt"] { return content(prompt) }
        return content(request)
    }

    private static func isUser(_ message: JSONValue, roleRequired: Bool) -> Bool {
        guard let object = message.objectValue else { return false }
        return object["role"].map { $0 == "user" } ?? !roleRequired
    }

    /// The user's text in the input of a Responses request.
    private static func input(_ input: JSONValue?) -> JSONValue? {
        guard let items = input?.arrayValue else { return input?.stringValue.map { .string($0) } }
        guard let content = items.last(where: { isUser($0, roleRequired: true) })?["content"] else { return nil }
        if content.stringValue != nil { return content }
        for type in ["input_text", "text"] {
            if let text = joined(content, type: type) { return .string(text) }
        }
        return isParts(content) ? .some(content) : .none
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
            // An extra member called message has taken the place of the real one: only the raw response has it.
            case nil: if annotated.extra["message"] == nil { return "" }
            }
        }
        guard let object = response.objectValue else { return content(response) }
        if let blocks = response.member("content") { return anthropic(object, blocks) ?? content(blocks) }
        if let message = response["assistant_message"]?.member("content") { return content(message) }
        if let message = ToolPromotion.chatMessage(object)?.member("content") { return content(message) }
        if let answer = response.member("answer") { return content(answer) }
        if let text = response["output_text"]?.stringValue ?? responsesText(object) { return .string(text) }
        return ToolPromotion.hasCallList(object) ? "" : content(response)
    }

    /// The text blocks of an Anthropic message; empty when it calls tools without a word, whatever it thought before.
    private static func anthropic(_ response: JSONObject, _ blocks: JSONValue) -> JSONValue? {
        guard response["type"] == "message", let elements = blocks.arrayValue else { return nil }
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
