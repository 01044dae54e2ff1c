import ATOF
import AgentPublishing
import Stages

/// A machine with a broker, a disk and a clock that fail as a seed says, and the books of what has to come out.
struct PublishingSimulation {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private struct UnderWay {
        let token: UInt64
        let message: EventMessage
    }

    let limits: PublishLimits
    var random: SeededRandom
    private(set) var machine: PublishMachine
    private var now: UInt64 = 1
    private var source = 0
    /// What a crash leaves.
    private var disk: [SpoolSegmentID: [SealedBatch]] = [:]
    private var underWay: [UnderWay] = []
    private var isBrokerUp = true
    var diskFails = false
    /// What the broker has stored: for each key the events in order, without repeated messages.
    private(set) var stored: [EventUUID: [UInt64]] = [:]
    private var ids: Set<String> = []
    /// The collector, which gives up halves of which nothing comes for long.
    private var assembler = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream)
    private var sequence: UInt64 = 0
    /// The last event of each key, and those that may be lost because they were in memory when the process was killed.
    private(set) var appended: [EventUUID: UInt64] = [:]
    private(set) var mayBeLost: [EventUUID: Set<UInt64>] = [:]
    private(set) var mostMemory = 0
    private(set) var mostDisk = 0
    private(set) var crashes = 0
    /// Of machines that were killed.
    private(set) var droppedBefore = 0

    init(seed: UInt64, limits: PublishLimits) {
        self.limits = limits
        random = SeededRandom(state: seed)
        machine = PublishMachine(tenant: "acme", instance: "i0", limits: limits)
    }

    static func key(_ number: Int) -> EventUUID { EventUUID(high: 7, low: UInt64(number)) }

    /// Its number, and filling.
    private static func event(_ number: UInt64, size: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } + [UInt8](repeating: 1, count: size)
    }

    // MARK: What happens

    /// - Returns: whether there was room.
    mutating func append(key number: Int, size: Int) -> Bool {
        let key = PublishingSimulation.key(number)
        let event = PublishingSimulation.event(appended[key, default: 0] + 1, size: size)
        guard machine.newBytes + event.count + PublishMachine.eventCost <= limits.newBytes,
            machine.newEvents < limits.memoryEvents
        else { return false }
        appended[key, default: 0] += 1
        machine.append(event, key: key, now: now)
        return true
    }

    mutating func skip(key number: Int) {
        let key = PublishingSimulation.key(number)
        appended[key, default: 0] += 1
        mayBeLost[key, default: []].insert(appended[key]!)
        machine.skip(1, key: key, reason: .tooLarge, now: now)
    }

    mutating func pass(_ nanoseconds: UInt64) { now += nanoseconds }

    mutating func run() throws {
        for _ in 0..<10_000 {
            let actions = machine.advance(now: now)
            if actions.isEmpty { return try check() }
            for action in actions { try perform(action) }
        }
        throw Failure(description: "the machine has always something to do")
    }

    private mutating func perform(_ action: PublishMachine.Action) throws {
        switch action {
        case .send(let token, let message):
            if underWay.contains(where: { $0.message.subject == message.subject }) {
                throw Failure(description: "two messages of \(message.subject) are under way")
            }
            underWay.append(UnderWay(token: token, message: message))
        case .write(let id, let batches):
            if diskFails, Bool.random(using: &random) {
                machine.writeFailed(now: now)
            } else {
                disk[id, default: []] += batches
                machine.wrote(now: now)
            }
        case .read(let id, let offset, let bytes):
            var position = 0
            var found: [SealedBatch] = []
            for batch in disk[id] ?? [] {
                if position >= offset, found.isEmpty || position - offset < bytes { found.append(batch) }
                position += SpoolRecord.size(of: batch)
            }
            machine.haveRead(id, found, isDamaged: false)
        case .remove(let id): disk[id] = nil
        }
    }

    /// The broker answers one of the messages, in whatever way it can.
    mutating func answer() {
        guard let index = underWay.indices.randomElement(using: &random) else { return }
        let sent = underWay.remove(at: index)
        let fate = Int.random(in: 0..<10, using: &random)
        guard isBrokerUp, fate > 1 else {
            // Stored, but nobody hears of it.
            if isBrokerUp, fate == 1 { store(sent.message) }
            return machine.failed(sent.token, .temporary, now: now)
        }
        store(sent.message)
        machine.acknowledged(sent.token, now: now)
    }

    mutating func lose() {
        isBrokerUp = false
        machine.disconnected()
        for sent in underWay {
            if Bool.random(using: &random) { store(sent.message) }
            machine.failed(sent.token, .temporary, now: now)
        }
        underWay = []
    }

    mutating func restore() {
        isBrokerUp = true
        machine.connected(maxMessageBytes: 4096)
    }

    /// The process is killed, and another one takes its files over.
    mutating func crash() {
        crashes += 1
        for sent in underWay where Bool.random(using: &random) { store(sent.message) }
        underWay = []
        var safe: [EventUUID: Set<UInt64>] = stored.mapValues { Set($0) }
        for batch in disk.values.joined() { safe[batch.key, default: []].formUnion(Self.numbers(batch.bytes)) }
        for (key, last) in appended where last > 0 {
            mayBeLost[key, default: []].formUnion(Set(1...last).subtracting(safe[key, default: []]))
        }
        droppedBefore += machine.counts.dropped.values.reduce(0, +)
        source += 1
        let found = disk.map { id, batches in
            FoundSegment(
                id: id, bytes: batches.reduce(0) { $0 + SpoolRecord.size(of: $1) }, records: batches.count,
                events: batches.reduce(0) { $0 + $1.events })
        }
        machine = PublishMachine(
            tenant: "acme", instance: "i\(source)", limits: limits, source: source, found: found)
        if isBrokerUp { machine.connected(maxMessageBytes: 4096) }
    }

    /// Everything works again, until nothing is left to do.
    mutating func heal() throws {
        diskFails = false
        restore()
        machine.close()
        for _ in 0..<100_000 {
            try run()
            if machine.isDrained { return }
            now += 20_000_000
            while let sent = underWay.popLast() {
                store(sent.message)
                machine.acknowledged(sent.token, now: now)
            }
        }
        throw Failure(description: "it does not come to an end")
    }

    var isDiskEmpty: Bool { disk.isEmpty }

    private mutating func check() throws {
        mostMemory = max(mostMemory, machine.memoryBytes)
        mostDisk = max(mostDisk, machine.diskBytes)
        let onDisk = disk.values.joined().reduce(0) { $0 + SpoolRecord.size(of: $1) }
        if onDisk != machine.diskBytes {
            throw Failure(description: "\(onDisk) bytes are on disk, the machine says \(machine.diskBytes)")
        }
    }

    // MARK: The broker

    private mutating func store(_ message: EventMessage) {
        guard let id = message.id, ids.insert(id).inserted else { return }
        sequence += 1
        func header(_ name: String) -> String? { message.headers.first { $0.name == name }?.value }
        let outcome = assembler.receive(
            StageMessage(
                subject: message.subject, sequence: sequence, timeNanoseconds: now, contentType: nil,
                payload: message.payload),
            chunk: header(SkeinHeaders.chunk), id: header(SkeinHeaders.chunkID))
        if let whole = outcome.message { take(whole.payload, whole.subject) }
    }

    private mutating func take(_ bytes: [UInt8], _ subject: String) {
        guard let key = EventUUID(String(subject.split(separator: ".").last ?? "")) else { return }
        for number in Self.numbers(bytes) {
            // What a restart sends again under the same id is no second event; under another it would be.
            stored[key, default: []].append(number)
        }
    }

    private static func numbers(_ bytes: [UInt8]) -> [UInt64] {
        guard let batch = try? EventBatch(unpacking: bytes) else { return [] }
        return (0..<batch.count).map { index in
            batch.packedEvent(at: index).withBytes { bytes in
                (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << UInt64(8 * $1) }
            }
        }
    }
}

/// SplitMix64: random numbers that are the same in every run.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
