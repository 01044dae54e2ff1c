import ATOF
import Testing

@testable import Trajectories

@Suite("Trajectory assembler, in any order")
struct TolerantAssemblyTests {
    private static func start(_ number: Int, in parent: Int?, _ category: String = "function", root: Int = 1)
        -> EventFields
    {
        Sample.fields(.scopeStart, number, in: parent, category).of(root: root)
    }

    private static func end(_ number: Int, in parent: Int?, _ category: String = "function", root: Int = 1)
        -> EventFields
    {
        Sample.fields(.scopeEnd, number, in: parent, category).of(root: root)
    }

    private static func mark(_ number: Int, in parent: Int?, root: Int = 1) -> EventFields {
        Sample.fields(.mark, number, in: parent).of(root: root)
    }

    /// A run of an agent, a tool below it, and a call below that.
    private static let run = [
        start(1, in: 90, "agent"), start(2, in: 1, "tool"), start(3, in: 2, "llm"), mark(4, in: 3),
        end(3, in: 2, "llm"),
        end(2, in: 1, "tool"), end(1, in: 90, "agent"),
    ]

    private static func permutations(_ count: Int) -> [[Int]] {
        if count == 0 { return [[]] }
        return permutations(count - 1).flatMap { rest in
            (0...rest.count).map { place in
                var order = rest
                order.insert(count - 1, at: place)
                return order
            }
        }
    }

    @Test("makes one trajectory of a run in every order of its events, each event twice")
    func everyOrder() throws {
        for order in Self.permutations(Self.run.count) {
            var assembly = Assembly()
            assembly.wait(until: 1)
            for index in order { try assembly.send(Self.run[index]) }
            for index in order { try assembly.send(Self.run[index]) }
            assembly.wait(until: 4)
            try #require(assembly.finished.map(\.id) == [Sample.uuid(1)], "\(order)")
            try #require(assembly.finished[0].sequences == Array(1...7), "\(order)")
            try #require(assembly.finished[0].state == .complete)
            try #require(assembly.finished[0].counts.orphaned == 0)
            try #require(assembly.assembler.counts.duplicate == 7)
            try #require(assembly.settled == (7, 7))
        }
    }

