import ATOF
import Stages
import Testing

@Suite("Process machine")
struct ProcessMachineTests {
    private var machine = ProcessMachine(partitioning: Partitioning(count: 8))

    private static func message(
        _ payload: [UInt8], subject: String = "skein.v1.events.3.acme.key", contentType: String? = nil
    ) -> StageMessage {
        StageMessage(subject: subject, sequence: 77, timeNanoseconds: 1, contentType: contentType, payload: payload)
    }

    /// The events of a piece, cut where its ends say.
    private static func events(of piece: ProcessMachine.Piece) throws -> [Event] {
        var start = 0
        return try piece.ends.map { end in
            defer { start = end.end }
            let batch = try EventBatch(unpacking: Array(piece.frames.bytes[start..<end.end]))
            #expect(batch.count == 1)
            return try batch.event(at: 0)
        }
    }

    @Test("passes a message of 1,000 events on, in order and with their root")
    mutating func thousand() throws {
        let packed = (0..<1000).map { TestEvents.fields(.mark, UInt64($0) + 10, parent: 5).packed() }
        let outcome = machine.receive(ProcessMachineTests.message(TestEvents.batch(packed)))
        #expect(outcome.counts == counts(received: 1000, processed: 1000))
        #expect(outcome.deadLetters.isEmpty)
        let piece = try #require(outcome.pieces.first)
        #expect(outcome.pieces.count == 1)
        #expect(piece.tenant == "acme")
        #expect(piece.partition == Partitioning(count: 8).partition(ofRoot: TestEvents.uuid(5)))
        #expect(piece.frames.count == 1000)
        #expect(piece.ends.map(\.index) == Array(0..<1000))
        let events = try ProcessMachineTests.events(of: piece)
        #expect(events.map(\.uuid) == (0..<1000).map { TestEvents.uuid(UInt64($0) + 10) })
        #expect(events.allSatisfy { $0.rootUUID == TestEvents.uuid(5) })
        #expect(zip(events, packed).allSatisfy { $0.packed.array.starts(with: $1) })
        #expect(try EventBatch(unpacking: piece.frames.bytes).count == 1000)
    }

