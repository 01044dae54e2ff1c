import ATOF
import Stages
import Testing

@Suite("Chunk assembler")
struct ChunkAssemblerTests {
    private static let key = "skein.v1.events.3.acme.key"
    private static let chain = "skein.v1.processed.acme.1.3"

    /// A message of a script.
    struct Sent: Sendable {
        var subject = ChunkAssemblerTests.key
        var chunk: String?
        var id: String? = "a"
        var payload: String
        /// Seconds.
        var time: UInt64 = 0
    }

    private struct Log {
        let messages: [(message: StageMessage, chunk: String?, id: String?)]

        init(_ sent: [Sent]) {
            messages = sent.enumerated().map { index, sent in
                let message = StageMessage(
                    subject: sent.subject, sequence: UInt64(index) * 2 + 10,
                    timeNanoseconds: sent.time * 1_000_000_000 + UInt64(index), contentType: "t/\(index)",
                    stage: "s\(index)", isReplay: index % 2 == 0, payload: Array(sent.payload.utf8))
                return (message, sent.chunk, sent.chunk == nil ? nil : sent.id)
            }
        }

        func payload(at sequence: UInt64) -> [UInt8]? {
            messages.first { $0.message.sequence == sequence }?.message.payload
        }
    }

    private static func assembler(_ subject: String = key, limits: ChunkAssembler.Limits = .init()) -> ChunkAssembler {
        ChunkAssembler(
            stage: "process", stream: SkeinSubjects.isChain(subject) ? "SKEIN_PROCESSED" : "SKEIN_EVENTS",
            limits: limits)
    }

    private static func run(_ sent: [Sent], limits: ChunkAssembler.Limits = .init()) -> [ChunkAssembler.Outcome] {
        var assembler = assembler(sent[0].subject, limits: limits)
        return Log(sent).messages.map { assembler.receive($0.message, chunk: $0.chunk, id: $0.id) }
    }

