/// The guardrails of the collectors: asked before every managed call, after the agent's own (`docs/components/guard.md`).
///
/// An answer that does not come is a guardrail that failed: the call is aborted, unless `failsOpen`.
public struct RemoteGuards: Sendable {
    package let asker: any GuardAsker
    /// Calls go on when nobody decides. The failure is published all the same.
    public var failsOpen: Bool
    /// The name of the guardrail scope that tells a failure to get an answer.
    package static let name = "skein-guard"

    package init(asker: any GuardAsker, failsOpen: Bool = false) {
        self.asker = asker
        self.failsOpen = failsOpen
    }
}
