internal import ATOF

/// The conversion of a document whose events all belong to one tree of agents: a trajectory for each, embedded in the
/// one above (`atif-trajectories.md` 2.4, 3.8).
struct TreeConversion: Sendable {
    private let tree: AgentTree
    private let root: Int
    private let inputs: [[StepMachine.Input]]
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
        var tree = AgentTree(events)
        guard let root = tree.root(id: trajectoryID) else { return nil }
        var inputs = tree.nodes.map { _ in [StepMachine.Input]() }
        for event in events {
            let owner = tree.owner(of: event)
            if event.category == .agent {
                guard event.isStart, let node = owner, let parent = tree.nodes[node].parent else { continue }
                inputs[parent].append(.subagent(event))
            } else if let owner {
                inputs[owner].append(.scope(event))
            } else if event.category == .llm || event.category == .tool && !event.isStart {
                return nil
            }
        }
        self.tree = tree
        self.root = root
        self.inputs = inputs
        self.sessionID = sessionID
        self.trajectoryID = trajectoryID
        self.agent = agent
        self.index = index
        self.duplicates = duplicates
    }

    var document: JSONObject {
        document(of: root, sessionID: sessionID, trajectoryID: trajectoryID).document
    }

    /// - Returns: also whether the trajectory has steps.
    private func document(of node: Int, sessionID: String, trajectoryID: String) -> (
        document: JSONObject, hasSteps: Bool
    ) {
        var machine = StepMachine(index: index, duplicates: duplicates, events: inputs[node].compactMap(\.scope))
        for input in inputs[node] { machine.receive(input) }
        var embedded: [JSONValue] = []
        var kept: Set<EventUUID> = []
        for child in tree.nodes[node].children {
            let start = tree.nodes[child].start
            let (document, hasSteps) = document(
                of: child, sessionID: start.sessionID ?? self.sessionID, trajectoryID: start.uuid.description)
            if hasSteps || !tree.nodes[child].isReferenced {
                embedded.append(.object(document))
                kept.insert(start.uuid)
            }
        }
        let steps = TreeConversion.pruned(machine.finish(), kept: kept)
        var document = TrajectoryBuilder.document(
            sessionID: sessionID, trajectoryID: trajectoryID, agent: agent, steps: steps)
        if !embedded.isEmpty { document["subagent_trajectories"] = .array(embedded) }
        return (document, !steps.isEmpty)
    }

    /// Without references to trajectories that are not embedded, and what is empty without them.
    private static func pruned(_ steps: [Step], kept: Set<EventUUID>) -> [Step] {
        steps.compactMap { step in
            var step = step
            for index in step.results.indices { step.results[index].references.removeAll { !kept.contains($0.uuid) } }
            step.results.removeAll(where: \.isEmpty)
            let isFiller = step.source == .system || step.source == .agent && step.llmCallCount == 0
            return isFiller && step.message == "" && step.results.isEmpty && step.extra == nil ? nil : step
        }
    }
}

extension StepMachine.Input {
    var scope: ScopeEvent? { if case .scope(let event) = self { event } else { nil } }
}
