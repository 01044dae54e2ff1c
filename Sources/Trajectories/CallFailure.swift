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

    /// What is known of a model call that failed.
    ///
    /// - Returns: nil when nobody says that it failed.
    init?(_ end: CallFailure?, _ provider: ProviderError?) {
        if end == nil, provider == nil { return nil }
        type = end?.type ?? provider?.type
        description = end?.description ?? provider?.description
    }

    /// That of an agent beside the one that a document is of.
    init(_ other: CallFailure, of agent: String) {
        type = other.type
        description = "\(agent): \(other.text)"
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
