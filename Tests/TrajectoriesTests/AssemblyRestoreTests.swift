import ATOF
import Testing
import Trajectories

@Suite("Trajectory assembler's snapshot")
struct AssemblyRestoreTests {
    /// What a task receives: a message's events, or time alone.
    private struct Step {
        let time: UInt64
        let tenant: String
        let events: [Event]
    }

    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            // SplitMix64.
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    /// Runs of nested agents, tools and marks: interleaved, shuffled, some events twice, some never, and pauses of all lengths.
    private static func stream(seed: UInt64) throws -> [Step] {
        var random = Random(state: seed)
        var fields: [(tenant: String, place: Double, EventFields)] = []
        for run in 0..<6 {
            let root = 100 * (run + 1)
            let tenant = run % 3 == 0 ? "b" : "a"
            let isImplicit = Bool.random(using: &random)
            var scopes = [root]
            let begin = Double.random(in: 0..<20, using: &random)
            func add(_ kind: Event.Kind, _ number: Int, _ parent: Int, _ category: String, at place: Double) {
                let event = Sample.fields(kind, number, in: parent, category).of(root: isImplicit ? 7000 + run : root)
                fields.append((tenant, place, event))
            }
            add(.scopeStart, root, isImplicit ? 7000 + run : 9000, "agent", at: begin)
            for number in root + 1..<root + 1 + Int.random(in: 2..<8, using: &random) {
                let parent = scopes.randomElement(using: &random) ?? root
                let category = ["agent", "tool", "function", "mark"].randomElement(using: &random) ?? "tool"
                let place = begin + Double.random(in: 0..<10, using: &random)
                if category == "mark" {
                    add(.mark, number, parent, "", at: place)
                } else {
                    add(.scopeStart, number, parent, category, at: place)
                    add(.scopeEnd, number, parent, category, at: place + Double.random(in: -1..<5, using: &random))
                    scopes.append(number)
                }
            }
            if run != 2 { add(.scopeEnd, root, 9000, "agent", at: begin + Double.random(in: 4..<12, using: &random)) }
        }
        fields.removeAll { _ in Int.random(in: 0..<12, using: &random) == 0 }
        for field in fields where Int.random(in: 0..<6, using: &random) == 0 {
            fields.append((field.tenant, field.place + Double.random(in: 0..<60, using: &random), field.2))
        }
        fields.sort { $0.place < $1.place }
        var steps: [Step] = []
        var time = 0.0
        while !fields.isEmpty {
            let tenant = fields[0].tenant
            let count = min(fields.prefix { $0.tenant == tenant }.count, Int.random(in: 1...3, using: &random))
            let events = try Sample.events(fields.prefix(count).map(\.2))
            fields.removeFirst(count)
            time += [0, 0.2, 0.5, 1, 5, 25].randomElement(using: &random) ?? 0
            steps.append(Step(time: UInt64(time * 1e9), tenant: tenant, events: events))
            if Int.random(in: 0..<8, using: &random) == 0 {
                time += Double.random(in: 0..<40, using: &random)
                steps.append(Step(time: UInt64(time * 1e9), tenant: "_", events: []))
            }
        }
        for pause in [3.0, 20, 40, 80, 400] {
            time += pause
            steps.append(Step(time: UInt64(time * 1e9), tenant: "_", events: []))
        }
        return steps
    }

    private static func configuration(seed: UInt64) -> TrajectoryAssembler.Configuration {
        var configuration = Assembly.configuration
        if seed % 4 == 0 { configuration.maximumBytes = 1200 }
        if seed % 4 == 1 {
            configuration.maximumOpen = 2
            configuration.maximumEvents = 6
        }
        if seed % 4 == 2 {
            configuration.maximumOrphans = 32
            configuration.maximumClosed = 2
            configuration.maximumOutsideScopes = 3
        }
        if seed % 4 == 3 {
            configuration.linger = 0
            configuration.maximumClosedEvents = 20
            configuration.maximumOpenEvents = 25
        }
        return configuration
    }

    private struct Result: Equatable {
        var finished: [String] = []
        var settled: [TrajectoryAssembler.Settlement] = []
        var progress: [TrajectoryAssembler.Progress] = []
        var deadlines: [UInt64?] = []
        var counts = AssemblerCounts()
        var snapshot: [UInt8] = []
    }