    @Test("splits two roots of one message into pieces that keep the order and the indices")
    mutating func twoRoots() throws {
        let partitioning = Partitioning(count: 8)
        let first = UInt64(1)
        let other = try #require(
            (2..<100).first {
                partitioning.partition(ofRoot: TestEvents.uuid($0))
                    != partitioning.partition(ofRoot: TestEvents.uuid(first))
            })
        let fields = (0..<6).map { TestEvents.fields(.mark, 1000 + UInt64($0), parent: $0 % 3 == 1 ? other : first) }
        let outcome = machine.receive(ProcessMachineTests.message(TestEvents.batch(fields.map { $0.packed() })))
        #expect(outcome.pieces.map { $0.ends.map(\.index) } == [[0, 2, 3, 5], [1, 4]])
        #expect(
            outcome.pieces.map(\.partition)
                == [first, other].map { partitioning.partition(ofRoot: TestEvents.uuid($0)) })
        for piece in outcome.pieces {
            let uuids = try ProcessMachineTests.events(of: piece).map(\.uuid)
            #expect(uuids == piece.ends.map { TestEvents.uuid(1000 + UInt64($0.index)) })
        }
    }

    @Test("takes a root that a publisher sent for nothing")
    mutating func forgedRoot() throws {
        let packed =
            TestEvents.fields(.mark, 1, parent: 5).packed() + [0x82, 0x01, 16] + [UInt8](repeating: 9, count: 16)
        let outcome = machine.receive(ProcessMachineTests.message(TestEvents.batch([packed])))
        #expect(try outcome.pieces.flatMap(ProcessMachineTests.events).map(\.rootUUID) == [TestEvents.uuid(5)])
    }

    @Test("drops what repeats, inside of a message and over messages, and after a snapshot")
    mutating func duplicates() throws {
        let start = TestEvents.fields(.scopeStart, 1).packed()
        let end = TestEvents.fields(.scopeEnd, 1).packed()
        var outcome = machine.receive(ProcessMachineTests.message(TestEvents.batch([start, start, end])))
        #expect(outcome.counts == counts(received: 3, processed: 2, duplicates: 1))
        #expect(outcome.pieces.map { $0.ends.map(\.index) } == [[0, 2]])
        machine = try ProcessMachine(partitioning: Partitioning(count: 8), snapshot: machine.snapshot())
        outcome = machine.receive(ProcessMachineTests.message(TestEvents.batch([end])))
        #expect(outcome.counts == counts(received: 1, duplicates: 1))
        #expect(outcome.pieces.isEmpty)
        // Another tenant's events are its own, though the UUID is the same.
        outcome = machine.receive(
            ProcessMachineTests.message(TestEvents.batch([end]), subject: "skein.v1.events.3.other.key"))
        #expect(outcome.counts == counts(received: 1, processed: 1))
        #expect(outcome.pieces.map(\.tenant) == ["other"])
        #expect(machine.openScopes == 0)
    }

    @Test("refuses a damaged snapshot")
    func damagedSnapshot() {
        #expect(throws: SnapshotError.self) {
            try ProcessMachine(partitioning: Partitioning(count: 8), snapshot: [1, 5])
        }
    }

    @Test(
        "dead-letters a message as a whole",
        arguments: [
            (Array("no protobuf".utf8), "skein.v1.events.3.acme.key", nil, "undecodable", "acme"),
            (Array("no protobuf".utf8), "skein.v1.events.3.acme.key", "application/x-protobuf", "undecodable", "acme"),
            ([], "skein.v1.events.3.acme.key", "application/json", "unknown_content_type", "acme"),
            ([], "skein.v1.events.3.acme.key", "", "unknown_content_type", "acme"),
            ([1, 2], "skein.v1.events.3.Acme.key", nil, "invalid_subject", "_"),
            ([], "skein.v1.events.3..key", nil, "invalid_subject", "_"),
            ([], "skein.v1.events.3", nil, "invalid_subject", "_"), ([], "", nil, "invalid_subject", "_"),
            ([], "skein.v1.events.3.>.key", nil, "invalid_subject", "_"),
            (
                Array(repeatElement([0x0A, 0x00], count: 65_537).joined()), "skein.v1.events.3.acme.key", nil,
                "undecodable", "acme"
            ),
            (
                Array(repeatElement(Array("x\n".utf8), count: 65_537).joined()), "skein.v1.events.3.acme.key",
                "application/x-ndjson",
                "undecodable", "acme"
            ),
        ] as [([UInt8], String, String?, String, String)])
    func refusedMessage(payload: [UInt8], subject: String, contentType: String?, reason: String, tenant: String) throws
    {
        var machine = machine
        let outcome = machine.receive(ProcessMachineTests.message(payload, subject: subject, contentType: contentType))
        #expect(outcome.counts == counts(received: 1, deadLettered: 1))
        #expect(outcome.pieces.isEmpty)
        let letter = try #require(outcome.deadLetters.first)
        #expect(letter.reason == reason)
        #expect(letter.tenant == tenant)
        #expect(letter.stage == "process")
        #expect(letter.stream == "SKEIN_EVENTS")
        #expect(letter.subject == subject)
        #expect(letter.contentType == contentType ?? "application/x-protobuf")
        #expect(letter.body == payload)
        #expect(letter.id == "process/SKEIN_EVENTS/77.0/\(reason)")
    }

    @Test(
        "dead-letters one event and passes its neighbours on",
        arguments: [
            ([0xFF], "undecodable", "packed skein.v1.Event"), ([0x08, 0x02], "missing_field", "uuid:"),
            ([], "missing_field", "kind:"), ([0x08, 0x07], "invalid_field", "kind:"),
            (TestEvents.fields(.mark, 1).packed() + [0x1A, 1, 9], "invalid_field", "uuid:"),
            (TestEvents.fields(.scopeStart, 1, category: nil).packed(), "missing_field", "category:"),
            (TestEvents.fields(.mark, 1).packed() + [0x32, 1, 0xFF], "invalid_field", "name:"),
        ] as [([UInt8], String, String)])
    func refusedEvent(packed: [UInt8], reason: String, message: String) throws {
        var machine = machine
        let first = TestEvents.fields(.mark, 10).packed()
        let last = TestEvents.fields(.mark, 11, parent: 10).packed()
        let outcome = machine.receive(ProcessMachineTests.message(TestEvents.batch([first, packed, last])))
        #expect(outcome.counts == counts(received: 3, processed: 2, deadLettered: 1))
        #expect(outcome.pieces.map { $0.ends.map(\.index) } == [[0, 2]])
        let letter = try #require(outcome.deadLetters.first)
        #expect(letter.reason == reason)
        #expect(letter.message.contains(message), "\(letter.message)")
        #expect(letter.position == EventReference(sequence: 77, index: 1))
        #expect(letter.contentType == "application/x-protobuf")
        // A message of its own, which can be published again.
        #expect(letter.body == TestEvents.batch([packed]))
    }

    @Test("reads JSON lines", arguments: ["application/x-ndjson", "Application/X-NDJSON; charset=utf-8"])
    func jsonLines(contentType: String) throws {
        var machine = machine
        let start = try TestEvents.line(TestEvents.fields(.scopeStart, 1, parent: 5))
        let end = try TestEvents.line(TestEvents.fields(.scopeEnd, 1, parent: 5))
        let text = "\n\(start)\r\n  \nnonsense\n{\"kind\":\"mark\"}\n\(end)"
        let outcome = machine.receive(ProcessMachineTests.message(Array(text.utf8), contentType: contentType))
        #expect(outcome.counts == counts(received: 4, processed: 2, deadLettered: 2))
        let piece = try #require(outcome.pieces.first)
        #expect(piece.ends.map(\.index) == [0, 4])
        let events = try ProcessMachineTests.events(of: piece)
        #expect(events.map(\.kind) == [.scopeStart, .scopeEnd])
        #expect(events.map(\.rootUUID) == [TestEvents.uuid(5), TestEvents.uuid(5)])
        #expect(outcome.deadLetters.map(\.reason) == ["invalid_json", "missing_field"])
        #expect(outcome.deadLetters.map(\.body) == [Array("nonsense".utf8), Array(#"{"kind":"mark"}"#.utf8)])
        #expect(outcome.deadLetters.map(\.position.index) == [2, 3])
        #expect(outcome.deadLetters.allSatisfy { $0.contentType == contentType })
    }

    @Test("repairs payloads, counts the event once, and leaves the others alone", arguments: [false, true])
    func repairs(asLines: Bool) throws {
        var machine = machine
        var damaged = TestEvents.fields(.mark, 1)
        damaged.data = Array(#"{"n":18446744073709551616}"#.utf8)
        damaged.metadata = Array(#"["\ud83d"]"#.utf8)
        var intact = TestEvents.fields(.mark, 2, parent: 1)
        intact.data = Array(#"{ "n" : 1.50 }"#.utf8)
        let message: StageMessage
        if asLines {
            let line = try TestEvents.line(TestEvents.fields(.mark, 1))
                .replacing(#""data":null"#, with: #""data":{"n":18446744073709551616}"#)
                .replacing(#""metadata":null"#, with: #""metadata":["\ud83d"]"#)
            let text = line + "\n" + (try TestEvents.line(intact))
            message = ProcessMachineTests.message(Array(text.utf8), contentType: "application/x-ndjson")
        } else {
            message = ProcessMachineTests.message(TestEvents.batch([damaged.packed(), intact.packed()]))
        }
        let outcome = machine.receive(message)
        #expect(outcome.counts == counts(received: 2, processed: 2, repaired: 1))
        let events = try outcome.pieces.flatMap(ProcessMachineTests.events)
        let texts = events.map { [$0.data, $0.metadata].map { $0?.withBytes { String(decoding: $0, as: UTF8.self) } } }
        #expect(texts.first == [#"{"n":1.8446744073709552e+19}"#, #""[\"\\ud83d\"]""#])
        #expect(texts.last == [asLines ? #"{"n":1.5}"# : #"{ "n" : 1.50 }"#, nil])
    }

    @Test("takes times in microseconds and unknown categories")
    mutating func leniency() throws {
        let line =
            #"{"kind":"scope","scope_category":"start","atof_version":"0.1","uuid":"019b7711-9a74-7090-8d72-d297c1624d91","#
            + #""timestamp":1767225600000001,"name":"n","attributes":[],"category":"planner"}"#
        let outcome = machine.receive(
            ProcessMachineTests.message(Array(line.utf8), contentType: "application/x-ndjson"))
        let event = try #require(try outcome.pieces.flatMap(ProcessMachineTests.events).first)
        #expect(event.timestamp.rfc3339 == "2026-01-01T00:00:00.000001+00:00")
        #expect(event.category == Event.Category("planner"))
        #expect(event.category?.known == .unknown)
        #expect(machine.openScopes == 1)
    }

    @Test("makes nothing of a message without events", arguments: [nil, "application/x-ndjson"])
    func empty(contentType: String?) {
        var machine = machine
        let outcome = machine.receive(ProcessMachineTests.message([], contentType: contentType))
        #expect(outcome.counts == counts())
        #expect(outcome.pieces.isEmpty && outcome.deadLetters.isEmpty)
    }

    @Test("gives every event of a damaged message to exactly one count", arguments: 1...4)
    func fuzz(seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        var machine = machine
        let intact = TestEvents.batch(
            (0..<20).map {
                TestEvents.fields($0 % 2 == 0 ? .scopeStart : .scopeEnd, UInt64($0 / 2), parent: 100).packed()
            })
        for _ in 0..<300 {
            var bytes = intact
            for _ in 0..<Int.random(in: 1...10, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let isLines = Bool.random(using: &random)
            let outcome = machine.receive(
                ProcessMachineTests.message(bytes, contentType: isLines ? "application/x-ndjson" : nil))
            let counts = outcome.counts
            #expect(counts.received == counts.processed + counts.duplicates + counts.deadLettered)
            #expect(outcome.pieces.reduce(0) { $0 + $1.frames.count } == counts.processed)
            #expect(outcome.deadLetters.count == counts.deadLettered)
        }
    }

    private func counts(
        received: Int = 0, processed: Int = 0, duplicates: Int = 0, deadLettered: Int = 0, repaired: Int = 0
    ) -> ProcessMachine.Counts {
        var counts = ProcessMachine.Counts()
        counts.received = received
        counts.processed = processed
        counts.duplicates = duplicates
        counts.deadLettered = deadLettered
        counts.repaired = repaired
        return counts
    }
}
