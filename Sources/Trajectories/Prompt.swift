internal import ATOF
internal import LLMCodecs

/// What a model was asked: whether that begins a turn, and the step that it makes then (`atif-trajectories.md` 3.1, 3.9).
struct Prompt {
    private let event: ScopeEvent
    private let request: JSONCursor
    private let compatibility: Compatibility
    private let annotated: NormalizedRequest?

    init(_ event: ScopeEvent, request: JSONCursor, compatibility: Compatibility) {
        self.event = event
        self.request = request
        self.compatibility = compatibility
        annotated = LLMNormalizer.annotatedRequest(event.annotatedProfile)
    }

    /// Nil when the request does not decide. The reference does not read surfaces that have neither messages, input nor
    /// prompt.
    var turn: TurnState? {
        if let turn = TurnState(annotated: annotated, request: request, compatibility) { return turn }
        return compatibility.isStrict ? nil : TurnState(annotated: decoded, request: nil, compatibility)
    }

    /// Also of a body that came without its envelope.
    private var decoded: NormalizedRequest? {
        LLMNormalizer.request(
            profile: event.annotatedProfile, data: ["headers": [:], "content": request.value], name: event.name)
    }

    /// The message that begins the turn, and who it is from.
    var message: (source: Step.Source, message: JSONValue) {
        let message = MessageText.user(annotated: annotated, request: request)
        if compatibility.isStrict { return (.user, message) }
        let (source, content) = readable(message)
        return (source, ContentParts.cleaned(content))
    }

    /// The message, with more of it read than the reference does.
    private func readable(_ message: JSONValue) -> (Step.Source, JSONValue) {
        if case .text? = MessageText.lastUser(annotated)?.content { return (.user, message) }
        if let (content, pointer) = MessageText.lastContent(request, "messages", "content", roleRequired: false) {
            return (.user, parts(content, pointer) ?? message)
        }
        if let said = MessageText.lastInput(request, { parts($0, $1) ?? MessageText.said(in: $0) }) {
            return (.user, said)
        }
        guard request["prompt"] == nil, let normalized = decoded else { return (.user, message) }
        return normalizedMessage(normalized) ?? (.user, message)
    }

    /// Content of several parts; nil for a text, and for what cannot be shown as parts.
    private func parts(_ content: JSONValue, _ pointer: String) -> JSONValue? {
        guard let elements = content.arrayValue else { return nil }
        if ContentParts.isValid(content) { return content }
        // Texts alone are joined by the reference where it knows them.
        if elements.allSatisfy({ $0["type"] == "input_text" }) { return nil }
        return ContentParts.converted(elements, at: "llm_request/\(pointer)")
    }

    /// Of a request whose form the reference does not read: it would put the whole of it into the user's mouth.
    private func normalizedMessage(_ normalized: NormalizedRequest) -> (Step.Source, JSONValue)? {
        switch MessageText.lastUser(normalized)?.content {
        case .text(let text): return (.user, .string(text))
        case .parts(let parts):
            if let (content, pointer) = MessageText.lastContent(request, "contents", "parts", roleRequired: false),
                let elements = content.arrayValue,
                let converted = ContentParts.converted(elements, at: "llm_request/\(pointer)")
            {
                return (.user, converted)
            }
            return ContentParts.converted(parts.map { .object($0.members) }, at: nil).map { (.user, $0) }
        case nil: return normalized.systemPrompt.map { (.system, .string($0)) }
        }
    }
}
