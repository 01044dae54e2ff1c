import ATOF
import Testing

@testable import AgentPublishing

@Suite("Publish machine")
struct PublishMachineTests {
    private static let first = EventUUID(high: 1, low: 1)
    private static let second = EventUUID(high: 1, low: 2)

    private static func machine(_ change: (inout PublishLimits) -> Void = { _ in }, connected: Bool = true)
        -> PublishMachine
    {
        var limits = PublishLimits()
        change(&limits)
        var machine = PublishMachine(tenant: "acme", instance: "agent", limits: limits)
        if connected { machine.connected(maxMessageBytes: 1 << 20) }
        return machine
    }

    private static func sends(_ actions: [PublishMachine.Action]) -> [(token: UInt64, message: EventMessage)] {
        actions.compactMap { if case .send(let token, let message) = $0 { (token, message) } else { nil } }
    }

    private static func writes(_ actions: [PublishMachine.Action]) -> [(SpoolSegmentID, [SealedBatch])] {
        actions.compactMap { if case .write(let id, let batches) = $0 { (id, batches) } else { nil } }
    }

    @Test("sends one message of a key at a time, and what came meanwhile as one batch behind it")
    func oneUnderWay() throws {
        var machine = Self.machine()
        machine.append([1], key: Self.first, now: 1)
        machine.append([2], key: Self.second, now: 1)
        let begun = Self.sends(machine.advance(now: 1))
        #expect(begun.map(\.message.id) == ["acme/agent.1/1", "acme/agent.2/1"])
        #expect(begun[0].message.subject == "skein.v1.events.acme.\(Self.first)")
        for number in 3...5 as ClosedRange<UInt8> { machine.append([number], key: Self.first, now: 2) }
        #expect(machine.advance(now: 2).isEmpty)
        machine.acknowledged(begun[0].token, now: 3)
        let next = Self.sends(machine.advance(now: 3))
        #expect(next.map(\.message.id) == ["acme/agent.1/2"])
        let batch = try EventBatch(unpacking: next[0].message.payload)
        #expect(batch.count == 3 && batch.producer == "agent.1" && batch.sequence == 2)
        machine.acknowledged(next[0].token, now: 4)
        machine.acknowledged(begun[1].token, now: 4)
        #expect(machine.isDrained && machine.memoryBytes == 0 && machine.counts.acknowledged == 5)
    }

    @Test("repeats a refused message under the same id, after a pause that grows")
    func refused() {
        var machine = Self.machine()
        machine.append([1], key: Self.first, now: 1)
        var now: UInt64 = 1
        var ids: Set<String?> = []
        var pauses: [UInt64] = []
        for _ in 0..<8 {
            let sent = Self.sends(machine.advance(now: now))
            ids.insert(sent.first?.message.id)
            machine.failed(sent[0].token, .temporary, now: now)
            #expect(machine.advance(now: now).isEmpty)
            let next = machine.nextTime(now: now)!
            pauses.append((next - now) / 1_000_000)
            now = next
        }
        #expect(ids == ["acme/agent.1/1"])
        #expect(pauses == [50, 100, 200, 400, 800, 1600, 2000, 2000])
    }

    @Test("gives up what is refused for good, after three tries, and goes on behind it")
    func refusedForGood() {
        var machine = Self.machine()
        machine.append([1], key: Self.first, now: 1)
        var now: UInt64 = 1
        for _ in 0..<3 {
            machine.failed(Self.sends(machine.advance(now: now))[0].token, .permanent, now: now)
            now += 3_000_000_000
        }
        #expect(machine.counts.dropped == [.refused: 1])
        machine.append([2], key: Self.first, now: now)
        #expect(Self.sends(machine.advance(now: now)).map(\.message.id) == ["acme/agent.1/2"])
    }

    @Test(
        "cuts a batch that is larger than a message, one part under way at a time, and smaller when that is too large")
    func chunks() {
        var machine = Self.machine()
        machine.connected(maxMessageBytes: 1024 + 2048)
        machine.append([UInt8](repeating: 1, count: 2500), key: Self.first, now: 1)
        var parts: [String?] = []
        for _ in 0..<3 {
            let sent = Self.sends(machine.advance(now: 1))
            #expect(sent.count == 1)
            parts.append(sent.first?.message.id)
            machine.acknowledged(sent[0].token, now: 1)
        }
        #expect(parts == ["acme/agent.1/1/1/3", "acme/agent.1/1/2/3", "acme/agent.1/1/3/3"])
        #expect(machine.isDrained)
        machine.connected(maxMessageBytes: 8192 + 2048)
        machine.append([UInt8](repeating: 1, count: 7000), key: Self.first, now: 1)
        machine.failed(Self.sends(machine.advance(now: 1))[0].token, .tooLarge, now: 1)
        let again = Self.sends(machine.advance(now: 100_000_000))
        #expect(again.map(\.message.id) == ["acme/agent.1/2/1/2"])
    }

