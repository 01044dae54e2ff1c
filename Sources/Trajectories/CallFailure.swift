internal import ATOF

/// What the end of a scope says about its failure (`atif-trajectories.md` 5).
struct CallFailure: Sendable {
    /// The word of the producer's vocabulary, such as `timeout`.
    let type: String?
    let description: String?

    /// - Returns: nil unless the metadata of an end says ERROR. Sinks can replace the dots of keys before an event gets
    ///   here.
    init?(_ metadata: JSONCursor) {
        guard CallFailure.status(metadata) == "ERROR" else { return nil }
        type = (metadata["error.type"] ?? metadata["error_type"])?.stringValue
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
        let error = CallFailure.error(in: body)
        guard end != nil || error != nil && !isSettled else { return nil }
        let words = ["type", "status", "code"].lazy.compactMap { CallFailure.word(error?[$0]) }
        type = end?.type ?? words.first { !$0.isEmpty }
        description = end?.description ?? error?["message"]?.stringValue ?? error?.stringValue
    }

    /// The error of a provider's body, which Gemini's streams have in a list: an object that says what it is, or a text that is all there
    /// is.
    private static func error(in body: JSONValue) -> JSONValue? {
        guard let object = (body[0] ?? body).objectValue else { return nil }
        // Some servers say so of the whole body.
        guard let error = object["error"] ?? (object["object"] == "error" ? .object(object) : nil) else { return nil }
        if let text = error.stringValue { return !text.isEmpty && object.count == 1 ? error : nil }
        return ["message", "type", "code", "status"].contains { error.member($0) != nil } ? error : nil
    }

    /// A text, or a number as one.
    private static func word(_ value: JSONValue?) -> String? {
        value?.stringValue ?? value?.int64Value.map { "\($0)" }
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
