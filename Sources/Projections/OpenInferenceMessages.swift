internal import ATOF
internal import LLMCodecs

/// The messages of a request as attributes, numbered as they are added (`otel-projections.md` 3.4.3).
///
/// Beyond the reference, unless it is to be followed strictly, a message tells which tools an assistant called and what it shows
/// besides text.
struct OpenInferenceMessages {
    private(set) var attributes: [Attribute]
    private var count = 0
    private let isStrict: Bool

    /// - Parameter attributes: those that the messages are added to.
    init(isStrict: Bool, after attributes: consuming [Attribute]) {
        self.isStrict = isStrict
        self.attributes = attributes
    }

    mutating func add(role: String, content: String?, toolCallID: String? = nil) {
        let index = begin(role: role, content: content)
        if let toolCallID { attributes.append(Attribute(Keys.toolCallID[index], toolCallID)) }
    }

    /// - Returns: the number of the message.
    private mutating func begin(role: String, content: String?) -> Int {
        let index = count
        count += 1
        attributes.append(Attribute(Keys.role[index], role))
        if let content { attributes.append(Attribute(Keys.content[index], content)) }
        return index
    }

    private enum Keys {
        static let role = NumberedKeys(message, ".message.role")
        static let content = NumberedKeys(message, ".message.content")
        static let toolCallID = NumberedKeys(message, ".message.tool_call_id")
        static let callID = NumberedKeys(message, calls, ".tool_call.id")
        static let callName = NumberedKeys(message, calls, ".tool_call.function.name")
        static let callArguments = NumberedKeys(message, calls, ".tool_call.function.arguments")

        private static let message = "llm.input_messages."
        private static let calls = ".message.tool_calls."

        static func part(_ index: Int, of message: Int) -> String {
            let prefix = String(numbered: Keys.message, message, ".message.contents.")
            return String(numbered: prefix, index, ".message_content")
        }
    }

    mutating func add(_ message: Message) {
        switch message.role {
        case .user where message.isToolResults: addResults(message.content)
        case .system, .developer, .user: addContent(message)
        case .assistant:
            let position = addContent(message)
            for (index, call) in (message.toolCalls ?? []).enumerated() {
                addCall(position, index, id: call.id, name: call.name, arguments: call.arguments)
            }
        case .tool:
            add(
                role: "tool", content: message.content.map { OpenInferenceRules.verbatim($0.json) },
                toolCallID: message.members["tool_call_id"]?.stringValue)
        case .function:
            add(role: "function", content: message.content.flatMap(OpenInferenceMessages.displayText))
        case .toolCall:
            let index = begin(role: "assistant", content: nil)
            addCall(
                index, 0, id: message.members["call_id"]?.stringValue ?? "",
                name: message.members["name"]?.stringValue ?? "", arguments: message.members["arguments"] ?? .null)
        case .toolResult:
            add(
                role: "tool", content: message.members["output"].map(OpenInferenceRules.verbatim),
                toolCallID: message.members["call_id"]?.stringValue)
        case .native:
            add(
                role: message.native?.value["role"]?.stringValue ?? "provider_native",
                content: DisplayText.text(message.native?.value["content"]))
        }
    }

    @discardableResult
    private mutating func addContent(_ message: Message) -> Int {
        let index = begin(
            role: message.role.rawValue, content: message.content.flatMap(OpenInferenceMessages.displayText))
        if !isStrict, case .parts(let parts) = message.content { addContents(index, parts) }
        return index
    }

    /// A user's message of Anthropic's with nothing but results of tools: one message each.
    private mutating func addResults(_ content: MessageContent?) {
        guard case .parts(let parts) = content else { return }
        for part in parts {
            add(
                role: "tool", content: part.members["content"].map(OpenInferenceRules.verbatim),
                toolCallID: part.members["tool_use_id"]?.stringValue)
        }
    }

    private mutating func addCall(_ message: Int, _ index: Int, id: String, name: String, arguments: JSONValue) {
        if isStrict { return }
        attributes.append(Attribute(Keys.callID[message, index], id))
        attributes.append(Attribute(Keys.callName[message, index], name))
        attributes.append(Attribute(Keys.callArguments[message, index], OpenInferenceRules.verbatim(arguments)))
    }

    // MARK: Parts

    /// The parts of a message that has others than text, in OpenInference's form.
    private mutating func addContents(_ message: Int, _ parts: [ContentPart]) {
        guard parts.contains(where: { OpenInferenceMessages.isMedia($0.kind) }) else { return }
        for (index, part) in parts.enumerated() {
            let prefix = Keys.part(index, of: message)
            switch part.kind {
            case .text, .refusal:
                attributes.append(Attribute(String(joining: prefix, "type"), "text"))
                attributes.append(String(joining: prefix, "text"), string: part.members[part.kind.rawValue])
            case .imageURL:
                attributes.append(Attribute(String(joining: prefix, "type"), "image"))
                attributes.append(String(joining: prefix, "image.image.url"), string: part.members["image_url"]?["url"])
            case .image:
                attributes.append(Attribute(String(joining: prefix, "type"), "image"))
                attributes.append(
                    String(joining: prefix, "image.image.url"), text: OpenInferenceMessages.url(part.members["image"]))
            case .audio, .file:
                attributes.append(Attribute(String(joining: prefix, "type"), part.kind.rawValue))
                attributes.append(
                    "\(prefix).\(part.kind.rawValue)", text: part.members[part.kind.rawValue]?.compactText)
            case .toolUse, .toolResult, .native:
                attributes.append(Attribute(String(joining: prefix, "type"), part.native?.kind ?? part.kind.rawValue))
                attributes.append(
                    Attribute(
                        String(joining: prefix, "text"), (part.native?.value ?? .object(part.members)).compactText))
            }
        }
    }

    private static func isMedia(_ kind: ContentPart.Kind) -> Bool {
        switch kind {
        case .imageURL, .image, .audio, .file: true
        case .text, .refusal, .toolUse, .toolResult, .native: false
        }
    }

    /// Where an image is, or the image itself; a provider's form that is neither, as it is.
    private static func url(_ image: JSONValue?) -> String? {
        let source = image?["source"] ?? image
        if let url = (source?["url"] ?? source?["image_url"])?.stringValue { return url }
        if let type = source?["media_type"]?.stringValue, let data = source?["data"]?.stringValue {
            return "data:\(type);base64,\(data)"
        }
        return image?.compactText
    }

    /// The text of a message (`otel-projections.md` B.2).
    static func displayText(_ content: MessageContent) -> String? {
        switch content {
        case .text(let text): return DisplayText.text(text)
        case .parts(let parts):
            let texts = parts.compactMap { $0.kind == .refusal ? $0.members["refusal"]?.stringValue : $0.text }
            let text = texts.joined(separator: "\n").trimmed
            return text.isEmpty ? nil : text
        }
    }
}
