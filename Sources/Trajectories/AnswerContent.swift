internal import ATOF
internal import LLMCodecs

/// What a model answered, where Skein reads more than the reference (`docs/deviations.md`).
enum AnswerContent {
    /// The answer's text or parts; the reference shows what it does not know as JSON text.
    ///
    /// - Parameters:
    ///   - isStreamed: whether the data were put together, and are not what the step has as its response.
    ///   - hasFailed: whether the call failed, so that what is of no known form is no answer.
    static func message(
        annotated: NormalizedResponse?, response: NormalizedResponse?, data: JSONValue, isStreamed: Bool,
        hasFailed: Bool
    ) -> JSONValue {
        if hasFailed, annotated == nil, response == nil, !isAnswer(data) { return "" }
        let message = ContentParts.cleaned(readable(annotated, response, data, isStreamed))
        return message == "" || message == [] ? saidElsewhere(data).map { .string($0) } ?? "" : message
    }

    /// Whether the data would be shown as anything but JSON text.
    private static func isAnswer(_ data: JSONValue) -> Bool {
        if data.objectValue != nil { return MessageText.text(of: data) != nil }
        return data.stringValue != nil || ContentParts.isValid(data)
    }

    /// What is said elsewhere than in a content: aloud, a model's refusal, or by the provider in its place.
    private static func saidElsewhere(_ data: JSONValue) -> String? {
        guard let object = data.objectValue else { return nil }
        let message = ToolPromotion.chatMessage(object)
        let words = [message?["refusal"], message?["audio"]?["transcript"]].lazy.compactMap { $0?.stringValue }
        if let text = words.first(where: { !$0.isEmpty }) { return text }
        for item in data["output"]?.arrayValue ?? [] where item["type"] == "message" {
            for block in item["content"]?.arrayValue ?? [] where block["type"] == "refusal" {
                if let text = block["refusal"]?.stringValue { return text }
            }
        }
        return data["promptFeedback"]?["blockReasonMessage"]?.stringValue
    }

    private static func readable(
        _ annotated: NormalizedResponse?, _ response: NormalizedResponse?, _ data: JSONValue, _ isStreamed: Bool
    ) -> JSONValue {
        let mayBeParts = annotated == nil || annotated?.message?.isParts == true
        if mayBeParts, let object = data.objectValue, let content = MessageText.agentContent(data),
            let elements = content.value.arrayValue, MessageText.anthropic(object, content) == nil,
            let parts = parts(content.value, elements, content.pointer)
        {
            return parts
        }
        guard let response, mayBeParts else {
            return MessageText.agent(annotated: annotated, response: data)
        }
        if let text = MessageText.text(of: data) { return text }
        switch response.message {
        case .text(let text): return .string(text)
        case .parts(let parts):
            let pointer = "candidates/0/content/parts"
            if let own = data["candidates"]?[0]?["content"]?["parts"]?.arrayValue {
                return ContentParts.converted(own, at: isStreamed ? nil : "llm_response/\(pointer)") ?? ""
            }
            return ContentParts.converted(parts.map { .object($0.members) }, at: nil) ?? ""
        // Of a known form, and without a word.
        case nil: return ""
        }
    }

    private static func parts(_ content: JSONValue, _ elements: [JSONValue], _ pointer: String) -> JSONValue? {
        if elements.isEmpty { return nil }
        if elements.allSatisfy({ ["thinking", "redacted_thinking"].contains($0["type"]) }) { return "" }
        if ContentParts.isValid(content) { return content }
        return ContentParts.converted(elements, at: "llm_response/\(pointer)")
    }

    /// What the model thought, by whatever name its provider gives it.
    static func reasoning(_ data: JSONValue) -> String? {
        guard let object = data.objectValue else { return nil }
        let message = ToolPromotion.chatMessage(object)
        let plain = [
            data["reasoning"], data["reasoning_content"], message?["reasoning_content"], message?["reasoning"],
        ]
        if let text = plain.lazy.compactMap({ $0?.stringValue }).first(where: { !$0.isEmpty }) { return text }
        var texts: [String?] = []
        if data["type"] == "message" {
            for block in data["content"]?.arrayValue ?? [] where block["type"] == "thinking" {
                texts.append(block["thinking"]?.stringValue)
            }
        }
        // Mistral's thoughts are parts among the others, of parts of their own.
        for part in message?["content"]?.arrayValue ?? [] where part["type"] == "thinking" {
            texts += (part["thinking"]?.arrayValue ?? []).map { $0["text"]?.stringValue }
            texts.append(part["thinking"]?.stringValue)
        }
        for item in data["output"]?.arrayValue ?? [] where item["type"] == "reasoning" {
            for list in [item["summary"], item["content"]] {
                texts += (list?.arrayValue ?? []).map { $0["text"]?.stringValue }
            }
        }
        for part in data["candidates"]?[0]?["content"]?["parts"]?.arrayValue ?? [] where part["thought"] == true {
            texts.append(part["text"]?.stringValue)
        }
        let known = texts.compactMap(\.self).filter { !$0.isEmpty }
        return known.isEmpty ? nil : known.joined(separator: "\n")
    }
}

extension MessageContent {
    fileprivate var isParts: Bool { if case .parts = self { true } else { false } }
}
