internal import ATOF

/// What a conditional guardrail says about a call that has not begun.
public enum GuardDecision: Sendable, Hashable {
    /// The call may go on.
    case allow
    /// The call must not begin.
    ///
    /// - Parameter reason: the caller gets `guardrail rejected: <reason>`.
    case reject(String)
}

/// How the evaluation of a guardrail ended: what the end of its scope has as data (`middleware-guardrails-pii.md` 4.2).
package enum GuardOutcome: Sendable, Hashable {
    case allowed
    case rejected(String)
    case failed(String)
    case cancelled

    var data: JSON {
        switch self {
        case .allowed: ["allowed": true, "rejected": false]
        case .rejected(let reason): ["allowed": false, "rejected": true, "rejection_reason": JSON(reason)]
        case .failed(let error): ["allowed": false, "error": JSON(error)]
        case .cancelled: ["allowed": false, "cancelled": true, "error": "guardrail evaluation cancelled"]
        }
    }
}
