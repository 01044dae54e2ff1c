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

    /// - Parameters:
    ///   - provider: what a provider sent in the place of an answer: it counts where the end does not say how it went, and completes an
    ///     error of which it says no more.
    ///   - isStrict: whether the status has the reference's key alone; sinks can replace the dots of keys before an event gets here.
    init(
        metadata: JSONValue?, provider: @autoclosure () -> ProviderError?, inheritedErrorType: String?,
        inheritedExceptionType: String?, isStrict: Bool
    ) {
        let said = (metadata?["otel.status_code"] ?? (isStrict ? nil : metadata?["otel_status_code"]))?.stringValue
        if said == "OK" {
            (code, status, errorType, exceptionType) = (.ok, .ok, nil, nil)
            return
        }
        var description = metadata?["otel.status_description"]?.stringValue
        var type = metadata?["error.type"]?.stringValue
        var failure: ProviderError?
        if said != "ERROR" || description == nil || type == nil { failure = provider() }
        description = description ?? failure?.description ?? (said == "ERROR" ? nil : failure?.type)
        type = type ?? failure?.type
        switch (said, failure) {
        case ("ERROR", _), (_, .some): (code, status) = (.error, .error(message: description ?? ""))
        case ("UNSET", _), (nil, _): (code, status) = (.unset, .unset)
        case (.some, _): (code, status) = (.unknown, .unset)
        }
        guard code == .error else {
            (errorType, exceptionType) = (nil, nil)
            return
        }
        errorType = type ?? inheritedErrorType ?? "_OTHER"
        exceptionType = metadata?["exception.type"]?.stringValue ?? inheritedExceptionType
    }
}
