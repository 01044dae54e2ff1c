package import ATOF

/// Which model calls bring a history that was not told before (`codecs-and-pricing.md` 6).
///
/// Every agent has a flag, set when it opens and by a compaction, and taken by the first model call after that. A root
/// counts as an agent, whatever it is.
package struct HistoryFreshness: Sendable {
    /// Of each open scope the nearest agent at or above it.
    private var owners: [EventUUID: EventUUID] = [:]
    /// Open agents, the innermost last; between them may be some that have ended, but not at the end.
    private var agents: [EventUUID] = []
    private var openAgents = 0
    private var fresh: Set<EventUUID> = []

    package init() {}

    package mutating func scopeStarted(_ uuid: EventUUID, parent: EventUUID?, isAgent: Bool) {
        if !isAgent, let owner = parent.flatMap({ owners[$0] }) {
            owners[uuid] = owner
            return
        }
        if owners.updateValue(uuid, forKey: uuid) != uuid {
            agents.append(uuid)
            openAgents += 1
        }
        fresh.insert(uuid)
    }

    package mutating func scopeEnded(_ uuid: EventUUID) {
        guard owners.removeValue(forKey: uuid) == uuid else { return }
        fresh.remove(uuid)
        openAgents -= 1
        while let last = agents.last, !isOpen(last) { agents.removeLast() }
        // Those that ended out of order; at most as much work as there were ends since the last time.
        if agents.count > 2 * openAgents + 16 { agents = agents.filter(isOpen) }
    }

    private func isOpen(_ agent: EventUUID) -> Bool { owners[agent] == agent }

    package mutating func markReceived(name: String, parent: EventUUID?) {
        if name == "compaction", let owner = owner(below: parent) { fresh.insert(owner) }
    }

    /// - Returns: whether the call is the first that tells the history. Asking takes the flag, so ask for calls without a
    ///   normalised request too.
    package mutating func modelCallStarted(parent: EventUUID?) -> Bool {
        owner(below: parent).map { fresh.remove($0) != nil } ?? false
    }

    /// The innermost open agent when the parent is not known.
    private func owner(below parent: EventUUID?) -> EventUUID? { parent.flatMap { owners[$0] } ?? agents.last }
}
