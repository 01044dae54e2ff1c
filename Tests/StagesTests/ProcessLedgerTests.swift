import ATOF
import Stages
import Testing

@Suite("Process machine: ledger, numbers, time, limits")
struct ProcessLedgerTests {
    private static let subject = "skein.v1.events.3.acme.key"

    private static func message(
        _ payload: [UInt8], _ sequence: UInt64 = 1, subject: String = subject, contentType: String? = nil,
        isReplay: Bool = false
    ) -> StageMessage {
        StageMessage(
            subject: subject, sequence: sequence, timeNanoseconds: sequence, contentType: contentType,
            isReplay: isReplay, payload: payload)
    }

    private static func batch(_ marks: [UInt64], producer: String? = nil, sequence: UInt64 = 0) -> [UInt8] {
        var writer = EventBatchWriter()
        for mark in marks { writer.append(packed: TestEvents.fields(.mark, mark, parent: 5).packed()) }
        if let producer { writer.setProducer(producer, sequence: sequence) }
        return writer.bytes
    }

    @Test("puts every event that came in under exactly one count of its tenant and key")
    func ledger() throws {
        var machine = ProcessMachine(partitioning: Partitioning(count: 8))
        _ = machine.receive(Self.message(Self.batch([10, 11, 10])))
        _ = machine.receive(Self.message([0xFF, 0xFF]))
        _ = machine.receive(Self.message(Self.batch([12]), isReplay: true))
        _ = machine.receive(Self.message(Self.batch([13]), subject: "skein.v1.events.3.acme.other"))
        _ = machine.receive(Self.message([], subject: "skein.v1.events.3.ACME.other"))
        let counts = try #require(machine.ledger[tenant: "acme", key: "key"])
        #expect(counts[.received] == 5)
        #expect(counts[.processed] == 3)
        #expect(counts[.deduplicated] == 1)
        #expect(counts[.deadLettered] == 1)
        #expect(counts[.replayed] == 1)
        #expect(counts.pending == 0)
        #expect(machine.ledger[tenant: "acme", key: "other"]?[.processed] == 1)
        #expect(machine.ledger[tenant: "_", key: "other"]?[.deadLettered] == 1)
    }

    @Test("counts a message that never came whole as one that is a dead letter")
    func gaveUp() throws {
        var machine = ProcessMachine(partitioning: Partitioning(count: 8))
        var chunks = ChunkAssembler(stage: "process", stream: "SKEIN_EVENTS")
        let outcome = chunks.receive(Self.message([1]), chunk: "2/2", id: "a")
        #expect(machine.gaveUp(try #require(outcome.deadLetters.first)).deadLettered == 1)
        let counts = try #require(machine.ledger[tenant: "acme", key: "key"])
        #expect(counts[.received] == 1 && counts[.deadLettered] == 1 && counts.pending == 0)
    }

    @Test("shows what producers sent and what never came, and takes it back when it comes late")
    func producers() {
        var machine = ProcessMachine(partitioning: Partitioning(count: 8))
        #expect(machine.receive(Self.message(Self.batch([10, 11], producer: "p", sequence: 1))).counts.gaps == 0)
        #expect(machine.receive(Self.message(Self.batch([15], producer: "p", sequence: 6))).counts.gaps == 1)
        #expect(machine.producerGaps == [ProducerGap(tenant: "acme", key: "key", producer: "p", missing: 3)])
        #expect(machine.ledger[tenant: "acme", key: "key"]?[.missing] == 3)
        #expect(machine.missingEvents == 3)
        _ = machine.receive(Self.message(Self.batch([12, 13], producer: "p", sequence: 3)))
        #expect(machine.ledger[tenant: "acme", key: "key"]?[.missing] == 1)
        _ = machine.receive(Self.message(Self.batch([14], producer: "p", sequence: 5)))
        #expect(machine.ledger[tenant: "acme", key: "key"]?[.missing] == 0)
        #expect(machine.producerGaps.isEmpty)
    }

