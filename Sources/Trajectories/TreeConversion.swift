internal import ATOF

/// The conversion of a document whose events all belong to one tree of agents: a trajectory for each, embedded in the
/// one above (`atif-trajectories.md` 2.4, 3.8).
struct TreeConversion: Sendable {
    private let tree: AgentTree
    private let root: Int
    private let inputs: [[StepMachine.Input]]
    /// Why agents failed, by their own ends.
    private let failures: [Int: CallFailure]
    private let sessionID: String
    private let trajectoryID: String
    private let agent: JSONValue
    private let index: ScopeIndex
    private let duplicates: DuplicateCalls

    /// - Returns: nil unless there is a root and every model call and tool end has an owner.
    init?(
        _ events: [ScopeEvent], sessionID: String, trajectoryID: String, agent: JSONValue, index: ScopeIndex,
        duplicates: DuplicateCalls
    ) {
        var tree = AgentTree(events, id: trajectoryID, compatibility: index.compatibility)
        guard let root = tree.root(id: trajectoryID) else { return nil }
        var inputs = tree.nodes.map { _ in [StepMachine.Input]() }
        // A start that is said twice starts one agent.
        var dispatched: Set<Int> = []
        var failures: [Int: CallFailure] = [:]
        for event in events {
            let owner = tree.owner(of: event)
            if let owner, tree.nodes[owner].start.uuid == event.uuid {
                // Agents without a common one are one agent.
                let isOther = tree.nodes[owner].parent == nil && owner != root
                if let failure = event.failure {
                    if !isOther {
                        failures[owner] = failure
                    } else if failures[root] == nil {
                        failures[root] = CallFailure(failure, of: event.name)
                    }
                }
                if isOther, event.isStart, !index.compatibility.isStrict { inputs[root].append(.scope(event)) }
                guard event.isStart, let parent = tree.nodes[owner].parent else { continue }
                if !index.compatibility.isStrict, !dispatched.insert(owner).inserted { continue }
                inputs[parent].append(.subagent(event))
            } else if event.category == .agent {
                continue
            } else if let owner {
                inputs[owner].append(.scope(event))
            } else if event.category == .llm || event.category == .tool && !event.isStart {
                return nil
            }
        }
        self.tree = tree
        self.root = root
        self.inputs = inputs
        self.failures = failures
        self.sessionID = sessionID
        self.trajectoryID = trajectoryID
        self.agent = agent
        self.index = index
        self.duplicates = duplicates
    }

    var document: JSONDraft.Object {
        document(of: root, sessionID: sessionID, trajectoryID: trajectoryID).document
    }

    private struct Built {
        let document: JSONDraft.Object
        let hasSteps: Bool
        /// With those of what is embedded, unless the reference is followed.
        let metrics: FinalMetrics
    }

    private func document(of node: Int, sessionID: String, trajectoryID: String) -> Built {
        let isStrict = index.compatibility.isStrict
        var machine = StepMachine(index: index, duplicates: duplicates, events: inputs[node].lazy.compactMap(\.scope))
        machine.reserve(events: inputs[node].count)
        for input in inputs[node] { machine.receive(input) }
        var embedded: [JSONDraft] = []
        var kept: Set<EventUUID> = []
        var embeddedMetrics: [FinalMetrics] = []
        for child in tree.nodes[node].children {
            let start = tree.nodes[child].start
            let built = document(
                of: child, sessionID: start.sessionID ?? self.sessionID, trajectoryID: start.uuid.description)
            // The schema has no trajectory without steps.
            if built.hasSteps || isStrict && !tree.nodes[child].isReferenced {
                embedded.append(.object(built.document))
                embeddedMetrics.append(built.metrics)
                kept.insert(start.uuid)
            }
        }
        var steps: [Step]
        let agents: [AgentStep]
        (steps, agents) = machine.finish()
        TreeConversion.prune(&steps, kept: kept)
        let extra = extra(of: node)
        if steps.isEmpty, !isStrict, node == root || !extra.isEmpty {
            steps = [TrajectoryBuilder.placeholder(at: tree.nodes[node].start.time)]
        }
        var metrics = FinalMetrics(of: steps, index.compatibility)
        if !isStrict { for other in embeddedMetrics { metrics.add(other) } }
        var document = TrajectoryBuilder.document(
            sessionID: sessionID, trajectoryID: trajectoryID, agent: agent(of: node), steps: steps, agents: agents,
            metrics: metrics, extra: extra, index: index)
        if !embedded.isEmpty {
            document["subagent_trajectories"] = .array(embedded)
            if !isStrict { document["notes"] = .value("The totals include the embedded subagent trajectories.") }
        }
        return Built(document: document, hasSteps: !steps.isEmpty, metrics: metrics)
    }

    /// Why the agent failed, and what did not end of it, itself included.
    private func extra(of node: Int) -> JSONObject {
        var extra = index.extra(ofUnended: [tree.nodes[node].start] + inputs[node].lazy.compactMap(\.scope))
        if !index.compatibility.isStrict { extra["error"] = failures[node]?.json }
        return extra
    }

    /// As configured, but a subagent has the name of its own; the reference gives it the root's.
    private func agent(of node: Int) -> JSONValue {
        guard node != root, !index.compatibility.isStrict, case .object(var object) = agent else { return agent }
        object["name"] = .string(tree.nodes[node].start.name)
        return .object(object)
    }

    /// Without references to trajectories that are not embedded, and what is empty without them.
    private static func prune(_ steps: inout [Step], kept: Set<EventUUID>) {
        // In place: most steps stay as they are.
        for index in steps.indices where !steps[index].results.isEmpty {
            for result in steps[index].results.indices where !steps[index].results[result].references.isEmpty {
                steps[index].results[result].references.removeAll { !kept.contains($0.uuid) }
            }
            steps[index].results.removeAll(where: \.isEmpty)
        }
        let empty = steps.indices.filter { index in
            let isFiller =
                steps[index].source == .system || steps[index].source == .agent && steps[index].llmCallCount == 0
            return isFiller && steps[index].extra == nil && steps[index].results.isEmpty
                && steps[index].message == ""
        }
        if empty.isEmpty { return }
        let removed = Set(empty)
        steps = steps.indices.filter { !removed.contains($0) }.map { steps[$0] }
    }
}

extension StepMachine.Input {
    var scope: ScopeEvent? { if case .scope(let event) = self { event } else { nil } }
}
