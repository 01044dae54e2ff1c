/// Decides whether a member may own tasks, and which. Pure: time comes in as `now`, on a monotonic clock.
///
/// A member renews its announcement, which lives for `timeToLive` on the server. It counts the age of a renewal from the moment at which
/// it was sent, so its own lease always ends before the others see it gone; and it stops a margin earlier. Whoever let its lease lapse
/// waits one time to live after the next renewal before it takes anything: after an outage of the broker all announcements are gone, and
/// the first to come back would take everything.
package struct MembershipMachine: Sendable {
    /// Another member, or this one, as the bucket shows it.
    package struct Sighting: Sendable, Hashable {
        package let member: Assignment.Member
        /// It hands its tasks over and takes none.
        package let isLeaving: Bool
        /// Its lease has lapsed, and it takes nothing for a while.
        package let isSettling: Bool
        /// When the server stored the announcement, nanoseconds since 1970.
        package let announced: Int64
        /// The machine on which it runs, for people; empty when it does not say.
        package let host: String
        /// What tells its policy from another one; nil when it does not say.
        package let policy: String?

        package init(
            member: Assignment.Member, isLeaving: Bool, isSettling: Bool = false, announced: Int64, host: String = "",
            policy: String? = nil
        ) {
            self.host = host
            self.policy = policy
            self.member = member
            self.isLeaving = isLeaving
            self.isSettling = isSettling
            self.announced = announced
        }
    }

    package enum Standing: Sendable, Hashable {
        /// Not announced yet.
        case joining
        /// Announced again after a lapse, and waiting for the others to be too.
        case settling(until: Duration)
        case active
        /// The renewal is late: nothing is owned.
        case lapsed
    }

    package let id: String
    private let timeToLive: Duration
    private let partitions: Int
    package private(set) var standing = Standing.joining
    /// Members whose announcement lives, leaving ones too: whose tasks must not be taken.
    package private(set) var alive: Set<String> = []
    /// What the living members run.
    package private(set) var stages: Set<String> = []
    /// Nobody was seen whose lease had not lapsed too, since this one's had: it was the broker that was away, and those that settle will be
    /// back at the same time. Whoever lapsed alone is done without meanwhile.
    private var lapsedTogether = false
    private var lastRenewal: Duration?
    private var assignment = Assignment(partitions: 0, members: [])

    package init(id: String, timeToLive: Duration, partitions: Int) {
        self.id = id
        self.timeToLive = timeToLive
        self.partitions = partitions
    }

    /// A quarter of the time to live: for requests that are under way when the lease ends.
    private var margin: Duration { timeToLive / 4 }

    /// When the lease ends unless it is renewed; nil without one.
    package var leaseEnd: Duration? {
        switch standing {
        case .active, .settling: lastRenewal.map { $0 + timeToLive - margin }
        case .joining, .lapsed: nil
        }
    }

    package func isLeaseValid(now: Duration) -> Bool { leaseEnd.map { now < $0 } ?? false }

    /// The announcement was renewed, and the bucket read after that.
    ///
    /// - Parameter sent: when the renewal was sent.
    package mutating func renewed(sent: Duration, sightings: [Sighting], now: Duration) {
        // The lease may have ended without anybody looking.
        if standing == .active || isSettling, !isLeaseValid(now: now) { standing = .lapsed }
        if standing == .lapsed { lapsedTogether = true }
        lastRenewal = sent
        guard let own = sightings.first(where: { $0.member.id == id }) else { return }
        // The server's own clock on both sides. What it has not removed yet although its time is over counts as gone.
        let (seconds, attoseconds) = timeToLive.components
        let oldest = own.announced - (seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        let living = sightings.filter { $0.announced > oldest }
        alive = Set(living.map(\.member.id))
        stages = living.reduce(into: []) { $0.formUnion($1.member.stages) }
        let others = living.filter { $0.member.id != id && !$0.isLeaving }
        let settling = others.filter(\.isSettling)
        if standing == .active ? settling.isEmpty : settling.count < others.count { lapsedTogether = false }
        let counted = others.filter { !$0.isSettling || lapsedTogether } + (own.isLeaving ? [] : [own])
        assignment = Assignment(partitions: partitions, members: counted.map(\.member))
        switch standing {
        case .joining: standing = .active
        case .lapsed: standing = .settling(until: now + timeToLive)
        case .settling(let until): if now >= until { standing = .active }
        case .active: break
        }
        if !isLeaseValid(now: now) { standing = .lapsed }
    }

    /// - Returns: whether the lease has ended just now: every task must stop at once.
    package mutating func timePassed(now: Duration) -> Bool {
        guard let leaseEnd, now >= leaseEnd else { return false }
        standing = .lapsed
        return true
    }

    /// Whether its announcement says that it takes nothing for now.
    package var announcesSettling: Bool { standing == .lapsed || isSettling }

    private var isSettling: Bool { if case .settling = standing { true } else { false } }

    /// What this member is to work on now.
    package func tasks(now: Duration) -> Set<Assignment.Task> {
        standing == .active && isLeaseValid(now: now) ? assignment.tasks(of: id) : []
    }

    /// Who is to do something that all members could do; nil while nobody known can.
    package func owner(of task: Assignment.Task) -> String? { assignment[task] }

    /// Whether a task may be taken whose record names an owner: it released the task, is this member, or is gone.
    package func mayTake(from owner: String) -> Bool { owner.isEmpty || owner == id || !alive.contains(owner) }
}
