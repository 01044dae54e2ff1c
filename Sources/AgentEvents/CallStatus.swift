internal import ATOF

/// What the end of a scope says about how it went (`middleware-guardrails-pii.md` 4.2).
package enum CallStatus {
    private static let code = "otel.status_code"
    private static let description = "otel.status_description"
    private static let bareOK = JSON.encoded(Array(#"{"otel.status_code":"OK"}"#.utf8))

    /// Metadata with `OK`, and without what an earlier failure said.
    package static func succeeded(_ metadata: JSON) -> JSON {
        // Most scopes have no metadata, and this text is all that they end with.
        if metadata.isNull { return bareOK }
        var object = metadata.value.objectValue ?? JSONObject()
        object[code] = "OK"
        object[description] = nil
        return JSON(.object(object))
    }

    /// Metadata of a managed call that failed.
    ///
    /// - Parameter kind: says what was cancelled.
    package static func failed(_ metadata: JSON, _ failure: CallFailure, kind: ManagedCall.Kind) -> JSON {
        var object = metadata.value.objectValue ?? JSONObject()
        object[code] = "ERROR"
        switch failure {
        case .failed(let text, let type, let exception):
            object[description] = .string(text)
            if object["error.type"] == nil { object["error.type"] = .string(type) }
            if object["exception.type"] == nil { object["exception.type"] = exception.map { .string($0) } }
        case .cancelled:
            object[description] = .string(kind == .tool ? "tool execution cancelled" : "LLM execution cancelled")
        case .streamDropped: object[description] = "stream dropped before clean completion"
        }
        return JSON(.object(object))
    }

    /// Metadata of a scope whose body threw: the error's text, without a type.
    package static func threw(_ metadata: JSON, _ text: String) -> JSON {
        var object = metadata.value.objectValue ?? JSONObject()
        object[code] = "ERROR"
        object[description] = .string(text)
        return JSON(.object(object))
    }
}
