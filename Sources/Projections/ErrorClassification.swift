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
        metadata: JSONValue?, provider: ProviderError?, inheritedErrorType: String?, inheritedExceptionType: String?
    ) {
        switch metadata?["otel.status_code"]?.stringValue {
        case "OK": (code, status) = (.ok, .ok)
        case "ERROR":
            code = .error
            status = .error(message: metadata?["otel.status_description"]?.stringValue ?? "")
        case "UNSET", nil:
            (code, status) =
                provider.map { (.error, .error(message: $0.description ?? $0.type ?? "")) } ?? (.unset, .unset)
        case .some: (code, status) = (.unknown, .unset)
        }
        guard code == .error else {
            (errorType, exceptionType) = (nil, nil)
            return
        }
        errorType = metadata?["error.type"]?.stringValue ?? provider?.type ?? inheritedErrorType ?? "_OTHER"
        exceptionType = metadata?["exception.type"]?.stringValue ?? inheritedExceptionType
    }
}
