/// Why a call did not happen or did not succeed, in the reference's words (`middleware-guardrails-pii.md` 4.2).
///
/// A callback that talks to a provider may throw one of these to say which kind of failure it was, from `connectionError` to `upstreamError`;
/// any other error counts as internal.
public struct AgentKitError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the end event has as `error.type`.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// AgentKit's: a name is registered already.
        case alreadyExists = "already_exists"
        /// AgentKit's: what was named is not there, such as a scope that has ended.
        case notFound = "not_found"
        /// AgentKit's: a value, or what an intercept returned, breaks the contract.
        case invalidArgument = "invalid_argument"
        /// AgentKit's: no scope is open.
        case scopeStackEmpty = "scope_stack_empty"
        /// AgentKit's: a guardrail does not allow the call.
        case guardrailRejected = "guardrail_rejected"
        /// For provider closures: no connection could be made, or it broke.
        case connectionError = "connection_error"
        /// For provider closures: no answer came in time.
        case timeout
        /// For provider closures: a status that may pass, such as 429 or 503.
        case retryableStatus = "retryable_status"
        /// For provider closures: the request is longer than the model takes.
        case contextWindow = "context_window"
        /// For provider closures: the model is not there, or not for this account.
        case modelUnavailable = "model_unavailable"
        /// For provider closures: the credentials are missing or refused.
        case authentication
        /// For provider closures: the provider refuses the request as it is.
        case invalidRequest = "invalid_request"
        /// For provider closures: the provider failed in another way, or its stream is not whole.
        case upstreamError = "upstream_error"
        /// Everything else; what errors of other types count as.
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
