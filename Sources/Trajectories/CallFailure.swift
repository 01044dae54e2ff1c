internal import ATOF

/// What the end of a scope says about its failure (`atif-trajectories.md` 5).
struct CallFailure: Sendable {
    /// The word of the producer's vocabulary, such as `timeout`.
    let type: String?
    let description: String?

    /// - Returns: nil unless the metadata of an end says ERROR. Sinks can replace the dots of keys before an event gets
    ///   here.
    init?(_ metadata: JSONCursor) {
        guard (metadata["otel.status_code"] ?? metadata["otel_status_code"])?.stringValue == "ERROR" else { return nil }
        type = (metadata["error.type"] ?? metadata["error_type"])?.stringValue
        description = (metadata["otel.status_description"] ?? metadata["otel_status_description"])?.stringValue
    }

    /// What is known of a model call that failed: the end's word first, then that of the body which a provider sends in the place of an
    /// answer.
    ///
    /// - Returns: nil when neither says that it failed.
    init?(_ end: CallFailure?, body: JSONValue) {
        let error = CallFailure.error(in: body)
        guard end != nil || error != nil else { return nil }
        type =
            end?.type ?? ["type", "status", "code"].lazy.compactMap { error?[$0]?.stringValue }.first { !$0.isEmpty }
        description = end?.description ?? error?["message"]?.stringValue ?? error?.stringValue
    }

    /// The error of a provider's body, which Gemini's streams have in a list.
    private static func error(in body: JSONValue) -> JSONValue? {
        guard let error = (body[0] ?? body).member("error") else { return nil }
        return error.objectValue?.isEmpty == false || error.stringValue?.isEmpty == false ? error : nil
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
        return .object(object)
    }
}
