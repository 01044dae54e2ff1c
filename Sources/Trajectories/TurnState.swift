internal import ATOF
internal import LLMCodecs

/// Whether a model request begins with something new from the user, or goes on after a tool result
/// (`atif-trajectories.md` 3.1, fresh-turn rule).
enum TurnState: Sendable {
    case fresh
    case continuation

    /// - Returns: nil when neither form of the request decides.
    init?(annotated: NormalizedRequest?, request: JSONCursor?, _ compatibility: Compatibility) {
        guard let state = TurnState.annotated(annotated) ?? request.flatMap({ TurnState.raw($0, compatibility) }) else {
            return nil
        }
        self = state
    }

    private static func annotated(_ request: NormalizedRequest?) -> TurnState? {
        for message in (request?.messages ?? []).reversed() {
            switch message.role {
            case .system, .developer: continue
            case .assistant, .tool, .function, .toolCall, .toolResult: return .continuation
            case .user:
                guard case .parts(let parts) = message.content else { return .fresh }
                let kinds = parts.map(\.kind)
                if kinds.contains(where: { [.text, .imageURL, .image, .audio, .file].contains($0) }) { return .fresh }
                return kinds.contains(.toolUse) || kinds.contains(.toolResult) ? .continuation : .fresh
            case .native:
                let value = message.native?.value ?? .null
                if let state = value["type"] != nil ? item(value) : role(value) { return state }
            }
        }
        return nil
    }

    private static func raw(_ request: JSONCursor, _ compatibility: Compatibility) -> TurnState? {
        for message in (request["messages"]?.elements ?? []).reversed() where message.isObject {
            switch message["role"]?.stringValue {
            case "system", "developer": continue
            case "user", nil: return content(message["content"]?.value)
            default: return .continuation
            }
        }
        if request["input"]?.stringValue != nil { return .fresh }
        for item in (request["input"]?.elements ?? []).reversed() {
            // Items of messages need no type; the reference passes them over.
            let value = item.value
            let isTyped = compatibility.isStrict || value["type"] != nil
            if let state = isTyped ? self.item(value) : role(value) { return state }
        }
        return request["prompt"] != nil ? .fresh : nil
    }

    /// What an item of a Responses request decides.
    private static func item(_ item: JSONValue) -> TurnState? {
        guard let type = item["type"]?.stringValue else { return nil }
        guard type == "message" else { return .continuation }
        switch item["role"]?.stringValue {
        case "system", "developer": return nil
        case "user", nil: return .fresh
        default: return .continuation
        }
    }

    private static func role(_ value: JSONValue) -> TurnState? {
        switch value["role"]?.stringValue {
        case "system", "developer", nil: nil
        case "user": .fresh
        case .some: .continuation
        }
    }

    private static func content(_ content: JSONValue?) -> TurnState {
        guard let content, content.stringValue == nil else { return .fresh }
        let types = Set((content.arrayValue ?? [content]).compactMap { $0["type"]?.stringValue })
        if !types.isDisjoint(with: userParts) { return .fresh }
        return types.isDisjoint(with: ["tool_result", "tool_use"]) ? .fresh : .continuation
    }

    private static let userParts: Set<String> = [
        "text", "input_text", "image_url", "image", "input_image", "audio", "input_audio", "file", "document",
    ]
}
