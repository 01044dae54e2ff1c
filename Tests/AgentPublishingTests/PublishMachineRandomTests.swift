import ATOF
import AgentPublishing
import Testing

@Suite("Publish machine, at random")
struct PublishMachineRandomTests {
    private static func limits(_ random: inout SeededRandom) -> PublishLimits {
        var limits = PublishLimits()
        limits.memoryBytes = Int.random(in: 20_000...60_000, using: &random)
        limits.memoryEvents = Int.random(in: 50...400, using: &random)
        limits.batchEvents = Int.random(in: 1...20, using: &random)
        limits.batchBytes = Int.random(in: 500...4000, using: &random)
        limits.segmentBytes = Int.random(in: 1000...10_000, using: &random)
        limits.flightMessages = Int.random(in: 1...8, using: &random)
        limits.idleLane = UInt64.random(in: 1...3_000_000_000, using: &random)
        limits.spooling = [.never, .whenNeeded, .always].randomElement(using: &random)!
        return limits
    }

    private static func play(_ simulation: inout PublishingSimulation, crashes: Bool) throws {
        simulation.restore()
        for _ in 0..<400 {
            switch Int.random(in: 0..<24, using: &simulation.random) {
            case 0..<10:
                for _ in 0..<Int.random(in: 1...12, using: &simulation.random) {
                    let isLarge = Int.random(in: 0..<30, using: &simulation.random) == 0
                    _ = simulation.append(
                        key: Int.random(in: 1...5, using: &simulation.random),
                        size: Int.random(in: 0...(isLarge ? 6000 : 200), using: &simulation.random))
                }
            case 10..<17: simulation.answer()
            case 17: simulation.lose()
            case 18, 19: simulation.restore()
            case 20: simulation.diskFails.toggle()
            case 21: if crashes { simulation.crash() }
            case 22: simulation.skip(key: Int.random(in: 1...5, using: &simulation.random))
            default:
                // Seldom longer than collectors wait for the rest of an event.
                let isLong = Int.random(in: 0..<4, using: &simulation.random) == 0
                simulation.pass(
                    UInt64.random(in: 1...(isLong ? 100_000_000_000 : 2_000_000_000), using: &simulation.random))
            }
            try simulation.run()
        }
        try simulation.heal()
    }

    /// Whatever is missing must be allowed to be, nothing is there twice, and each key is in order.
    private static func check(_ simulation: PublishingSimulation) -> [String] {
        var complaints: [String] = []
        for (key, last) in simulation.appended {
            let stored = simulation.stored[key] ?? []
            if zip(stored, stored.dropFirst()).contains(where: { $0 >= $1 }) { complaints.append("order of \(key)") }
            let missing = Set(1...last).subtracting(stored).subtracting(simulation.mayBeLost[key] ?? [])
            if !missing.isEmpty { complaints.append("\(key) lacks \(missing.sorted())") }
        }
        return complaints
    }

    @Test("loses nothing that has room, keeps the order of every key and its bounds, through failures and crashes")
    func nothingLost() throws {
        for seed in 0..<200 as Range<UInt64> {
            var random = SeededRandom(state: seed)
            var limits = Self.limits(&random)
            limits.policy = .wait
            limits.diskBytes = Int.random(in: 10_000...200_000, using: &random)
            var simulation = PublishingSimulation(seed: seed &+ 1_000_000, limits: limits)
            do {
                try Self.play(&simulation, crashes: seed % 2 == 0)
            } catch {
                Issue.record("seed \(seed): \(error)")
                continue
            }
            let complaints = Self.check(simulation)
            #expect(complaints.isEmpty, "seed \(seed): \(complaints)")
            #expect(simulation.mostMemory <= limits.memoryBytes + 20_000, "seed \(seed)")
            #expect(simulation.mostDisk <= limits.diskBytes, "seed \(seed)")
            #expect(simulation.isDiskEmpty, "seed \(seed)")
            let counts = simulation.machine.counts
            #expect(counts.dropped.keys.allSatisfy { $0 == .tooLarge }, "seed \(seed): \(counts)")
        }
    }

    @Test("gives up the oldest and counts them, when there is no room")
    func oldestDropped() throws {
        var dropped = 0
        for seed in 0..<200 as Range<UInt64> {
            var random = SeededRandom(state: seed &+ 5_000)
            var limits = Self.limits(&random)
            limits.policy = .dropOldest
            limits.diskBytes = Int.random(in: 20_000...60_000, using: &random)
            limits.segmentBytes = min(limits.segmentBytes, limits.diskBytes / 4)
            var simulation = PublishingSimulation(seed: seed &+ 2_000_000, limits: limits)
            do {
                try Self.play(&simulation, crashes: false)
            } catch {
                Issue.record("seed \(seed): \(error)")
                continue
            }
            var missing = 0
            for (key, last) in simulation.appended {
                let stored = simulation.stored[key] ?? []
                #expect(zip(stored, stored.dropFirst()).allSatisfy { $0 < $1 }, "seed \(seed): order of \(key)")
                missing += Int(last) - stored.count
            }
            let counts = simulation.machine.counts
            // What was given up may have been stored already, without an answer.
            #expect(missing <= counts.dropped.values.reduce(0, +), "seed \(seed): \(counts)")
            #expect(simulation.mostMemory <= limits.memoryBytes + 20_000, "seed \(seed)")
            #expect(simulation.mostDisk <= limits.diskBytes, "seed \(seed)")
            dropped += missing
        }
        #expect(dropped > 0)
    }
}