    @Test("begins again with the first chunk, under other ids, when it was cut off between two for long")
    func chunksCutOff() {
        var machine = Self.machine()
        machine.connected(maxMessageBytes: 1024 + 2048)
        machine.append([UInt8](repeating: 1, count: 2500), key: Self.first, now: 1)
        var messages: [EventMessage] = []
        var now: UInt64 = 1
        /// Each message of a step is refused, or stored.
        func step(_ isStored: Bool, after seconds: UInt64) {
            now += seconds * 1_000_000_000
            let sent = Self.sends(machine.advance(now: now))
            #expect(sent.count == 1)
            messages += sent.map(\.message)
            for (token, _) in sent {
                isStored ? machine.acknowledged(token, now: now) : machine.failed(token, .temporary, now: now)
            }
        }
        step(true, after: 0)
        step(false, after: 29)
        step(true, after: 2)
        step(true, after: 1)
        step(true, after: 30)
        #expect(
            messages.map(\.id) == [
                "acme/agent.1/1/1/3", "acme/agent.1/1/2/3", "acme/agent.1/1/1/3/1", "acme/agent.1/1/2/3/1",
                "acme/agent.1/1/3/3/1",
            ])
        let names = messages.map { $0.headers.first { $0.name == "Skein-Chunk-Id" }?.value }
        #expect(Set(names) == ["agent.1/1/3"])
        #expect(messages[2].payload == messages[0].payload)
        #expect(machine.isDrained && machine.counts.acknowledged == 1)
    }

    @Test("begins again when the broker says late that it has a chunk, also the last one")
    func chunksAcknowledgedLate() {
        var progress = ChunkProgress()
        func send(at sent: UInt64, stored: UInt64) -> String {
            progress.sending(now: sent * 1_000_000_000)
            defer { progress.stored(now: stored * 1_000_000_000) }
            return "\(progress.index) \(progress.attempt ?? "-")"
        }
        // The first one has as long as it likes.
        #expect(send(at: 0, stored: 20) == "0 -")
        #expect(send(at: 21, stored: 31) == "1 -")
        #expect(send(at: 31, stored: 100) == "0 1")
        #expect(send(at: 100, stored: 100) == "0 2")
        #expect(send(at: 101, stored: 130) == "1 2")
        #expect(send(at: 131, stored: 131) == "2 2")
        #expect(progress.index == 3)
    }

    @Test("the chunks of what an earlier process left have other ids than it may have given them")
    func foreignChunks() throws {
        var machine = Self.machine({ $0.spooling = .always }, connected: false)
        machine.append([UInt8](repeating: 1, count: 2500), key: Self.first, now: 1)
        let (_, batches) = try #require(Self.writes(machine.advance(now: 1)).first)
        let id = SpoolSegmentID(source: 0, number: 1)
        let size = batches.reduce(0) { $0 + SpoolRecord.size(of: $1) }
        machine = PublishMachine(
            tenant: "acme", instance: "next", limits: machine.limits, source: 1,
            found: [FoundSegment(id: id, bytes: size, records: 1, events: 1)])
        machine.connected(maxMessageBytes: 1024 + 2048)
        _ = machine.advance(now: 1)
        machine.haveRead(id, batches, isDamaged: false)
        let sent = try #require(Self.sends(machine.advance(now: 1)).first?.message)
        #expect(sent.id == "acme/agent.1/1/1/3/next.0")
        #expect(sent.headers.contains { $0.name == "Skein-Chunk-Id" && $0.value == "agent.1/1/3" })
    }

    @Test("a body is cut by the number of its chunks alone", arguments: [1, 1023, 1024, 2500, 1_047_000, 5_000_001])
    func cut(size: Int) {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let message = ChunkedMessage(tenant: "t", key: "k", id: "i", contentType: "x", bytes: bytes)
        var cuts: [Int: [Int]] = [:]
        for limit in [1024, 1030, 1500, 4096, 100_000, 1_000_000] {
            let count = message.count(limit: limit)
            let parts = (0..<count).map { message.message($0, limit: limit).payload }
            #expect(Array(parts.joined()) == bytes)
            #expect(parts.allSatisfy { !$0.isEmpty && $0.count <= limit })
            let sizes = parts.map(\.count)
            #expect(cuts[count, default: sizes] == sizes)
            cuts[count] = sizes
        }
    }

    @Test("shows what was turned away as missing numbers")
    func skipped() throws {
        var machine = Self.machine()
        machine.append([1], key: Self.first, now: 1)
        machine.skip(3, key: Self.first, reason: .tooLarge, now: 1)
        machine.append([2], key: Self.first, now: 1)
        let sent = Self.sends(machine.advance(now: 1))
        machine.acknowledged(sent[0].token, now: 1)
        let next = Self.sends(machine.advance(now: 1))
        #expect(next.map(\.message.id) == ["acme/agent.1/5"])
        #expect(machine.counts.dropped == [.tooLarge: 3] && machine.counts.appended == 5)
    }

    @Test("a key that was forgotten counts anew, under another name")
    func forgotten() {
        var machine = Self.machine { $0.idleLane = 10 }
        machine.append([1], key: Self.first, now: 1)
        machine.acknowledged(Self.sends(machine.advance(now: 1))[0].token, now: 1)
        _ = machine.advance(now: 5)
        #expect(machine.keys == 1)
        _ = machine.advance(now: 50)
        #expect(machine.keys == 0)
        machine.append([2], key: Self.first, now: 60)
        #expect(Self.sends(machine.advance(now: 60)).map(\.message.id) == ["acme/agent.2/1"])
    }

    @Test("without a spool it keeps what it has while the broker is away, and gives up the oldest at its bound")
    func away() {
        var machine = Self.machine(
            {
                $0.memoryBytes = 100_000
                $0.batchEvents = 10
            }, connected: false)
        for _ in 0..<1000 {
            machine.append([UInt8](repeating: 0, count: 200), key: Self.first, now: 1)
            #expect(machine.advance(now: 1).isEmpty)
        }
        #expect(machine.memoryBytes <= 100_000 * 3 / 4)
        let dropped = machine.counts.dropped[.memoryFull] ?? 0
        #expect(dropped > 500 && dropped + machine.memoryEvents == 1000)
        machine.connected(maxMessageBytes: 1 << 20)
        #expect(Self.sends(machine.advance(now: 2)).map(\.message.id) == ["acme/agent.1/\(dropped + 1)"])
    }

    @Test("spills to disk what is in memory when the broker goes away, and what comes then; and sends it in order")
    func spill() {
        var machine = Self.machine { $0.spooling = .whenNeeded }
        machine.append([1], key: Self.first, now: 1)
        let sent = Self.sends(machine.advance(now: 1))
        #expect(sent.count == 1)
        machine.disconnected()
        machine.failed(sent[0].token, .temporary, now: 2)
        machine.append([2], key: Self.first, now: 2)
        let front = Self.writes(machine.advance(now: 2))
        #expect(front.map(\.1.count) == [1] && front.first?.1.first?.sequence == 1)
        machine.wrote(now: 2)
        let tail = Self.writes(machine.advance(now: 2))
        #expect(tail.map(\.1.count) == [1] && tail.first?.1.first?.sequence == 2)
        #expect(front[0].0 < tail[0].0)
        machine.wrote(now: 2)
        #expect(machine.isOnDisk && machine.counts.spooled == 2)
        machine.connected(maxMessageBytes: 1 << 20)
        let actions = machine.advance(now: 3)
        // What was in memory is sent from there, the rest has to be read.
        #expect(Self.sends(actions).map(\.message.id) == ["acme/agent.1/1"])
        guard case .read(let id, 0, _) = actions.first else { return #expect(Bool(false), "\(actions)") }
        #expect(id == tail[0].0)
        machine.haveRead(id, tail[0].1, isDamaged: false)
        #expect(machine.advance(now: 3).isEmpty)
        machine.acknowledged(Self.sends(actions)[0].token, now: 4)
        var left = machine.advance(now: 4)
        #expect(Self.sends(left).map(\.message.id) == ["acme/agent.1/2"])
        #expect(left.contains(.remove(front[0].0)))
        machine.acknowledged(Self.sends(left)[0].token, now: 5)
        left = machine.advance(now: 2_000_000_000)
        #expect(left == [.remove(tail[0].0)] && machine.diskBytes == 0 && machine.isDrained)
    }

    @Test("a burst that the memory holds for a moment goes to disk, and nothing of it is given up")
    func burst() {
        var machine = Self.machine {
            $0.memoryBytes = 200_000
            $0.spooling = .whenNeeded
            $0.segmentBytes = 10_000
        }
        var count = 0
        while machine.newBytes < 140_000 {
            machine.append([UInt8](repeating: 0, count: 500), key: Self.first, now: 1)
            count += 1
        }
        while true {
            let actions = machine.advance(now: 1)
            if actions.isEmpty { break }
            for _ in Self.writes(actions) { machine.wrote(now: 1) }
        }
        #expect(machine.counts.dropped == [:] && machine.counts.spooled > 0 && machine.newBytes <= 200_000 * 9 / 16)
        #expect(machine.counts.spooled + machine.memoryEvents == count)
    }

    @Test("with always, nothing is sent before it is on disk")
    func always() {
        var machine = Self.machine { $0.spooling = .always }
        machine.append([1], key: Self.first, now: 1)
        let actions = machine.advance(now: 1)
        #expect(Self.writes(actions).count == 1 && Self.sends(actions).isEmpty)
        machine.wrote(now: 1)
        #expect(Self.sends(machine.advance(now: 1)).count == 1)
    }

    @Test("a disk that takes nothing keeps nothing back while the broker is there")
    func brokenDisk() {
        var machine = Self.machine { $0.spooling = .always }
        machine.append([1], key: Self.first, now: 1)
        _ = machine.advance(now: 1)
        machine.writeFailed(now: 1)
        #expect(Self.sends(machine.advance(now: 2)).map(\.message.id) == ["acme/agent.1/1"])
        #expect(machine.counts.diskFailures == 1)
    }

    @Test("flushes what was appended before, not what came after")
    func flushing() {
        var machine = Self.machine()
        machine.append([1], key: Self.first, now: 1)
        let ticket = machine.flush()
        machine.append([2], key: Self.first, now: 1)
        let sent = Self.sends(machine.advance(now: 1))
        #expect(!machine.isFlushed(ticket))
        machine.acknowledged(sent[0].token, now: 1)
        #expect(machine.isFlushed(ticket) && !machine.isDrained)
    }

    @Test("a flush tells of what was given up since the last one, and of nothing else")
    func flushOfLosses() {
        var machine = Self.machine()
        machine.skip(1, key: Self.first, reason: .tooLarge, now: 1)
        var answers: [Bool] = []
        for _ in 1...2 { answers.append(machine.endFlush(machine.flush())) }
        #expect(answers == [false, true])
        // Two wait for the same event, which is given up; what came later is not theirs.
        machine.append([1], key: Self.first, now: 1)
        let (third, fourth) = (machine.flush(), machine.flush())
        machine.skip(1, key: Self.second, reason: .tooLarge, now: 1)
        var now: UInt64 = 1
        for _ in 0..<3 {
            machine.failed(Self.sends(machine.advance(now: now))[0].token, .permanent, now: now)
            now += 3_000_000_000
        }
        #expect(machine.isFlushed(third) && machine.isFlushed(fourth))
        answers = [machine.endFlush(third), machine.endFlush(fourth)]
        for _ in 1...2 { answers.append(machine.endFlush(machine.flush())) }
        #expect(answers == [false, false, false, true])
    }

    @Test("cuts anew what was begun when the next server takes less")
    func smallerServer() {
        var machine = Self.machine()
        machine.connected(maxMessageBytes: 16_384 + 2048)
        machine.append([UInt8](repeating: 1, count: 20_000), key: Self.first, now: 1)
        let first = Self.sends(machine.advance(now: 1))
        #expect(first.map(\.message.id) == ["acme/agent.1/1/1/2"])
        machine.acknowledged(first[0].token, now: 1)
        let second = Self.sends(machine.advance(now: 1))
        machine.disconnected()
        machine.failed(second[0].token, .temporary, now: 1)
        machine.connected(maxMessageBytes: 8192 + 2048)
        var ids: [String?] = []
        while let sent = Self.sends(machine.advance(now: 2)).first {
            ids.append(sent.message.id)
            machine.acknowledged(sent.token, now: 2)
        }
        #expect(ids == ["acme/agent.1/1/1/3", "acme/agent.1/1/2/3", "acme/agent.1/1/3/3"])
        #expect(machine.isDrained && machine.counts.dropped == [:])
    }

    @Test("finds out how much a stream takes, however much less that is than the server's limit")
    func smallerStream() {
        var machine = Self.machine()
        for run in [Self.first, Self.second] { machine.append([UInt8](repeating: 1, count: 200_000), key: run, now: 1) }
        var now: UInt64 = 1
        var refused = 0
        while !machine.isDrained {
            for sent in Self.sends(machine.advance(now: now)) {
                if sent.message.payload.count > 3000 {
                    refused += 1
                    machine.failed(sent.token, .tooLarge, now: now)
                } else {
                    machine.acknowledged(sent.token, now: now)
                }
            }
            now += 3_000_000_000
        }
        #expect(machine.counts.dropped == [:] && machine.counts.acknowledged == 2 && refused < 12)
    }

    /// Does everything at once, as a disk does that works.
    private static func perform(
        _ machine: inout PublishMachine, _ disk: inout [SpoolSegmentID: [SealedBatch]], now: UInt64
    ) -> [(token: UInt64, message: EventMessage)] {
        var sent: [(token: UInt64, message: EventMessage)] = []
        while true {
            let actions = machine.advance(now: now)
            if actions.isEmpty { return sent }
            sent += sends(actions)
            for action in actions {
                switch action {
                case .send: break
                case .write(let id, let batches):
                    disk[id, default: []] += batches
                    machine.wrote(now: now)
                case .read(let id, _, _): machine.haveRead(id, disk[id] ?? [], isDamaged: false)
                case .remove(let id): disk[id] = nil
                }
            }
        }
    }

    @Test("an event that is larger than the whole spool is given up, and costs nothing else")
    func largerThanSpool() {
        var machine = Self.machine(
            {
                $0.spooling = .whenNeeded
                $0.diskBytes = 20_000
                $0.segmentBytes = 5_000
            }, connected: false)
        var disk: [SpoolSegmentID: [SealedBatch]] = [:]
        for size in [1_000, 1_000, 30_000, 1_000] {
            machine.append([UInt8](repeating: 0, count: size), key: Self.first, now: 1)
            _ = Self.perform(&machine, &disk, now: 1)
        }
        #expect(machine.counts.dropped == [.tooLarge: 1] && machine.counts.spooled == 3 && machine.isOnDisk)
    }

    @Test("what was read from a file that had to make room counts as in memory only")
    func evicted() {
        var machine = Self.machine(
            {
                $0.spooling = .whenNeeded
                $0.diskBytes = 4_000
                $0.segmentBytes = 1_000
            }, connected: false)
        var disk: [SpoolSegmentID: [SealedBatch]] = [:]
        machine.append([UInt8](repeating: 0, count: 500), key: Self.first, now: 1)
        _ = Self.perform(&machine, &disk, now: 1)
        machine.connected(maxMessageBytes: 1 << 20)
        let sent = Self.perform(&machine, &disk, now: 2)
        #expect(sent.count == 1)
        machine.disconnected()
        machine.failed(sent[0].token, .temporary, now: 3)
        for _ in 0..<10 {
            machine.append([UInt8](repeating: 0, count: 500), key: Self.second, now: 3)
            _ = Self.perform(&machine, &disk, now: 3)
        }
        #expect((machine.counts.dropped[.diskFull] ?? 0) > 0 && !machine.isOnDisk)
        var ending = machine
        let abandoned = ending.abandon()
        #expect(abandoned == 1 && ending.counts.dropped[.closed] == 1)
        // Alive it is sent from there.
        machine.connected(maxMessageBytes: 1 << 20)
        let again = Self.perform(&machine, &disk, now: 3_000_000_000)
        #expect(again.first?.message.id == "acme/agent.1/1")
    }

    @Test("what an earlier process left is sent before anything newer of the key, under its old ids")
    func takenOver() {
        var limits = PublishLimits()
        limits.spooling = .whenNeeded
        let old = SealedBatch(
            tenant: "acme", key: Self.first, producer: "before.1", sequence: 7, events: 1, bytes: [1, 2, 3])
        let id = SpoolSegmentID(source: 0, number: 4)
        let size = SpoolRecord.size(of: old)
        var machine = PublishMachine(
            tenant: "acme", instance: "agent", limits: limits, source: 1,
            found: [FoundSegment(id: id, bytes: size, records: 1, events: 1)])
        machine.connected(maxMessageBytes: 1 << 20)
        machine.append([9], key: Self.first, now: 1)
        let actions = machine.advance(now: 1)
        #expect(actions.contains(.read(id, offset: 0, bytes: size)) && Self.sends(actions).isEmpty)
        machine.haveRead(id, [old], isDamaged: false)
        machine.wrote(now: 1)
        let sent = Self.sends(machine.advance(now: 1))
        #expect(sent.map(\.message.id) == ["acme/before.1/7"])
    }
}
