/// What became of the events that a trajectory assembler received; every event counts once, but for those in
/// `unavailable`.
package struct AssemblerCounts: Sendable, Hashable {
    /// Events that went into a trajectory.
    package internal(set) var accepted: UInt64 = 0
    /// Repeats of an event of an open trajectory.
    package internal(set) var duplicate: UInt64 = 0
    /// Events of no trajectory.
    package internal(set) var unowned: UInt64 = 0
    /// Events whose parent had ended before they arrived.
    package internal(set) var endedParent: UInt64 = 0
    /// Events of a trajectory that was closed before they arrived.
    package internal(set) var late: UInt64 = 0
    /// Events beyond the maximum of their trajectory.
    package internal(set) var overLimit: UInt64 = 0
    /// Accepted events that could not be read again after a restart.
    package internal(set) var unavailable: UInt64 = 0
    /// Trajectories closed by their opener's end.
    package internal(set) var completed: UInt64 = 0
    /// Trajectories closed because too many were open, or at the end of the input.
    package internal(set) var partial: UInt64 = 0

    static let fields: [any WritableKeyPath<AssemblerCounts, UInt64> & Sendable] = [
        \.accepted, \.duplicate, \.unowned, \.endedParent, \.late, \.overLimit, \.unavailable, \.completed, \.partial,
    ]
}
