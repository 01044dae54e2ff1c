/// Names of stages, and what they say about their tasks.
package enum StageName {
    /// What a member that answers agents before they act announces. It has no tasks: who counts a tenant's budgets is computed as if it had.
    package static let guarding = "guard"

    /// The stage that learns from the runs of agents.
    package static let learning = "learn"

    /// The stage that brings trajectories to a destination.
    package static func store(_ name: String) -> String { "store-\(name)" }

    /// Whether a stage reads TRAJECTORIES; all others read EVENTS or PROCESSED.
    package static func isStore(_ stage: some StringProtocol) -> Bool { stage.hasPrefix("store-") }

    /// How many tasks a stage has. A store has one: TRAJECTORIES has no partitions.
    ///
    /// - Parameter partitions: of EVENTS and PROCESSED.
    package static func taskCount(of stage: some StringProtocol, partitions: Int) -> Int {
        isStore(stage) ? 1 : partitions
    }
}
