internal import ATOF
internal import LLMCodecs

/// The messages of a request as attributes, numbered as they are added (`otel-projections.md` 3.4.3).
///
/// Beyond the reference, unless it is to be followed strictly, a message tells which tools an assistant called, which results a user brings
/// beside text, and what it shows besides text; a message of a provider's that has more members than the common ones is told like others.
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
        case .user:
            guard !isStrict, case .parts(let parts) = message.content,
                parts.contains(where: { $0.kind == .toolResult })
            else {
                addContent(message)
                return
            }
            addBetweenResults(parts)
        case .system, .developer: addContent(message)
        case .assistant:
            let position = addContent(message)
            var calls = (message.toolCalls ?? []).map { (id: $0.id, name: $0.name, arguments: $0.arguments) }
            if case .parts(let parts) = message.content { calls += parts.compactMap(\.call) }
            for (index, call) in calls.enumerated() {
                addCall(position, index, id: call.id, name: call.name, arguments: call.arguments)
            }
        case .tool:
            add(
                role: "tool", content: message.content.map { OpenInferenceRules.verbatim($0.json) },
                toolCallID: message.members["tool_call_id"]?.stringValue)
        case .function: add(role: "function", content: message.content.flatMap(display.text(of:)))
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
            if !isStrict, let common = message.withoutOwnMembers { return add(common) }
            add(
                role: message.native?.value["role"]?.stringValue ?? "provider_native",
                content: display.text(message.native?.value["content"]))
        }
    }

    private var display: DisplayText { DisplayText(namesAreCalls: isStrict) }

    @discardableResult
    private mutating func addContent(_ message: Message) -> Int {
        let index = begin(role: message.role.rawValue, content: message.content.flatMap(display.text(of:)))
        if !isStrict, case .parts(let parts) = message.content { addContents(index, parts) }
        return index
    }

    /// A user's message of Anthropic's with nothing but results of tools: one message each.
    private mutating func addResults(_ content: MessageContent?) {
        guard case .parts(let parts) = content else { return }
        for part in parts { addResult(part) }
    }

    private mutating func addResult(_ part: ContentPart) {
        add(
            role: "tool", content: part.members["content"].map(OpenInferenceRules.verbatim),
            toolCallID: part.members["tool_use_id"]?.stringValue)
    }

    /// A user's message with results of tools and more: one message for each result, and the user's for what stands between them.
    private mutating func addBetweenResults(_ parts: [ContentPart]) {
        var rest = parts[...]
        while let first = rest.first {
            if first.kind == .toolResult {
                addResult(rest.removeFirst())
                continue
            }
            let said = Array(rest.prefix { $0.kind != .toolResult })
            rest = rest.dropFirst(said.count)
            addContents(begin(role: "user", content: display.text(of: .parts(said))), said)
        }
    }

    private mutating func addCall(_ message: Int, _ index: Int, id: String, name: String, arguments: JSONValue) {
        if isStrict { return }
        attributes.append(Attribute(Keys.callID[message, index], id))
        attributes.append(Attribute(Keys.callName[message, index], name))
        attributes.append(Attribute(Keys.callArguments[message, index], OpenInferenceRules.verbatim(arguments)))
    }

    // MARK: Parts

    /// The parts of a message that has others than text, in OpenInference's form. Calls have a place of their own.
    private mutating func addContents(_ message: Int, _ parts: [ContentPart]) {
        guard parts.contains(where: { OpenInferenceMedia($0) != nil }) else { return }
        for (index, part) in parts.filter({ $0.kind != .toolUse }).enumerated() {
            let prefix = Keys.part(index, of: message)
            switch OpenInferenceMedia(part) {
            case .image(let url):
                attributes.append(Attribute(String(joining: prefix, "type"), "image"))
                attributes.append(Attribute(String(joining: prefix, "image.image.url"), url))
            case .other(let kind, let value):
                attributes.append(Attribute(String(joining: prefix, "type"), kind))
                attributes.append(Attribute(String(joining: prefix, kind), value.compactText))
            case nil: addText(part, prefix)
            }
        }
    }

    private mutating func addText(_ part: ContentPart, _ prefix: String) {
        switch part.kind {
        case .text, .refusal:
            attributes.append(Attribute(String(joining: prefix, "type"), "text"))
            attributes.append(String(joining: prefix, "text"), string: part.members[part.kind.rawValue])
        case .imageURL, .image, .audio, .file, .toolUse, .toolResult, .native:
            attributes.append(Attribute(String(joining: prefix, "type"), part.native?.kind ?? part.kind.rawValue))
            attributes.append(
                Attribute(String(joining: prefix, "text"), (part.native?.value ?? .object(part.members)).compactText))
        }
    }
}

extension ContentPart {
    /// The call that an assistant's message of Anthropic's has among its parts.
    fileprivate var call: (id: String, name: String, arguments: JSONValue)? {
        guard kind == .toolUse else { return nil }
        return (
            members["id"]?.stringValue ?? "", members["name"]?.stringValue ?? "", members["input"] ?? .null
        )
    }
}