    @Test("takes an empty message of its own tenant for the time, and anything else of it for a dead letter")
    func ownTenant() {
        var machine = ProcessMachine(partitioning: Partitioning(count: 8))
        let before = machine.snapshot()
        let tick = machine.receive(Self.message([], subject: "skein.v1.events.3._.tick-4"))
        #expect(tick.counts == ProcessMachine.Counts() && tick.pieces.isEmpty && tick.deadLetters.isEmpty)
        #expect(machine.snapshot() == before)
        let forged = machine.receive(Self.message(Self.batch([10]), subject: "skein.v1.events.3._.key"))
        #expect(forged.pieces.isEmpty)
        #expect(forged.deadLetters.map(\.reason) == ["invalid_subject"])
    }

    @Test("refuses an event that is larger than allowed, and takes it when it comes again with a higher limit")
    func tooLarge() throws {
        var machine = ProcessMachine(partitioning: Partitioning(count: 8), maximumEventBytes: 300)
        var large = TestEvents.fields(.mark, 10, parent: 5)
        large.data = Array("\"\(String(repeating: "x", count: 300))\"".utf8)
        let outcome = machine.receive(
            Self.message(TestEvents.batch([large.packed(), TestEvents.fields(.mark, 11, parent: 5).packed()])))
        #expect(outcome.counts.deadLettered == 1 && outcome.counts.processed == 1)
        let letter = try #require(outcome.deadLetters.first)
        #expect(letter.reason == "too_large")
        #expect(letter.message.contains("max_event_bytes"))
        #expect(letter.body == TestEvents.batch([large.packed()]))
        machine = try ProcessMachine(partitioning: Partitioning(count: 8), snapshot: machine.snapshot())
        #expect(machine.receive(Self.message(letter.body, isReplay: true)).counts.processed == 1)
    }

    @Test("reads what 0.1.0 wrote: the scopes alone")
    func upgrade() throws {
        var scopes = ScopeTable()
        _ = scopes.observe(try TestEvents.event(.scopeStart, 7, parent: 5), tenant: "acme")
        var machine = try ProcessMachine(partitioning: Partitioning(count: 8), snapshot: scopes.snapshot())
        #expect(machine.openScopes == 1)
        let outcome = machine.receive(Self.message(TestEvents.batch([TestEvents.fields(.scopeStart, 7).packed()])))
        #expect(outcome.counts.duplicates == 1)
    }

