import Stages
import Testing

@Suite("Membership")
struct MembershipMachineTests {
    private static let second: Int64 = 1_000_000_000

    private static func sighting(
        _ id: String, at seconds: Int64, leaving: Bool = false, settling: Bool = false
    ) -> MembershipMachine.Sighting {
        .init(
            member: .init(id: id, stages: ["process"]), isLeaving: leaving, isSettling: settling,
            announced: seconds * second)
    }

    private static func machine() -> MembershipMachine {
        MembershipMachine(id: "a", timeToLive: .seconds(4), partitions: 4)
    }

    @Test("owns everything when it is alone, at once")
    func alone() {
        var machine = Self.machine()
        #expect(machine.tasks(now: .zero).isEmpty)
        machine.renewed(sent: .zero, sightings: [Self.sighting("a", at: 100)], now: .milliseconds(5))
        #expect(machine.tasks(now: .milliseconds(5)).count == 4)
        #expect(machine.leaseEnd == .seconds(3))
    }

    @Test("shares with another, and counts neither a leaving one nor one whose time is over")
    func others() {
        var machine = Self.machine()
        machine.renewed(
            sent: .zero,
            sightings: [
                Self.sighting("a", at: 100), Self.sighting("b", at: 99), Self.sighting("c", at: 98, leaving: true),
                Self.sighting("d", at: 96),
            ], now: .zero)
        #expect(machine.tasks(now: .zero).count == 2)
        #expect(machine.alive == ["a", "b", "c"])
        // A leaving member still owns what it has not released.
        #expect(["", "a", "d", "unknown"].allSatisfy { machine.mayTake(from: $0) })
        #expect(["b", "c"].allSatisfy { !machine.mayTake(from: $0) })
    }

    @Test("stops when its renewal is late, and waits one time to live before it takes anything again")
    func lapse() {
        var machine = Self.machine()
        let sightings = [Self.sighting("a", at: 100)]
        machine.renewed(sent: .zero, sightings: sightings, now: .zero)
        let (early, late) = (machine.timePassed(now: .milliseconds(2999)), machine.timePassed(now: .seconds(3)))
        #expect(!early)
        #expect(late)
        #expect(machine.standing == .lapsed)
        let again = machine.timePassed(now: .seconds(9))
        #expect(!again)
        #expect(machine.tasks(now: .seconds(9)).isEmpty)
        machine.renewed(sent: .seconds(10), sightings: sightings, now: .seconds(10))
        #expect(machine.standing == .settling(until: .seconds(14)))
        machine.renewed(sent: .seconds(12), sightings: sightings, now: .seconds(12))
        #expect(machine.tasks(now: .seconds(12)).isEmpty)
        machine.renewed(sent: .seconds(14), sightings: sightings, now: .seconds(14))
        #expect(machine.tasks(now: .seconds(14)).count == 4)
    }

    @Test("notices by itself that it was stopped for longer than its lease")
    func paused() {
        var machine = Self.machine()
        let sightings = [Self.sighting("a", at: 100)]
        machine.renewed(sent: .zero, sightings: sightings, now: .zero)
        // Nobody looked at the clock for a minute: not even the tasks of before may be touched.
        #expect(machine.tasks(now: .seconds(60)).isEmpty)
        machine.renewed(sent: .seconds(60), sightings: sightings, now: .seconds(60))
        #expect(machine.standing == .settling(until: .seconds(64)))
    }

    @Test("does without a member that settles alone, and says so itself while it settles")
    func settlesAlone() {
        var machine = Self.machine()
        machine.renewed(
            sent: .zero, sightings: [Self.sighting("a", at: 100), Self.sighting("b", at: 100, settling: true)],
            now: .zero)
        #expect(!machine.announcesSettling)
        #expect(machine.tasks(now: .zero).count == 4)
        // It still has what its records name.
        #expect(!machine.mayTake(from: "b"))
        machine.renewed(
            sent: .seconds(1), sightings: [Self.sighting("a", at: 101), Self.sighting("b", at: 101)], now: .seconds(1))
        #expect(machine.tasks(now: .seconds(1)).count == 2)
    }

    @Test("shares with those that settle too when all have lapsed together, so that the first does not take everything")
    func settleTogether() {
        var machine = Self.machine()
        machine.renewed(sent: .zero, sightings: [Self.sighting("a", at: 100)], now: .zero)
        _ = machine.timePassed(now: .seconds(3))
        #expect(machine.announcesSettling)
        let both = [Self.sighting("a", at: 110, settling: true), Self.sighting("b", at: 110, settling: true)]
        machine.renewed(sent: .seconds(10), sightings: both, now: .seconds(10))
        machine.renewed(sent: .seconds(12), sightings: both, now: .seconds(12))
        machine.renewed(sent: .seconds(14), sightings: both, now: .seconds(14))
        #expect(machine.standing == .active)
        #expect(machine.tasks(now: .seconds(14)).count == 2)
        // Once the other is back too, one that settles has lapsed alone.
        let own = Self.sighting("a", at: 115)
        machine.renewed(sent: .seconds(15), sightings: [own, Self.sighting("b", at: 115)], now: .seconds(15))
        #expect(machine.tasks(now: .seconds(15)).count == 2)
        machine.renewed(
            sent: .seconds(16), sightings: [own, Self.sighting("b", at: 115, settling: true)], now: .seconds(16))
        #expect(machine.tasks(now: .seconds(16)).count == 4)
    }

    @Test("comes back behind those that went on without it, and takes its share of what they release")
    func settleBehindOthers() {
        var machine = Self.machine()
        machine.renewed(sent: .zero, sightings: [Self.sighting("a", at: 100)], now: .zero)
        _ = machine.timePassed(now: .seconds(3))
        let sightings = [
            Self.sighting("a", at: 110, settling: true), Self.sighting("b", at: 110),
            Self.sighting("c", at: 110, settling: true),
        ]
        for seconds in [10, 12, 14] {
            machine.renewed(sent: .seconds(seconds), sightings: sightings, now: .seconds(seconds))
        }
        // Of a and b; c is still settling.
        #expect(machine.tasks(now: .seconds(14)).count == 2)
    }

    @Test("does not count a renewal whose answer came too late")
    func slowAnswer() {
        var machine = Self.machine()
        machine.renewed(sent: .zero, sightings: [Self.sighting("a", at: 100)], now: .seconds(3))
        #expect(machine.standing == .lapsed)
        #expect(machine.tasks(now: .seconds(3)).isEmpty)
    }

    @Test("takes nothing while the bucket does not show it")
    func unseen() {
        var machine = Self.machine()
        machine.renewed(sent: .zero, sightings: [Self.sighting("b", at: 100)], now: .zero)
        #expect(machine.standing == .joining)
        #expect(machine.tasks(now: .zero).isEmpty)
    }
}
