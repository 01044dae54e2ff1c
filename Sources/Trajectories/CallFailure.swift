internal import ATOF
internal import LLMCodecs

/// What the end of a scope says about its failure (`atif-trajectories.md` 5).
struct CallFailure: Sendable {
    /// The word of the producer's vocabulary, such as `timeout`.
    let type: String?
    let description: String?

    /// - Returns: nil unless the metadata of an end says ERROR. Sinks can replace the dots of keys before an event gets
    ///   here.
    init?(_ metadata: JSONCursor) {
        guard CallFailure.status(metadata) == "ERROR" else { return nil }
        type =
            ["error.type", "error_type", "exception.type", "exception_type"].lazy
            .compactMap { metadata[$0]?.stringValue }.first
        description = (metadata["otel.status_description"] ?? metadata["otel_status_description"])?.stringValue
    }

    static func status(_ metadata: JSONCursor) -> String? {
        (metadata["otel.status_code"] ?? metadata["otel_status_code"])?.stringValue
    }

    /// What is known of a model call that failed: the end's word first, then that of the body which a provider sends in the place of an
    /// answer.
    ///
    /// - Parameters:
    ///   - end: what the end says.
    ///   - isSettled: the end says that the call did not fail, or there is an answer: then the body does not count.
    /// - Returns: nil when nobody says that it failed.
    init?(_ end: CallFailure?, isSettled: Bool, body: JSONValue) {
        let error = ProviderError(in: body)
        guard end != nil || error != nil && !isSettled else { return nil }
        type = end?.type ?? error?.type
        description = end?.description ?? error?.description
    }

    /// For a reader; never empty.
    var text: String {
        for text in [description, type] {
            if let text, !text.isEmpty { return text }
        }
        return "failed without a description"
    }

    var json: JSONValue {
        var object = JSONObject()
        object["type"] = type.map { .string($0) }
        object["description"] = description.map { .string($0) }
        return .object(object.isEmpty ? JSONObject([("description", .string(text))]) : object)
    }
}
