package import ATOF

/// A provider interface whose payloads are recognised by their shape (`codecs-and-pricing.md` 2.1).
package enum Surface: String, Sendable, Hashable, CaseIterable {
    case openAIChat = "openai_chat"
    case openAIResponses = "openai_responses"
    case anthropicMessages = "anthropic_messages"
    case ociGenAI = "oci_genai"
    case gemini = "gemini_generate_content"

    /// All names, for messages.
    package static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }

    /// The surface of a request body: the first shape in a fixed order that matches. Only presence of keys counts.
    ///
    /// - Parameter hint: the name of the LLM start event; never stronger than a shape.
    package static func ofRequest(_ body: JSONObject, hint: String) -> Surface? {
        func has(_ key: String) -> Bool { body[key] != nil }
        let hasChatRequest = body["chatRequest"]?.objectValue != nil
        if has("input") || has("instructions") { return .openAIResponses }
        if has("system") || (hint == "anthropic" || hint == "anthropic.messages") && has("messages") {
            return .anthropicMessages
        }
        if hasChatRequest && (has("servingMode") || has("compartmentId")) || has("apiFormat")
            || (hint == "oci" || hint == "oci.genai") && hasChatRequest
        {
            return .ociGenAI
        }
        if has("messages") { return .openAIChat }
        if has("contents") { return .gemini }
        return nil
    }

    /// The surface of a response body, if exactly one shape matches.
    package static func ofResponse(_ body: JSONObject) -> Surface? {
        var match: Surface?
        for surface in Surface.allCases where surface.matches(response: body) {
            if match != nil { return nil }
            match = surface
        }
        return match
    }

    private func matches(response body: JSONObject) -> Bool {
        switch self {
        case .openAIChat:
            return body["choices"]?.arrayValue != nil
        case .openAIResponses:
            return body["output"]?.arrayValue != nil || body["output_text"]?.stringValue != nil
        case .anthropicMessages:
            return body["type"] == "message" && body["content"]?.arrayValue != nil
        case .ociGenAI:
            return (body["chatResponse"]?.objectValue ?? body)["apiFormat"] != nil
        case .gemini:
            if body["candidates"]?.arrayValue != nil { return true }
            guard let feedback = body["promptFeedback"]?.objectValue else { return false }
            return feedback["blockReason"] != nil || feedback["safetyRatings"] != nil
        }
    }
}

extension Surface {
    /// The normalised form of a request body.
    ///
    /// - Parameter compatibility: whose rules decide.
    /// - Throws: `CodecError` when the body breaks a rule of the surface.
    package func decodeRequest(
        _ body: JSONValue, _ compatibility: Compatibility = .skein
    ) throws(CodecError) -> NormalizedRequest {
        switch self {
        case .openAIChat: try OpenAIChat.request(body)
        case .openAIResponses: try OpenAIResponses.request(body)
        case .anthropicMessages: try Anthropic.request(body)
        case .ociGenAI: try OCI.request(body)
        case .gemini: try Gemini.request(body, compatibility)
        }
    }

    /// The normalised form of a response body.
    ///
    /// - Parameter compatibility: whose rules decide.
    /// - Throws: `CodecError` when the body breaks a rule of the surface.
    package func decodeResponse(
        _ body: JSONValue, _ compatibility: Compatibility = .skein
    ) throws(CodecError) -> NormalizedResponse {
        switch self {
        case .openAIChat: try OpenAIChat.response(body)
        case .openAIResponses: try OpenAIResponses.response(body)
        case .anthropicMessages: try Anthropic.response(body)
        case .ociGenAI: try OCI.response(body)
        case .gemini: try Gemini.response(body, compatibility)
        }
    }

    /// The body of an edited request: the original with only the differences written into it
    /// (`codecs-and-pricing.md` 2.2).
    ///
    /// - Parameters:
    ///   - baseline: what this surface decoded `body` to.
    /// - Throws: `CodecError` when the surface cannot say what was edited.
    package func encode(
        _ edited: NormalizedRequest, baseline: NormalizedRequest, body: JSONValue
    ) throws(CodecError) -> JSONValue {
        guard edited != baseline else { return body }
        guard let object = body.objectValue else { throw CodecError(.internal, "the body must be an object") }
        let editor = BodyEditor(baseline: baseline, edited: edited, body: object)
        let result =
            switch self {
            case .openAIChat: try OpenAIChat.encode(editor)
            case .openAIResponses: try OpenAIResponses.encode(editor)
            case .anthropicMessages: try Anthropic.encode(editor)
            case .ociGenAI: try OCI.encode(editor)
            case .gemini: try Gemini.encode(editor)
            }
        return .object(result)
    }

    /// A response body with what an edited response says written over it.
    ///
    /// - Parameter baseline: what this surface decoded `body` to.
    package func overlay(
        _ edited: NormalizedResponse, baseline: NormalizedResponse, on body: JSONObject
    ) -> JSONObject {
        let overlay = ResponseOverlay(baseline: baseline, edited: edited)
        return switch self {
        case .openAIChat: overlay.openAIChat(body)
        case .openAIResponses: overlay.openAIResponses(body)
        case .anthropicMessages: overlay.anthropic(body)
        case .ociGenAI: overlay.oci(body)
        case .gemini: overlay.gemini(body)
        }
    }
}