    private static func run(_ steps: [Step], seed: UInt64, restartingAt restart: Int?) throws -> Result {
        let configuration = configuration(seed: seed)
        var assembler = TrajectoryAssembler(configuration: configuration)
        var result = Result()
        for (number, step) in steps.enumerated() {
            if number == restart {
                let snapshot = assembler.snapshot()
                let oldest = assembler.oldestReference
                assembler = try TrajectoryAssembler(configuration: configuration, snapshot: snapshot)
                try #require(assembler.snapshot() == snapshot)
                try #require(assembler.oldestReference == oldest)
            }
            var finished = assembler.timeAdvanced(to: step.time)
            for (index, event) in step.events.enumerated() {
                let reference = EventReference(sequence: UInt64(number + 1), index: index)
                finished += assembler.receive(event, at: reference, tenant: step.tenant)
            }
            result.finished += finished.map {
                "\($0.tenant) \($0.id) \($0.revision) \($0.state) \($0.counts) \($0.hadProgress) "
                    + "\($0.members.map(\.reference))"
            }
            result.settled += assembler.takeSettlements()
            result.progress += assembler.takeProgress(interval: 3_000_000_000, limit: 2)
            result.deadlines.append(assembler.nextDeadline())
        }
        result.counts = assembler.counts
        result.snapshot = assembler.snapshot()
        return result
    }

    @Test("goes on after any message as if nothing had happened", arguments: UInt64(1)...24)
    func restore(seed: UInt64) throws {
        let steps = try Self.stream(seed: seed)
        let expected = try Self.run(steps, seed: seed, restartingAt: nil)
        #expect(!expected.finished.isEmpty)
        for restart in steps.indices {
            let restarted = try Self.run(steps, seed: seed, restartingAt: restart)
            try #require(restarted == expected, "restarted before step \(restart)")
        }
    }

    @Test("accounts for every event once", arguments: UInt64(1)...24)
    func accounts(seed: UInt64) throws {
        let steps = try Self.stream(seed: seed)
        let result = try Self.run(steps, seed: seed, restartingAt: nil)
        let counts = result.counts
        let received = steps.reduce(0) { $0 + $1.events.count }
        #expect(result.settled.reduce(0) { $0 + $1.assembled + $1.unassembled } == received)
        #expect(result.settled.reduce(0) { $0 + $1.assembled } == Int(counts.accepted))
        #expect(
            counts.accepted + counts.duplicate + counts.unowned + counts.late + counts.overLimit + counts.orphanLimit
                == UInt64(received))
    }

    @Test("covers what the streams are for: merging, revising, orphans, every bound")
    func coverage() throws {
        var total: [String: UInt64] = [:]
        for seed in UInt64(1)...24 {
            let counts = try Self.run(try Self.stream(seed: seed), seed: seed, restartingAt: nil).counts
            total["merged", default: 0] += counts.merged
            total["revising", default: 0] += counts.revising
            total["orphaned", default: 0] += counts.orphaned
            total["unowned", default: 0] += counts.unowned
            total["late", default: 0] += counts.late
            total["duplicate", default: 0] += counts.duplicate
            total["over limit", default: 0] += counts.overLimit
            total["idle", default: 0] += counts.abandonedIdle
            total["max open", default: 0] += counts.abandonedOpen
            total["forgotten early", default: 0] += counts.forgottenEarly
        }
        #expect(total.count == 10)
        #expect(total.allSatisfy { $0.value > 0 }, "\(total)")
    }

    @Test("of 100,000 open scopes is a few megabytes, and fast")
    func size() throws {
        var configuration = Assembly.configuration
        configuration.maximumOpen = 4096
        var assembler = TrajectoryAssembler(configuration: configuration)
        var sequence: UInt64 = 4_000_000_000
        for run in 1...1000 {
            let root = run * 1000
            let scopes =
                [Sample.fields(.scopeStart, root, in: 1, "agent").of(root: root)]
                + (1..<100).map { Sample.fields(.scopeStart, root + $0, in: root + $0 - 1, "tool").of(root: root) }
            for event in try Sample.events(scopes) {
                sequence += 3
                _ = assembler.receive(event, at: EventReference(sequence: sequence, index: 7))
            }
        }
        #expect(assembler.counts.accepted == 100_000)
        // Far more than it takes, far less than anything quadratic would.
        let clock = ContinuousClock()
        var snapshot: [UInt8] = []
        let writing = clock.measure { snapshot = assembler.snapshot() }
        #expect(snapshot.count < 3_000_000)
        #expect(writing < .seconds(60))
        var restored: TrajectoryAssembler?
        let reading = try clock.measure {
            restored = try TrajectoryAssembler(configuration: configuration, snapshot: snapshot)
        }
        #expect(reading < .seconds(60))
        #expect(restored?.openCount == 1000)
    }
}
