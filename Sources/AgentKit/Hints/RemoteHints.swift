package import ATOF

/// What model requests tell their servers about the agent: how urgent they are, and what follows (`docs/components/hints.md`).
///
/// Before every managed model call the collectors are asked, for milliseconds; what they know goes into the body as `nvext.agent_hints`
/// and into the header `x-nemo-relay-adaptive-agent-hints`. No answer is no hint, and never an error: the call goes on. What was set by
/// `AgentScope.raiseLatencySensitivity` counts also without an answer.
public struct RemoteHints: Sendable {
    package let asker: (any HintAsker)?
    /// Among the request intercepts, the last of this priority.
    public var priority: Int32
    /// How it is called in errors about the request.
    package static let name = "skein-hints"
    package static let header = "x-nemo-relay-adaptive-agent-hints"

    package init(asker: (any HintAsker)?, priority: Int32 = 100) {
        self.asker = asker
        self.priority = priority
    }

    /// Asks nobody: only what was set by hand.
    public static func byHand(priority: Int32 = 100) -> RemoteHints { RemoteHints(asker: nil, priority: priority) }
}

/// Asks what is known about calls like one that has not begun.
package protocol HintAsker: Sendable {
    /// - Returns: nil when nothing is known, and when no answer came in time.
    func ask(_ question: HintQuestion) async -> AgentHints?
}
