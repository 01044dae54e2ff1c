internal import ATOF

/// What the assembler knows about a trajectory: while it is open, and for a while after, when late events still revise it.
struct TrackedTrajectory: Sendable {
    enum Phase: UInt8, Sendable {
        /// Never put out yet.
        case open
        /// Put out, and something came since.
        case revising
        case closed
    }

    /// What its opener waits for, having a parent that is not known.
    enum Hold: UInt8, Sendable {
        /// Nothing: the parent is the implicit root of the producer's stack, which never has events.
        case none
        /// For its parent, though nothing of its run is known here.
        case parent
        /// For its parent, in a run that is known.
        case run
    }

    struct Entry: Sendable {
        let uuid: EventUUID
        let kind: Event.Kind
        let reference: EventReference
        let isOrphan: Bool
        /// The index of the first entry with this UUID.
        var first: Int32
        var packed: [UInt8]?
    }

    let id: EventUUID
    let tenant: String
    /// Of the opening scope, cut to what a header may have.
    let name: String
    let root: EventUUID
    let parent: EventUUID?
    var hold = Hold.none
    var phase = Phase.open
    /// The one that was put out last; 0 is none.
    var revision: UInt64 = 0
    var openedAt: UInt64
    /// Of its opener, or of what was merged into it if that came earlier.
    var openedReference: EventReference
    /// Since when it has been open or revising, or closed.
    var since: UInt64
    var lastEventAt: UInt64
    /// When its opener's end came, or the first event that is later than that and its closing.
    var endedAt: UInt64?
    var entries: [Entry] = []
    var counts = FinishedTrajectory.Counts()
    /// Whether its progress was told.
    var hadProgress = false

    /// Packed bytes of its events, held or not.
    var bytes = 0
    /// Bytes of the payloads that are held.
    var heldBytes = 0
    /// Its payloads were too many to hold; they are read again.
    var isSpilled = false
    /// The time of its entry among the deadlines that counts.
    var scheduled: UInt64?

    var firstReference: EventReference? { entries.lazy.map(\.reference).min() }

    mutating func release() {
        guard heldBytes > 0 else { return }
        for index in entries.indices { entries[index].packed = nil }
        heldBytes = 0
    }

    /// When time alone changes something about it.
    func deadline(_ configuration: TrajectoryAssembler.Configuration) -> UInt64 {
        if phase == .closed { return TrackedTrajectory.sum(since, configuration.revise) }
        let age = TrackedTrajectory.sum(since, configuration.maximumAge)
        guard let endedAt else { return min(age, TrackedTrajectory.sum(lastEventAt, configuration.idle)) }
        switch hold {
        case .none: return min(age, TrackedTrajectory.sum(endedAt, configuration.linger))
        case .parent: return min(age, TrackedTrajectory.sum(lastEventAt, configuration.parentWait))
        case .run: return min(age, TrackedTrajectory.sum(lastEventAt, configuration.idle))
        }
    }

    /// Whether the entry, of the deadlines of closed trajectories or of the others, is the one that counts.
    func isScheduled(_ entry: DeadlineQueue.Entry, isClosed: Bool) -> Bool {
        (phase == .closed) == isClosed && scheduled == entry.time
    }

    /// What it is when it is closed now.
    func state(at now: UInt64, _ configuration: TrajectoryAssembler.Configuration) -> FinishedTrajectory.State {
        if endedAt != nil { return .complete }
        return .abandoned(now >= TrackedTrajectory.sum(lastEventAt, configuration.idle) ? .idle : .maximumAge)
    }

    static func sum(_ time: UInt64, _ duration: UInt64) -> UInt64 {
        let (sum, overflow) = time.addingReportingOverflow(duration)
        return overflow ? .max : sum
    }
}
