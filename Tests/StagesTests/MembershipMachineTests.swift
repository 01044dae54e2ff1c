import Stages
import Testing

@Suite("Membership")
struct MembershipMachineTests {
    private static let second: Int64 = 1_000_000_000

    private static func sighting(_ id: String, at seconds: Int64, leaving: Bool = false) -> MembershipMachine.Sighting {
        .init(member: .init(id: id, stages: ["process"]), isLeaving: leaving, announced: seconds * second)
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
