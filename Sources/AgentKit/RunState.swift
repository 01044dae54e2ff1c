internal import ATOF
internal import AgentEvents
internal import LLMCodecs
internal import Synchronization

/// What the scopes of one stack share.
final class RunState: Sendable {
    private let freshness = Mutex(HistoryFreshness())
    private let registered = Atomic(false)
    /// Of open agents, by the names of their model calls.
    private let calls = Mutex<[EventUUID: [String: UInt32]]>([:])

    /// Whether a scope of the stack has ever registered something: seldom, and then nobody has to look for it.
    var hasRegistrations: Bool { registered.load(ordering: .acquiring) }

    func noteRegistration() { registered.store(true, ordering: .releasing) }

    func scopeStarted(_ frame: ScopeFrame) {
        freshness.withLock { $0.scopeStarted(frame.uuid, parent: frame.parentUUID, isAgent: frame.isAgent) }
    }

    func scopeEnded(_ frame: ScopeFrame) {
        freshness.withLock { $0.scopeEnded(frame.uuid) }
        if frame.isAgent { calls.withLock { $0[frame.uuid] = nil } }
    }

    /// - Returns: how often a model was called by this name within the innermost agent, with this time.
    func nextCallIndex(of name: String, below frame: ScopeFrame) -> UInt32 {
        let owner = frame.agents.first { _ in true }?.uuid ?? frame.run
        return calls.withLock { calls in
            calls[owner, default: [:]][name, default: 0] += 1
            return calls[owner]?[name] ?? 1
        }
    }

    /// The history of the agent was made shorter: the next model call tells all that is left.
    func compacted(below frame: ScopeFrame) {
        freshness.withLock { $0.markReceived(name: "compaction", parent: frame.uuid) }
    }

    /// - Returns: whether the model call that starts now is the first of its agent since then; no other one is told so.
    func takesHistory(below frame: ScopeFrame) -> Bool {
        freshness.withLock { $0.modelCallStarted(parent: frame.uuid) }
    }
}
