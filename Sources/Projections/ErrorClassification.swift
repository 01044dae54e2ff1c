internal import ATOF
internal import LLMCodecs

/// How a scope ended, from its end event's metadata (`otel-projections.md` 1.5).
struct ErrorClassification {
    enum StatusCode {
        case ok
        case error
        case unset
        case unknown
    }

    let code: StatusCode
    let status: ProjectedSpan.Status
    /// Nil unless the scope failed.
    let errorType: String?
    let exceptionType: String?

    /// - Parameter provider: what a provider sent in the place of an answer: it counts where the end says nothing.
    init(
        metadata: JSONValue?, provider: @autoclosure () -> ProviderError?, inheritedErrorType: String?,
        inheritedExceptionType: String?
    ) {
        var word: String?
        switch metadata?["otel.status_code"]?.stringValue {
        case "OK": (code, status) = (.ok, .ok)
        case "ERROR":
            code = .error
            status = .error(message: metadata?["otel.status_description"]?.stringValue ?? "")
        case "UNSET", nil:
            if let error = provider() {
                (code, status) = (.error, .error(message: error.description ?? error.type ?? ""))
                word = error.type
            } else {
                (code, status) = (.unset, .unset)
            }
        case .some: (code, status) = (.unknown, .unset)
        }
        guard code == .error else {
            (errorType, exceptionType) = (nil, nil)
            return
        }
        errorType = metadata?["error.type"]?.stringValue ?? word ?? inheritedErrorType ?? "_OTHER"
        exceptionType = metadata?["exception.type"]?.stringValue ?? inheritedExceptionType
    }
}
