package import ATOF

/// Folds the events of one model call into the body that the provider would have sent without streaming
/// (`codecs-and-pricing.md` 3). Events that it does not know change nothing.
package protocol StreamAggregator: Sendable {
    /// - Throws: `CodecError` for an event that ends the stream.
    mutating func receive(_ event: JSONValue) throws(CodecError)

    /// The body so far; of a stream that broke off it is what had come.
    var body: JSONValue { get }

    /// Whether a stream that ends now ends well.
    var isComplete: Bool { get }
}

extension StreamAggregator {
    package var isComplete: Bool { true }
}

extension Surface {
    package func makeAggregator(_ compatibility: Compatibility = .skein) -> any StreamAggregator {
        switch self {
        case .openAIChat: OpenAIChatStream(compatibility)
        case .openAIResponses: OpenAIResponsesStream()
        case .anthropicMessages: AnthropicStream(compatibility)
        case .ociGenAI: OCIStream()
        case .gemini: GeminiStream()
        }
    }
}
