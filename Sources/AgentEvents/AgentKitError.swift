/// Why a call did not happen or did not succeed, in the reference's words (`middleware-guardrails-pii.md` 4.2).
///
/// A callback that talks to a provider may throw one of these to say which kind of failure it was; any other error counts as internal.
public struct AgentKitError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the end event has as `error.type`.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case alreadyExists = "already_exists"
        case notFound = "not_found"
        case invalidArgument = "invalid_argument"
        case scopeStackEmpty = "scope_stack_empty"
        case guardrailRejected = "guardrail_rejected"
        case connectionError = "connection_error"
        case timeout
        case retryableStatus = "retryable_status"
        case contextWindow = "context_window"
        case modelUnavailable = "model_unavailable"
        case authentication
        case invalidRequest = "invalid_request"
        case upstreamError = "upstream_error"
        case internalError = "internal_error"
    }

    /// What kind of failure it is: what callers decide on.
    public let code: Code
    /// Without the prefix of its code.
    public let message: String

    /// A failure of a kind; `description` puts the prefix of the kind in front of the message.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// With the prefix; failures of the provider have none.
    public var description: String {
        switch code {
        case .alreadyExists: "already exists: \(message)"
        case .notFound: "not found: \(message)"
        case .invalidArgument: "invalid argument: \(message)"
        case .guardrailRejected: "guardrail rejected: \(message)"
        case .internalError: "internal error: \(message)"
        case .scopeStackEmpty, .connectionError, .timeout, .retryableStatus, .contextWindow, .modelUnavailable,
            .authentication, .invalidRequest, .upstreamError:
            message
        }
    }
}