    /// Runs of all kinds: scopes that open and end, repetitions, damage, gaps, ticks, replays, other tenants.
    private static func script(_ seed: UInt64) -> [StageMessage] {
        var random = TestRandom(seed: seed)
        var numbers: UInt64 = 1
        return (1...60).map { sequence in
            let tenant = ["acme", "other", "_", "ACME"][Int.random(in: 0...3, using: &random) % 4]
            let subject = "skein.v1.events.3.\(tenant).k\(Int.random(in: 0...2, using: &random))"
            if Int.random(in: 0...9, using: &random) == 0 { return message([], UInt64(sequence), subject: subject) }
            var writer = EventBatchWriter()
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let kind: Event.Kind = [.scopeStart, .scopeEnd, .mark][Int.random(in: 0...2, using: &random)]
                let scope = UInt64.random(in: 1...12, using: &random)
                writer.append(
                    packed: TestEvents.fields(kind, scope, parent: scope > 4 ? scope / 2 : nil).packed()
                        + (Int.random(in: 0...9, using: &random) == 0 ? [0x1A, 1, 9] : []))
            }
            let count = writer.count
            if Bool.random(using: &random) {
                numbers += Int.random(in: 0...4, using: &random) == 0 ? 3 : 0
                writer.setProducer("p", sequence: numbers)
                numbers += UInt64(count)
            }
            return message(
                Int.random(in: 0...9, using: &random) == 0 ? [0xFF] : writer.bytes, UInt64(sequence), subject: subject,
                isReplay: Int.random(in: 0...9, using: &random) == 0)
        }
    }

    private struct Seen: Equatable {
        let counts: ProcessMachine.Counts
        let letters: [DeadLetter]
        let pieces: [[UInt8]]
        let partitions: [Int]

        init(_ outcome: ProcessMachine.Outcome) {
            counts = outcome.counts
            letters = outcome.deadLetters
            pieces = outcome.pieces.map(\.frames.bytes)
            partitions = outcome.pieces.map(\.partition)
        }
    }

    @Test("goes on after a restore at any point as if there had been none, and its counts add up", arguments: 1...12)
    func restore(seed: UInt64) throws {
        let messages = Self.script(seed)
        func run(stop: Int?) throws -> ([Seen], [UInt8]) {
            var machine = ProcessMachine(partitioning: Partitioning(count: 8))
            var seen: [Seen] = []
            for (index, message) in messages.enumerated() {
                if index == stop {
                    machine = try ProcessMachine(partitioning: Partitioning(count: 8), snapshot: machine.snapshot())
                }
                seen.append(Seen(machine.receive(message)))
                #expect(machine.ledger.total().pending == 0)
            }
            return (seen, machine.snapshot())
        }
        let whole = try run(stop: nil)
        let dead = whole.0.reduce(0) { $0 + $1.counts.deadLettered }
        let duplicates = whole.0.reduce(0) { $0 + $1.counts.duplicates }
        #expect(dead > 0 && duplicates > 0)
        for stop in messages.indices {
            let stopped = try run(stop: stop)
            #expect(stopped == whole, "stopped before message \(stop)")
        }
    }

    @Test("takes back what a ledger counted, also when the key is folded into its tenant")
    func ledgerRemove() {
        var ledger = Ledger<String>(limit: 1)
        ledger.add(5, .missing, tenant: "t", key: "a")
        ledger.remove(2, .missing, tenant: "t", key: "a")
        #expect(ledger.total()[.missing] == 3)
        ledger.add(1, .missing, tenant: "t", key: "b")
        #expect(ledger[tenant: "t", key: "a"] == nil)
        ledger.remove(2, .missing, tenant: "t", key: "a")
        #expect(ledger.total()[.missing] == 2)
        ledger.remove(99, .missing, tenant: "t", key: "a")
        #expect(ledger.total()[.missing] == 1)
    }

    @Test("counts for the tenant _ when there are too many tenants, and takes that back there")
    func ledgerTenants() throws {
        var ledger = Ledger<String>(limit: 1, tenantLimit: 2)
        for tenant in ["a", "b", "c", "d", "e"] { ledger.add(3, .missing, tenant: tenant, key: "k") }
        func folded(_ ledger: Ledger<String>) -> [String: UInt64] {
            let rows = ledger.entries().filter { $0.key == nil }.map { ($0.tenant, $0.counts[.missing]) }
            return Dictionary(uniqueKeysWithValues: rows)
        }
        #expect(folded(ledger) == ["a": 3, "b": 3, "_": 6])
        ledger.remove(2, .missing, tenant: "d", key: "k")
        ledger.remove(2, .missing, tenant: "b", key: "k")
        #expect(folded(ledger) == ["a": 3, "b": 1, "_": 4])
        #expect(ledger.total()[.missing] == 11)
        let restored = try Ledger<String>(limit: 1, tenantLimit: 2, snapshot: ledger.snapshot())
        #expect(folded(restored) == folded(ledger))
    }

    @Test("folds several keys at once when all have something pending, and the settled first")
    func ledgerRoom() {
        var ledger = Ledger<String>(limit: 20)
        for number in 0..<21 { ledger.add(1, .received, tenant: "t", key: "\(number)") }
        #expect((0..<21).map { ledger[tenant: "t", key: "\($0)"] != nil } == (0..<21).map { $0 >= 16 })
        #expect(ledger.total()[.received] == 21 && ledger.entries(key: "16").count == 1)
        ledger.add(1, .processed, tenant: "t", key: "17")
        for number in 21..<37 { ledger.add(1, .received, tenant: "t", key: "\(number)") }
        #expect(ledger[tenant: "t", key: "17"] == nil && ledger[tenant: "t", key: "16"] != nil)
        #expect(ledger.total().pending == 36)
    }
}