    @Test("waits for stragglers after the opener's end, and not longer")
    func linger() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(Self.start(1, in: 90, "agent"), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 2.9)
        try assembly.send(Self.mark(2, in: 1))
        #expect(assembly.finished.isEmpty)
        #expect(assembly.deadline() == 3)
        assembly.wait(until: 3)
        #expect(assembly.finished.map(\.sequences) == [[1, 2, 3]])
        // Nobody waits for it to be forgotten.
        #expect(assembly.deadline() == nil)
    }

    @Test("revises a closed trajectory when something late comes, and counts what is too late")
    func revisions() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(Self.start(1, in: 90, "agent"), Self.start(2, in: 1), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 10)
        #expect(assembly.takeFinished().map(\.revision) == [1])
        try assembly.send(Self.start(2, in: 1))
        assembly.wait(until: 20)
        #expect(assembly.finished.isEmpty)
        try assembly.restart()
        try assembly.send(Self.end(2, in: 1), Self.mark(3, in: 2))
        assembly.wait(until: 21.9)
        #expect(assembly.finished.isEmpty)
        assembly.wait(until: 22)
        let second = try #require(assembly.takeFinished().first)
        #expect(second.id == Sample.uuid(1))
        #expect(second.revision == 2)
        #expect(second.state == .complete)
        #expect(second.sequences == [1, 2, 3, 5, 6])
        #expect(second.counts.duplicate == 1)
        #expect(second.counts.late == 2)
        #expect(second.members.allSatisfy { $0.packed == nil })
        assembly.wait(until: 82)
        try assembly.send(Self.mark(4, in: 2), Self.mark(5, in: 1), Self.start(1, in: 90, "agent"))
        assembly.wait(until: 1000)
        #expect(assembly.finished.isEmpty)
        #expect(assembly.assembler.counts.late == 3)
        #expect(assembly.settled == (5, 4))
    }

    @Test("takes a late event whose parent never comes into the closed trajectory of its run")
    func lateOrphan() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(Self.start(1, in: 90, "agent"), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 10)
        try assembly.send(Self.mark(5, in: 77))
        assembly.wait(until: 12)
        #expect(assembly.finished.map(\.revision) == [1, 2])
        #expect(assembly.finished.last?.counts.orphaned == 1)
    }

    enum Abandoning: CaseIterable { case idle, maximumAge, maximumOpen }

    @Test("abandons what does not end, and revises it when it goes on", arguments: Abandoning.allCases)
    func abandoning(_ how: Abandoning) throws {
        var configuration = Assembly.configuration
        if how == .maximumOpen { configuration.maximumOpen = 1 }
        var assembly = Assembly(configuration)
        assembly.wait(until: 1)
        try assembly.send(Self.start(1, in: 90, "agent"))
        let reason: FinishedTrajectory.Reason
        switch how {
        case .idle:
            reason = .idle
            assembly.wait(until: 30.9)
            #expect(assembly.finished.isEmpty)
            assembly.wait(until: 31)
        case .maximumAge:
            reason = .maximumAge
            for time in 1..<30 {
                assembly.wait(until: Double(time * 10))
                try assembly.send(Self.mark(100 + time, in: 1))
            }
            #expect(assembly.finished.isEmpty)
            assembly.wait(until: 301)
        case .maximumOpen:
            reason = .maximumOpen
            try assembly.send(Self.start(2, in: 90, "agent", root: 2))
        }
        #expect(assembly.takeFinished().map(\.state) == [.abandoned(reason)])
        try assembly.restart()
        try assembly.send(Self.mark(3, in: 1), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 304)
        let revised = try #require(assembly.finished.first)
        #expect(revised.id == Sample.uuid(1))
        #expect(revised.state == .complete)
        #expect(revised.revision == 2)
        #expect(revised.counts.late == 2)
    }

    // MARK: Agents whose parent comes later

    @Test("makes an agent that came before its parent agent a part of that, however deep", arguments: [2, 3, 40])
    func backwards(depth: Int) throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        for number in stride(from: depth, through: 2, by: -1) {
            try assembly.send(
                Self.start(number, in: number - 1, "agent"), Self.mark(100 + number, in: number),
                Self.end(number, in: number - 1, "agent"))
        }
        assembly.wait(until: 2.9)
        try assembly.restart()
        try assembly.send(Self.start(1, in: 90, "agent"), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 12)
        #expect(assembly.finished.map(\.id) == [Sample.uuid(1)])
        #expect(assembly.finished[0].sequences == (1...UInt64(3 * depth - 1)).map(\.self))
        #expect(assembly.assembler.counts.merged == UInt64(depth - 1))
        #expect(assembly.assembler.openCount == 0)
    }

    @Test("holds an agent of a known run back for its parent until it is idle, and one of an unknown run for a while")
    func held() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Self.start(1, in: 90, "agent"), Self.start(2, in: 77, "agent"), Self.end(2, in: 77, "agent"),
            Self.start(3, in: 78, "agent", root: 50), Self.end(3, in: 78, "agent", root: 50))
        assembly.wait(until: 10.9)
        #expect(assembly.finished.isEmpty)
        assembly.wait(until: 11)
        #expect(assembly.takeFinished().map(\.id) == [Sample.uuid(3)])
        assembly.wait(until: 30)
        try assembly.send(Self.mark(4, in: 1))
        assembly.wait(until: 31)
        #expect(assembly.takeFinished().map(\.id) == [Sample.uuid(2)])
        // Its parent comes too late: what was put out stays as it is.
        try assembly.send(Self.start(77, in: 1), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 34)
        #expect(assembly.finished.map(\.id) == [Sample.uuid(1)])
        #expect(assembly.finished.map(\.sequences) == [[1, 6, 7, 8]])
    }

    @Test("opens at once below the root of a producer's stack, which never has events, and below itself")
    func implicitRoot() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Sample.fields(.scopeStart, 1, in: 90, "agent"), Sample.fields(.scopeEnd, 1, in: 90, "agent"),
            Self.start(2, in: 90, "agent", root: 2), Self.end(2, in: 90, "agent", root: 2),
            Self.start(3, in: nil, "agent", root: 3), Self.end(3, in: nil, "agent", root: 3))
        assembly.wait(until: 3)
        #expect(assembly.finished.map(\.id) == [1, 2, 3].map(Sample.uuid))
    }

    @Test("holds an agent back that says that its parent is the run's root: outermost agents are their own")
    func rootLast() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Self.start(2, in: 1, "agent"), Self.start(3, in: 1, "agent"), Self.end(2, in: 1, "agent"),
            Self.end(3, in: 1, "agent"))
        assembly.wait(until: 10.9)
        try assembly.restart()
        try assembly.send(Self.start(1, in: 90, "agent"), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 13)
        #expect(assembly.takeFinished().map(\.id) == [Sample.uuid(1)])
        // The parent of another process may never come here.
        try assembly.send(Self.start(5, in: 4, "agent", root: 4), Self.end(5, in: 4, "agent", root: 4))
        assembly.wait(until: 22.9)
        #expect(assembly.finished.isEmpty)
        assembly.wait(until: 23)
        #expect(assembly.finished.map(\.id) == [Sample.uuid(5)])
    }

    @Test("opens nothing below a scope that belongs to no trajectory, as the reference does")
    func outside() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Self.start(5, in: 90, root: 90), Self.start(6, in: 5, "agent", root: 90),
            Self.end(6, in: 5, "agent", root: 90),
            Self.start(7, in: nil, root: 7), Self.start(8, in: 7, "agent", root: 7), Self.mark(9, in: 8, root: 7))
        #expect(assembly.assembler.orphanCount == 3)
        #expect(assembly.settled == (0, 3))
        assembly.wait(until: 31)
        #expect(assembly.finished.isEmpty)
        #expect(assembly.assembler.counts.unowned == 6)
        #expect(assembly.assembler.orphanCount == 0)
    }

    // MARK: Orphans

    @Test("remembers open scopes of no trajectory, however many of another run come and go")
    func outsideBounds() throws {
        var configuration = Assembly.configuration
        configuration.maximumOutsideScopes = 4
        var assembly = Assembly(configuration)
        try assembly.send(Self.start(1, in: nil))
        for number in 100..<200 {
            try assembly.send(Self.start(number, in: nil, root: 90), Self.end(number, in: nil, root: 90))
        }
        try assembly.restart()
        // Below a scope of no trajectory an agent opens none.
        try assembly.send(Self.start(2, in: 1, "agent"), Self.mark(3, in: 1))
        #expect(assembly.assembler.openCount == 0 && assembly.assembler.orphanCount == 0)
        #expect(assembly.assembler.counts.unowned == 203)
        // With nothing but open ones the first goes.
        for number in 200..<204 { try assembly.send(Self.start(number, in: nil, root: 91)) }
        try assembly.send(Self.mark(4, in: 1))
        #expect(assembly.assembler.orphanCount == 1)
    }

    @Test("includes events of the run whose parents never came at its end, and none of another run")
    func parentsThatNeverCome() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Self.mark(20, in: 70), Self.start(1, in: 90, "agent"), Self.start(5, in: 77), Self.mark(6, in: 5),
            Self.mark(7, in: 78, root: 2), Self.mark(8, in: 1), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 40)
        let trajectory = try #require(assembly.finished.first)
        #expect(trajectory.sequences == [2, 6, 7, 3, 4])
        #expect(trajectory.counts.orphaned == 2)
        #expect(assembly.assembler.counts.unowned == 2)
        #expect(assembly.settled == (5, 2))
    }

    @Test("leaves a run's orphans alone while another trajectory of the run is open")
    func ambiguousOrphans() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Sample.fields(.scopeStart, 1, in: 90, "agent"), Sample.fields(.scopeStart, 2, in: 90, "agent"),
            Self.mark(3, in: 77, root: 90), Sample.fields(.scopeEnd, 1, in: 90, "agent"))
        assembly.wait(until: 4)
        #expect(assembly.takeFinished().map(\.sequences) == [[1, 4]])
        try assembly.send(Sample.fields(.scopeEnd, 2, in: 90, "agent"))
        assembly.wait(until: 7)
        #expect(assembly.finished.map(\.sequences) == [[2, 5, 3]])
    }

    @Test("gives the oldest orphans up when there are too many, and lets no run take the room of others")
    func orphanBounds() throws {
        var configuration = Assembly.configuration
        configuration.maximumOrphans = 32
        var assembly = Assembly(configuration)
        try assembly.send(Self.mark(1, in: 70, root: 50))
        for number in 10..<100 { try assembly.send(Self.mark(number, in: 71, root: 51)) }
        #expect(assembly.assembler.orphanCount == 3)
        #expect(assembly.assembler.counts.orphanLimit == 88)
        for number in 100..<200 { try assembly.send(Self.mark(number, in: 72, root: number)) }
        #expect(assembly.assembler.orphanCount == 32)
        #expect(assembly.assembler.counts.orphanLimit == 88 + 71)
    }

    // MARK: Bounds

    @Test("counts what is beyond the maximum without remembering it, with ends of what is in")
    func giantRun() throws {
        var configuration = Assembly.configuration
        configuration.maximumEvents = 100
        var assembly = Assembly(configuration)
        assembly.wait(until: 1)
        try assembly.send(
            Self.start(1, in: 90, "agent"), Self.mark(5, in: 7777, root: 50), Self.start(2, in: 1, "tool"))
        for number in 10..<107 { try assembly.send(Self.mark(number, in: 2)) }
        // The hundredth is in; from here on nothing is, whatever it hangs below.
        try assembly.send(Self.mark(200, in: 1))
        let before = assembly.assembler.snapshot().count
        for number in 1000..<2000 {
            try assembly.send(
                Self.start(number, in: number - 1), Self.start(100_000 + number, in: number, "agent"),
                Self.end(number, in: number - 1))
        }
        #expect(assembly.assembler.snapshot().count <= before + 8)
        #expect(assembly.assembler.orphanCount == 1)
        #expect(assembly.assembler.openCount == 1)
        try assembly.send(Self.end(2, in: 1, "tool"), Self.end(1, in: 90, "agent"))
        assembly.wait(until: 4)
        let trajectory = try #require(assembly.finished.first)
        #expect(trajectory.eventCount == 102)
        #expect(trajectory.counts.overLimit == 3000)
        #expect(assembly.settled == (102, 3000))
        try assembly.send(Self.mark(3000, in: 1))
        assembly.wait(until: 10)
        #expect(assembly.finished.count == 1)
    }

    @Test("leaves out what comes beyond the maximum of bytes, wherever it hangs, and closes with the end")
    func giantBytes() throws {
        var configuration = Assembly.configuration
        configuration.maximumBytes = 5_000
        var assembly = Assembly(configuration)
        try assembly.send(Self.start(1, in: 90, "agent", root: 1))
        for number in 10..<30 {
            try assembly.send(
                Sample.fields(.mark, number, in: 1, data: .string(String(repeating: "x", count: 1_000))).of(root: 1))
        }
        // Below a scope that was left out itself.
        try assembly.send(Self.mark(40, in: 39, root: 1))
        #expect(assembly.assembler.orphanCount == 0)
        try assembly.send(Self.end(1, in: 90, "agent", root: 1))
        assembly.wait(until: 4)
        let trajectory = try #require(assembly.finished.first)
        #expect(trajectory.eventCount == 7)
        #expect(trajectory.counts.overLimit == 16)
    }

    @Test("drops payloads from memory beyond the bound of a trajectory, and the largest beyond that of the task")
    func heldBytes() throws {
        func fields(_ number: Int, in parent: Int, bytes: Int) -> EventFields {
            Sample.fields(.mark, number, in: parent, data: .string(String(repeating: "x", count: bytes))).of(
                root: parent)
        }
        var configuration = Assembly.configuration
        configuration.maximumHeldBytes = 10_000
        configuration.maximumTotalHeldBytes = 20_000
        var assembly = Assembly(configuration)
        for agent in 1...4 { try assembly.send(Self.start(agent, in: 90, "agent", root: agent)) }
        try assembly.send(fields(10, in: 1, bytes: 11_000), fields(11, in: 1, bytes: 10))
        #expect(assembly.assembler.spilled == 1)
        #expect(assembly.assembler.heldPayloadBytes < 1000)
        try assembly.send(
            fields(12, in: 2, bytes: 9000), fields(13, in: 3, bytes: 5000), fields(14, in: 4, bytes: 7000))
        #expect(assembly.assembler.spilled == 2)
        #expect(assembly.assembler.heldPayloadBytes > 12_000)
        assembly.wait(until: 400)
        let isWhole = assembly.finished.map { trajectory in trajectory.members.allSatisfy { $0.packed != nil } }
        #expect(isWhole == [false, false, true, true])
        #expect(assembly.assembler.heldPayloadBytes == 0)
    }

    @Test("abandons the oldest when all have too many events together, whichever of them grows")
    func openEvents() throws {
        var configuration = Assembly.configuration
        configuration.maximumOpenEvents = 5
        var assembly = Assembly(configuration)
        try assembly.send(Self.start(1, in: nil, "agent"), Self.start(2, in: nil, "agent", root: 2))
        for number in 3..<6 { try assembly.send(Self.mark(number, in: 2, root: 2)) }
        #expect(assembly.finished.isEmpty)
        try assembly.send(Self.mark(6, in: 2, root: 2))
        #expect(assembly.finished.map(\.id) == [Sample.uuid(1)])
        #expect(assembly.finished.map(\.state) == [.abandoned(.maximumOpen)])
        #expect(assembly.assembler.openCount == 1)
    }

    @Test("is not closed again at the deadline that it had before it was closed")
    func outdatedDeadline() throws {
        var configuration = Assembly.configuration
        configuration.maximumOpen = 1
        configuration.idle = 300 * Assembly.second
        var assembly = Assembly(configuration)
        try assembly.send(Self.start(1, in: nil, "agent"))
        assembly.wait(until: 240)
        // The first one is forgotten at 300 seconds, when it would have been too old.
        try assembly.send(Self.start(2, in: nil, "agent", root: 2))
        assembly.wait(until: 300)
        #expect(assembly.finished.map(\.revision) == [1])
        #expect(assembly.assembler.closedCount == 0)
    }

    @Test("does not keep the deadlines of trajectories that are gone")
    func deadlines() throws {
        var configuration = Assembly.configuration
        configuration.revise = 0
        configuration.linger = 0
        var assembly = Assembly(configuration)
        // What stays open is due before what the others leave behind.
        try assembly.send(Self.start(9000, in: nil, "agent", root: 9000))
        for agent in 1...3000 {
            try assembly.send(
                Self.start(agent, in: nil, "agent", root: agent), Self.end(agent, in: nil, "agent", root: agent))
        }
        #expect(assembly.finished.count == 3000)
        #expect(assembly.assembler.closing.count <= 1028)
    }

    @Test("forgets the first closed when there are too many closed ones, or too many events of them")
    func closedBounds() throws {
        var configuration = Assembly.configuration
        configuration.maximumClosed = 3
        configuration.maximumClosedEvents = 8
        var assembly = Assembly(configuration)
        for agent in 1...5 {
            assembly.wait(until: Double(agent))
            try assembly.send(
                Self.start(agent, in: nil, "agent", root: agent), Self.end(agent, in: nil, "agent", root: agent))
        }
        assembly.wait(until: 8)
        #expect(assembly.assembler.closedCount == 3)
        #expect(assembly.assembler.counts.forgottenEarly == 2)
        try assembly.send(Self.mark(10, in: 1), Self.mark(11, in: 5, root: 5))
        #expect(assembly.assembler.counts.late == 1)
        for number in 12..<15 { try assembly.send(Self.mark(number, in: 5, root: 5)) }
        assembly.wait(until: 11)
        #expect(assembly.finished.map(\.revision) == [1, 1, 1, 1, 1, 2])
        #expect(assembly.assembler.closedCount == 2)
    }

    @Test("keeps tenants apart, whatever UUIDs they use")
    func tenants() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        for tenant in ["a", "b"] { try assembly.send(Self.start(1, in: 90, "agent"), tenant: tenant) }
        try assembly.send(Self.mark(2, in: 1), tenant: "b")
        try assembly.send(Self.mark(3, in: 1), tenant: "c")
        try assembly.send(Self.end(1, in: 90, "agent"), tenant: "a")
        assembly.wait(until: 3)
        #expect(assembly.takeFinished().map(\.sequences) == [[1, 5]])
        assembly.wait(until: 100)
        #expect(assembly.finished.map(\.tenant) == ["b"])
        #expect(assembly.finished.map(\.sequences) == [[2, 3]])
        #expect(assembly.assembler.counts.unowned == 1)
    }

    // MARK: Progress

    @Test("tells of open trajectories that changed, once an interval and so many at a time")
    func progress() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        for agent in 1...3 { try assembly.send(Self.start(agent, in: 90, "agent", root: agent)) }
        #expect(assembly.progress(limit: 2).isEmpty)
        assembly.wait(until: 2)
        #expect(assembly.progress(limit: 2).map(\.id) == [1, 2].map(Sample.uuid))
        try assembly.send(Self.mark(10, in: 1), Self.end(1, in: 90, "agent"))
        #expect(assembly.progress(limit: 2).isEmpty)
        assembly.wait(until: 3)
        let round = assembly.progress(limit: 2)
        #expect(round.map(\.id) == [3, 1].map(Sample.uuid))
        #expect(round.map(\.eventCount) == [1, 3])
        assembly.wait(until: 4)
        #expect(assembly.progress().isEmpty)
        #expect(assembly.takeFinished().map(\.hadProgress) == [true])
    }

    @Test("takes back what was told of a trajectory that became part of another one")
    func retired() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(Self.start(2, in: 1, "agent"))
        assembly.wait(until: 3)
        #expect(assembly.progress().map(\.id) == [Sample.uuid(2)])
        try assembly.send(Self.start(1, in: 90, "agent"))
        #expect(assembly.retired() == [Sample.uuid(2)])
        #expect(assembly.retired() == [])
    }

    // MARK: extra.skein

    @Test("says in extra.skein what a collector knows")
    func extra() throws {
        var assembly = Assembly()
        assembly.wait(until: 1)
        try assembly.send(
            Self.start(1, in: 90, "agent"), Self.start(1, in: 90, "agent"), Self.mark(2, in: 77), Self.mark(3, in: 1))
        assembly.wait(until: 31)
        let trajectory = try #require(assembly.finished.first)
        let missing = EventReference(sequence: 4, index: 0)
        let events = trajectory.members.filter { $0.reference != missing }.map { member in
            member.packed ?? assembly.sent[Int(member.reference.sequence) - 1].packed()
        }
        let built = trajectory.document(by: Assembly.agent, .skein, of: events, unavailable: [missing])
        let expected: JSONValue = [
            "revision": 1, "state": "abandoned", "reason": "idle",
            "events": [
                "assembled": 2, "duplicate": 1, "late": 0, "over_limit": 0, "orphaned": 1, "unavailable": 1,
            ],
            "unavailable": ["4.0"],
        ]
        #expect(built.document["extra"]?["skein"] == expected)
        #expect(built.document["extra"]?["observed_events"]?.arrayValue?.count == 2)
        let plain = trajectory.document(by: Assembly.agent, .skein, of: events).document
        #expect(plain["extra"]?["skein"] == nil)
    }
}
