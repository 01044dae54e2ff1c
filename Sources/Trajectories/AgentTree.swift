internal import ATOF

/// Which agent owns which event of a document (`atif-trajectories.md` 2.4).
struct AgentTree: Sendable {
    struct Node: Sendable {
        let start: ScopeEvent
        /// Index of the nearest agent above; nil at a root.
        let parent: Int?
        /// Ordered by start.
        var children: [Int] = []

        /// Whether the start says that another scope called this agent.
        var isReferenced: Bool { start.role == "subagent" || start.delegationID != nil }
    }

    private(set) var nodes: [Node] = []
    private var indices: [EventUUID: Int] = [:]
    private var ancestors: AncestorIndex

    /// Agents below this many others count as parts of the agent above them, so that no input nests documents without a
    /// bound.
    private static let maximumDepth = 32

    /// - Parameter events: in order of time.
    init(_ events: [ScopeEvent]) {
        ancestors = AncestorIndex(events)
        var starts: [ScopeEvent] = []
        var seen: Set<EventUUID> = []
        for event in events where event.isStart && event.category == .agent && seen.insert(event.uuid).inserted {
            // A turn below an agent is transparent: its events are the agent's.
            if event.role == "turn", ancestors.hasAgent(above: event) { continue }
            starts.append(event)
        }
        link(starts)
        let shallow = nodes.indices.filter { depth(of: $0) <= AgentTree.maximumDepth }
        if shallow.count < nodes.count { link(shallow.map { starts[$0] }) }
        for (index, node) in nodes.enumerated() {
            if let parent = node.parent { nodes[parent].children.append(index) }
        }
    }

    private mutating func link(_ starts: [ScopeEvent]) {
        indices = [:]
        for (index, start) in starts.enumerated() { indices[start.uuid] = index }
        ancestors.setNodes(indices)
        nodes = starts.map { start in Node(start: start, parent: ancestors.node(from: start.parent)) }
    }

    /// The number of nodes above one, counted no further than beyond the maximum: agents can name each other as
    /// parents.
    private func depth(of index: Int) -> Int {
        var depth = 0
        var next = nodes[index].parent
        while let parent = next, depth <= AgentTree.maximumDepth {
            depth += 1
            next = nodes[parent].parent
        }
        return depth
    }

    /// The node that steps of an event belong to.
    mutating func owner(of event: ScopeEvent) -> Int? {
        event.category == .agent ? indices[event.uuid] : ancestors.node(from: event.parent)
    }

    /// The node that the trajectory's id names, or the only root.
    func root(id: String) -> Int? {
        if let uuid = EventUUID(id), let index = indices[uuid] { return index }
        let roots = nodes.indices.filter { nodes[$0].parent == nil }
        return roots.count == 1 ? roots[0] : nil
    }
}

/// Looks up the parent chains of scopes; every scope is walked once, and cycles end a walk.
private struct AncestorIndex: Sendable {
    private var parents: [EventUUID: EventUUID] = [:]
    /// Agents that are no turns.
    private var agents: Set<EventUUID> = []
    private var underAgent: [EventUUID: Bool] = [:]
    private var nodes: [EventUUID: Int] = [:]
    private var nearest: [EventUUID: Int?] = [:]

    init(_ events: [ScopeEvent]) {
        for event in events where event.isStart {
            if let parent = event.parent { parents[event.uuid] = parent }
            if event.category == .agent, event.role != "turn" { agents.insert(event.uuid) }
        }
    }

    mutating func setNodes(_ nodes: [EventUUID: Int]) {
        self.nodes = nodes
        nearest = [:]
    }

    mutating func hasAgent(above event: ScopeEvent) -> Bool {
        walk(from: event.parent, known: \.underAgent, top: false) { $0.agents.contains($1) ? true : nil }
    }

    /// The nearest node at a scope or above it.
    mutating func node(from uuid: EventUUID?) -> Int? {
        walk(from: uuid, known: \.nearest, top: nil) { $0.nodes[$1].map { .some($0) } }
    }

    /// Walks up until `found` or an earlier walk has the answer, and remembers it for every scope on the way.
    private mutating func walk<Answer>(
        from uuid: EventUUID?, known: WritableKeyPath<AncestorIndex, [EventUUID: Answer]>, top: Answer,
        found: (AncestorIndex, EventUUID) -> Answer?
    ) -> Answer {
        var path: [EventUUID] = []
        var visited: Set<EventUUID> = []
        var answer = top
        var next = uuid
        while let uuid = next, visited.insert(uuid).inserted {
            if let known = self[keyPath: known][uuid] ?? found(self, uuid) {
                answer = known
                break
            }
            path.append(uuid)
            next = parents[uuid]
        }
        for uuid in path { self[keyPath: known][uuid] = answer }
        return answer
    }
}