    private static func texts(_ outcomes: [ChunkAssembler.Outcome]) -> [String] {
        outcomes.map { outcome in
            let letters = outcome.deadLetters.map { "\($0.reason):\(String(decoding: $0.body, as: UTF8.self))" }
            let whole = outcome.message.map { ["=" + String(decoding: $0.payload, as: UTF8.self)] } ?? []
            let other =
                (outcome.repeatedChunks > 0 ? ["repeated"] : []) + (outcome.voided > 0 ? ["void"] : [])
            return (letters + other + whole).joined(separator: " ")
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let sent: [Sent]
        let outcomes: [String]

        init(_ name: String, _ sent: [Sent], _ outcomes: [String]) {
            testDescription = name
            self.sent = sent
            self.outcomes = outcomes
        }
    }

    private static func chunks(_ count: Int, id: String = "a", subject: String = key) -> [Sent] {
        (1...count).map { Sent(subject: subject, chunk: "\($0)/\(count)", id: id, payload: "\(id)\($0)") }
    }

    private static let cases: [Case] = [
        Case("no chunks", [Sent(payload: "x"), Sent(payload: "")], ["=x", "="]),
        Case("one chunk", chunks(1), ["=a1"]),
        Case("three chunks", chunks(3), ["", "", "=a1a2a3"]),
        Case(
            "two messages between each other",
            [chunks(2)[0], chunks(2, id: "b")[0], Sent(payload: "x"), chunks(2)[1], chunks(2, id: "b")[1]],
            ["", "", "=x", "=a1a2", "=b1b2"]),
        Case(
            "the same id on two subjects",
            [chunks(2)[0], chunks(2, subject: "skein.v1.events.3.acme.other")[0], chunks(2)[1]], ["", "", "=a1a2"]),
        Case(
            "a chunk twice", [chunks(3)[0], chunks(3)[0], chunks(3)[1], chunks(3)[0], chunks(3)[2]],
            ["", "repeated", "", "repeated", "=a1a2a3"]),
        Case(
            "a chunk again after the whole", chunks(2) + [chunks(2)[1], chunks(2)[0]],
            ["", "=a1a2", "repeated", "repeated"]),
        Case("a gap", [chunks(4)[0], chunks(4)[2], chunks(4)[3]], ["", "", "incomplete_chunks:a1a3a4"]),
        Case("the first is missing", [chunks(3)[1], chunks(3)[2]], ["", "incomplete_chunks:a2a3"]),
        Case("only the last", [chunks(3)[2]], ["incomplete_chunks:a3"]),
        Case(
            "another count", [chunks(3)[0], Sent(chunk: "2/4", payload: "x"), Sent(chunk: "3/4", payload: "y")],
            ["", "", "invalid_chunk:a1xy"]),
        Case(
            "headers that are none",
            ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"].map { Sent(chunk: $0, payload: "x") },
            Array(repeating: "invalid_chunk:x", count: 7)),
        Case("no id", [Sent(chunk: "1/2", id: nil, payload: "x")], ["invalid_chunk:x"]),
        Case(
            "too late", [chunks(2)[0], Sent(payload: "x", time: 59), Sent(payload: "y", time: 60), chunks(2)[1]],
            ["", "=x", "incomplete_chunks:a1 =y", "repeated"]),
        Case(
            "sent again after it was given up", [chunks(2)[0], Sent(payload: "y", time: 60)] + chunks(2),
            ["", "incomplete_chunks:a1 =y", "", "=a1a2"]),
        Case(
            "begun again by a sender that was cut off, which takes longer than the rest may",
            [chunks(3)[0], chunks(3)[1], Sent(chunk: "1/3", payload: "a1", time: 50)]
                + [Sent(chunk: "2/3", payload: "a2", time: 100), Sent(chunk: "3/3", payload: "a3", time: 150)],
            ["", "", "repeated", "repeated", "=a1a2a3"]),
        Case(
            "larger than allowed",
            [Sent(chunk: "1/3", payload: "12345"), Sent(chunk: "2/3", payload: "678901"), chunks(3)[2]],
            ["", "chunks_too_large:12345678901", "repeated"]),
        Case("more chunks than allowed", [Sent(chunk: "1/11", payload: "x")], ["chunks_too_large:x"]),
        Case(
            "more than fits in all", ["a", "b", "c"].map { Sent(chunk: "1/2", id: $0, payload: "12345678") },
            ["", "", "too_many_chunks:12345678"]),
        Case(
            "more messages than allowed", ["a", "b", "c", "d"].map { Sent(chunk: "1/2", id: $0, payload: $0) },
            ["", "", "", "too_many_chunks:a"]),
        Case(
            "a chain that begins anew",
            [chunks(2, subject: chain)[0]] + chunks(2, id: "b", subject: chain) + [chunks(2, subject: chain)[1]],
            ["", "void", "=b1b2", "repeated"]),
        Case(
            "a chain that goes on without chunks", [chunks(2, subject: chain)[0], Sent(subject: chain, payload: "x")],
            ["", "void =x"]),
        Case(
            "a chain that waits for a full stream",
            [chunks(2, subject: chain)[0], Sent(subject: "skein.v1.processed.b.1.3", payload: "x", time: 3600)]
                + [Sent(subject: chain, chunk: "2/2", payload: "a2", time: 3600)],
            ["", "=x", "=a1a2"]),
        Case(
            "a chain whose writer never comes back",
            [chunks(2, subject: chain)[0], Sent(subject: "skein.v1.processed.b.1.3", payload: "x", time: 86_400)],
            ["", "incomplete_chunks:a1 =x"]),
        Case(
            "a replay beside a chain",
            [chunks(2, subject: "skein.v1.processed.acme.1.replay")[0]]
                + chunks(2, id: "b", subject: "skein.v1.processed.acme.1.replay")
                + [chunks(2, subject: "skein.v1.processed.acme.1.replay")[1]], ["", "", "=b1b2", "=a1a2"]),
    ]

    private static var small: ChunkAssembler.Limits {
        var limits = ChunkAssembler.Limits()
        limits.maximumBytes = 10
        limits.maximumChunks = 10
        limits.openBytes = 20
        limits.openMessages = 3
        return limits
    }

    @Test("puts messages together, and ends what is interrupted as one letter", arguments: cases)
    func table(expected: Case) {
        #expect(Self.texts(Self.run(expected.sent, limits: Self.small)) == expected.outcomes)
    }

    @Test("names the first and last sequence, the last chunk's time and the first one's headers")
    func headers() throws {
        let message = try #require(Self.run(Self.chunks(3)).last?.message)
        #expect(message.firstSequence == 10)
        #expect(message.sequence == 14)
        #expect(message.timeNanoseconds == 2)
        #expect(message.contentType == "t/0")
        #expect(message.stage == "s0")
        #expect(message.isReplay)
        let letter = try #require(Self.run([Self.chunks(3)[2]]).last?.deadLetters.first)
        #expect(letter.id == "process/SKEIN_EVENTS/10.0/incomplete_chunks")
        #expect(letter.tenant == "acme")
        #expect(letter.subject == Self.key)
        #expect(letter.contentType == "t/0")
    }

    @Test("says what it needs of the stream, and until when")
    func needs() {
        var assembler = Self.assembler()
        #expect(assembler.deadline == nil && assembler.oldestReference == nil)
        let log = Log([Sent(payload: "x")] + Self.chunks(2)).messages
        for (message, chunk, id) in log.prefix(2) { _ = assembler.receive(message, chunk: chunk, id: id) }
        #expect(assembler.oldestReference == 12)
        #expect(assembler.deadline == 60_000_000_001)
        _ = assembler.receive(log[2].message, chunk: log[2].chunk, id: log[2].id)
        #expect(assembler.deadline == nil && assembler.oldestReference == nil && assembler.openCount == 0)
    }

    @Test("ends a message as a dead letter whose chunk the stream has lost")
    func lost() throws {
        let log = Log(Self.chunks(3)).messages
        var assembler = Self.assembler()
        for (message, chunk, id) in log.prefix(2) { _ = assembler.receive(message, chunk: chunk, id: id) }
        assembler = try ChunkAssembler(stage: "process", stream: "SKEIN_EVENTS", snapshot: assembler.snapshot())
        #expect(assembler.missing == [10, 12])
        assembler.provide { $0 == 12 ? Array("a2".utf8) : nil }
        let outcome = assembler.receive(log[2].message, chunk: log[2].chunk, id: log[2].id)
        #expect(Self.texts([outcome]) == ["incomplete_chunks:a2a3"])
    }

    @Test("goes on after a restore at any point as if there had been none", arguments: 1...20)
    func restore(seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        var time: UInt64 = 0
        let subjects = [Self.chain, "skein.v1.processed.b.1.3", "skein.v1.processed.acme.1.replay"]
        let sent = (0..<80).map { _ in
            time += UInt64.random(in: 0...9, using: &random) == 0 ? 50 : 1
            let count = Int.random(in: 1...3, using: &random)
            let number = Int.random(in: 1...count, using: &random)
            return Sent(
                subject: subjects[Int.random(in: 0..<3, using: &random)],
                chunk: Int.random(in: 0...3, using: &random) == 0 ? nil : "\(number)/\(count)",
                id: "\(count)\(Int.random(in: 0...1, using: &random))",
                payload: "\(Int.random(in: 0...200, using: &random))",
                time: time)
        }
        let log = Log(sent)
        var limits = Self.small
        limits.remembered = 3
        let whole = Self.run(sent, limits: limits)
        for stop in log.messages.indices {
            var assembler = Self.assembler(Self.chain, limits: limits)
            var outcomes: [ChunkAssembler.Outcome] = []
            for (index, (message, chunk, id)) in log.messages.enumerated() {
                if index == stop {
                    let snapshot = assembler.snapshot()
                    let (oldest, deadline) = (assembler.oldestReference, assembler.deadline)
                    assembler = try ChunkAssembler(
                        stage: "process", stream: "SKEIN_PROCESSED", limits: limits, snapshot: snapshot)
                    assembler.provide { log.payload(at: $0) }
                    #expect(assembler.missing.isEmpty)
                    #expect(assembler.snapshot() == snapshot)
                    #expect(assembler.oldestReference == oldest && assembler.deadline == deadline)
                }
                outcomes.append(assembler.receive(message, chunk: chunk, id: id))
            }
            #expect(outcomes == whole, "stopped before message \(stop)")
        }
    }

    @Test("refuses a damaged snapshot")
    func damaged() {
        for bytes in [[], [2], [1], [1, 9], [1, 0, 0, 0]] as [[UInt8]] {
            #expect(throws: SnapshotError.self) {
                try ChunkAssembler(stage: "process", stream: "SKEIN_EVENTS", snapshot: bytes)
            }
        }
    }
}
