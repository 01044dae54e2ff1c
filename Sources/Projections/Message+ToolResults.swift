internal import LLMCodecs

extension Message {
    /// Whether a user's message brings nothing but results of tools, as Anthropic's do.
    var isToolResults: Bool {
        guard role == .user, case .parts(let parts) = content else { return false }
        return !parts.isEmpty && parts.allSatisfy { $0.kind == .toolResult }
    }
}
