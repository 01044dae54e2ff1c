internal import ATOF

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

    init(metadata: JSONValue?, inheritedErrorType: String?, inheritedExceptionType: String?) {
        switch metadata?["otel.status_code"]?.stringValue {
        case "OK": (code, status) = (.ok, .ok)
        case "ERROR":
            code = .error
            status = .error(message: metadata?["otel.status_description"]?.stringValue ?? "")
        case "UNSET", nil: (code, status) = (.unset, .unset)
        case .some: (code, status) = (.unknown, .unset)
        }
        guard code == .error else {
            (errorType, exceptionType) = (nil, nil)
            return
        }
        errorType = metadata?["error.type"]?.stringValue ?? inheritedErrorType ?? "_OTHER"
        exceptionType = metadata?["exception.type"]?.stringValue ?? inheritedExceptionType
    }
}
