/// What became of the events that a trajectory assembler received. Every event counts once under `accepted` or one of the reasons behind
/// it, when that is decided.
package struct AssemblerCounts: Sendable, Hashable {
    /// Events that went into a trajectory.
    package internal(set) var accepted: UInt64 = 0
    /// Repeats of an event of a trajectory or of one that waits.
    package internal(set) var duplicate: UInt64 = 0
    /// Events of no trajectory.
    package internal(set) var unowned: UInt64 = 0
    /// Events whose parent had ended before they arrived; by the reference's rules only.
    package internal(set) var endedParent: UInt64 = 0
    /// Events of a trajectory that was closed so long ago that it is no longer revised.
    package internal(set) var late: UInt64 = 0
    /// Events beyond the maximum of their trajectory.
    package internal(set) var overLimit: UInt64 = 0
    /// Events that waited for their parent when too many did.
    package internal(set) var orphanLimit: UInt64 = 0

    /// Accepted events that came after their trajectory was closed, and revised it.
    package internal(set) var revising: UInt64 = 0
    /// Accepted events whose parents never came.
    package internal(set) var orphaned: UInt64 = 0

    /// Trajectories closed after their opener's end; every revision counts.
    package internal(set) var completed: UInt64 = 0
    /// Trajectories closed because nothing came for too long.
    package internal(set) var abandonedIdle: UInt64 = 0
    /// Trajectories closed because they were open for too long.
    package internal(set) var abandonedAge: UInt64 = 0
    /// Trajectories closed because too many were open.
    package internal(set) var abandonedOpen: UInt64 = 0
    /// Trajectories closed at the end of the input.
    package internal(set) var partial: UInt64 = 0
    /// Trajectories that became part of another one, whose opener turned out to be their opener's ancestor.
    package internal(set) var merged: UInt64 = 0
    /// Closed trajectories that were forgotten before their time because there were too many.
    package internal(set) var forgottenEarly: UInt64 = 0

    package init() {}

    static let fields: [any WritableKeyPath<AssemblerCounts, UInt64> & Sendable] = [
        \.accepted, \.duplicate, \.unowned, \.endedParent, \.late, \.overLimit, \.orphanLimit, \.revising, \.orphaned,
        \.completed, \.abandonedIdle, \.abandonedAge, \.abandonedOpen, \.partial, \.merged, \.forgottenEarly,
    ]
}
