package import LLMCodecs

/// The provider interface that a request or a response has: with it, events carry the normalised form beside the raw one.
public enum ModelCodec: String, Sendable, Hashable, CaseIterable {
    /// OpenAI Chat Completions, and what is compatible with it.
    case openAIChat = "openai_chat"
    /// OpenAI Responses.
    case openAIResponses = "openai_responses"
    /// Anthropic Messages.
    case anthropicMessages = "anthropic_messages"
    /// Oracle's OCI Generative AI.
    case ociGenAI = "oci_genai"
    /// Google Gemini's `generateContent`.
    case gemini = "gemini_generate_content"

    package var surface: Surface {
        switch self {
        case .openAIChat: .openAIChat
        case .openAIResponses: .openAIResponses
        case .anthropicMessages: .anthropicMessages
        case .ociGenAI: .ociGenAI
        case .gemini: .gemini
        }
    }
}

extension AgentKitError {
    init(_ error: CodecError) {
        switch error.kind {
        case .invalidArgument: self.init(.invalidArgument, error.message)
        case .internal: self.init(.internalError, error.message)
        }
    }
}
