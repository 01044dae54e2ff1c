internal import ATOF

/// Which agent owns which event of a document (`atif-trajectories.md` 2.4).
struct AgentTree: Sendable {
    struct Node: Sendable {
        let start: ScopeEvent
        /// Index of the nearest agent above; nil at a root.
        var parent: Int?
        /// Ordered by start.
        var children: [Int] = []

        /// Whether the start says that another scope called this agent.
        var isReferenced: Bool { start.role == "subagent" || start.delegationID != nil }
    }

    private(set) var nodes: [Node] = []
    private var indices: [EventUUID: Int] = [:]
    private var ancestors: AncestorIndex
    private let compatibility: Compatibility
    /// The one that takes in what belongs to no agent; nil while the reference is followed.
    private var home: Int?

    /// Agents below this many others count as parts of the agent above them, so that no input nests documents without a
    /// bound. A document of that depth is still JSON that everybody reads.
    private static let maximumDepth = 100

    /// - Parameters:
    ///   - events: in order of time.
    ///   - id: of the trajectory: an agent's or a turn's if a dispatcher opened it.
    init(_ events: [ScopeEvent], id: String, compatibility: Compatibility) {
        self.compatibility = compatibility
        ancestors = AncestorIndex(events)
        var starts: [ScopeEvent] = []
        var seen: Set<EventUUID> = []
        for event in events where event.isStart && isNode(event) && seen.insert(event.uuid).inserted {
            starts.append(event)
        }
        link(starts)
        let shallow = nodes.indices.filter { depth(of: $0) <= AgentTree.maximumDepth }
        if shallow.count < nodes.count { link(shallow.map { starts[$0] }) }
        if !compatibility.isStrict { gather(id: id) }
        for (index, node) in nodes.enumerated() {
            if let parent = node.parent { nodes[parent].children.append(index) }
        }
    }

    /// A turn below an agent is transparent: its events are the agent's. One at the top counts as an agent, for the
    /// reference only if it has the category of one.
    private mutating func isNode(_ event: ScopeEvent) -> Bool {
        switch event.category {
        case .agent: return event.role != "turn" || !ancestors.hasAgent(above: event)
        case .custom: return !compatibility.isStrict && event.role == "turn" && !ancestors.hasOpener(above: event)
        case .function, .llm, .tool, .retriever, .embedder, .reranker, .guardrail, .evaluator, .unknown: return false
        }
    }

    /// Makes one tree of several: agents whose parents are not known belong to the trajectory's opener; without an opener
    /// they are one agent, which did one thing after the other.
    private mutating func gather(id: String) {
        let opener = EventUUID(id).flatMap { indices[$0] }
        home = opener ?? nodes.indices.first { nodes[$0].parent == nil }
        guard let home else { return }
        nodes[home].parent = nil
        for index in nodes.indices where index != home {
            if let parent = nodes[index].parent {
                if opener == nil, nodes[parent].parent == nil { nodes[index].parent = home }
            } else if opener != nil {
                nodes[index].parent = home
            }
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
        if event.category == .agent || event.category == .custom {
            if let own = indices[event.uuid] { return own }
            if event.category == .agent { return nil }
        }
        guard let node = ancestors.node(from: event.parent) else { return home }
        return home != nil && nodes[node].parent == nil ? home : node
    }

    /// The node that the trajectory's id names, or the only root; unless the reference is followed there is one whenever
    /// there are nodes.
    func root(id: String) -> Int? {
        if let home { return home }
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
    /// Agents and turns of any category.
    private var openers: Set<EventUUID> = []
    private var underAgent: [EventUUID: Bool] = [:]
    private var underOpener: [EventUUID: Bool] = [:]
    private var nodes: [EventUUID: Int] = [:]
    private var nearest: [EventUUID: Int?] = [:]

    init(_ events: [ScopeEvent]) {
        parents.reserveCapacity(events.count / 2 + 1)
        for event in events where event.isStart {
            if let parent = event.parent { parents[event.uuid] = parent }
            guard event.category == .agent || event.category == .custom else { continue }
            let isTurn = event.role == "turn"
            if event.category == .agent, !isTurn { agents.insert(event.uuid) }
            if event.category == .agent || isTurn { openers.insert(event.uuid) }
        }
    }

    mutating func setNodes(_ nodes: [EventUUID: Int]) {
        self.nodes = nodes
        nearest = [:]
    }

    mutating func hasAgent(above event: ScopeEvent) -> Bool {
        walk(from: event.parent, known: \.underAgent, top: false) { $0.agents.contains($1) ? true : nil }
    }

    mutating func hasOpener(above event: ScopeEvent) -> Bool {
        walk(from: event.parent, known: \.underOpener, top: false) { $0.openers.contains($1) ? true : nil }
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
        guard let uuid else { return top }
        if let answer = self[keyPath: known][uuid] ?? found(self, uuid) { return answer }
        var path: [EventUUID] = []
        var visited: Set<EventUUID> = []
        var answer = top
        var next: EventUUID? = uuid
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
