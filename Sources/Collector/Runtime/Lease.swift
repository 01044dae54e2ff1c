internal import Stages
internal import Synchronization

/// What a member knows of itself and the others, for everybody in the process who must know whether it may still act.
package final class Lease: Sendable {
    private let machine: Mutex<MembershipMachine>
    private let origin = ContinuousClock.now

    init(_ machine: MembershipMachine) { self.machine = Mutex(machine) }

    /// For whoever shares the tasks with nobody, such as a benchmark: takes what it finds, for a year.
    ///
    /// - Parameter others: members that live, whose tasks it does not take.
    package static func alone(_ id: String, beside others: [String] = []) -> Lease {
        var machine = MembershipMachine(id: id, timeToLive: .seconds(365 * 86_400), partitions: 1)
        let sightings = ([id] + others).map { id in
            MembershipMachine.Sighting(member: .init(id: id, stages: []), isLeaving: false, announced: 0)
        }
        machine.renewed(sent: .zero, sightings: sightings, now: .zero)
        return Lease(machine)
    }

    /// Whether this member may write for its tasks now. Never waits.
    var isValid: Bool { machine.withLock { $0.isLeaseValid(now: now) } }

    var standing: MembershipMachine.Standing { machine.withLock { $0.standing } }

    /// Whether the announcement has to say that this member takes nothing for now.
    var announcesSettling: Bool { machine.withLock { $0.announcesSettling } }

    /// Whether a living member runs the stage.
    func runs(stage: String) -> Bool { machine.withLock { $0.stages.contains(stage) } }

    /// Ids of the members that live, this one among them.
    var members: Set<String> { machine.withLock { $0.alive } }

    /// What this member is to work on now.
    var tasks: Set<Assignment.Task> { machine.withLock { $0.tasks(now: now) } }

    /// Who of the members that were seen last is to do something that all could do.
    func owner(of task: Assignment.Task) -> String? { machine.withLock { $0.owner(of: task) } }

    /// How long the lease is still good; nil without one.
    var remaining: Duration? { machine.withLock { machine in machine.leaseEnd.map { $0 - now } } }

    /// Whether a task may be taken whose record names an owner. Without a lease nothing may: who lives now is not known then.
    func mayTake(from owner: String) -> Bool {
        machine.withLock { $0.isLeaseValid(now: now) && $0.mayTake(from: owner) }
    }

    func renewed(sent: ContinuousClock.Instant, sightings: [MembershipMachine.Sighting]) {
        machine.withLock { $0.renewed(sent: sent - origin, sightings: sightings, now: now) }
    }

    /// - Returns: whether the lease has ended just now.
    func timePassed() -> Bool { machine.withLock { $0.timePassed(now: now) } }

    private var now: Duration { ContinuousClock.now - origin }
}
