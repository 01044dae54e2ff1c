package import ATOF

/// Tells which processed events belong to runs of one agent: the first agent that begins in a run says whose it is. A pure state machine.
///
/// A run whose agent has begun before the first event that comes here is nobody's. Bound: so many runs are remembered, the newest.
package struct AgentRuns: Sendable {
    private struct Run: Sendable, Hashable {
        let tenant: String
        let root: EventUUID
    }

    private let agent: String
    private let limit: Int
    private var isTheirs: [Run: Bool] = [:]
    private var order: [Run] = []
    private var oldest = 0

    package init(agent: String, limit: Int = 65_536) {
        self.agent = agent
        self.limit = limit
    }

    /// Takes an event, in the order in which its run goes.
    ///
    /// - Returns: whether it is of the agent's run.
    package mutating func receive(_ event: Event, tenant: String) -> Bool {
        let run = Run(tenant: tenant, root: event.rootUUID ?? event.uuid)
        if let isKnown = isTheirs[run] { return isKnown }
        guard event.kind == .scopeStart, event.category?.raw == "agent" else { return false }
        remember(run)
        isTheirs[run] = event.name == agent
        return event.name == agent
    }

    private mutating func remember(_ run: Run) {
        if order.count < limit {
            order.append(run)
        } else {
            isTheirs[order[oldest]] = nil
            order[oldest] = run
            oldest = (oldest + 1) % limit
        }
    }
}
