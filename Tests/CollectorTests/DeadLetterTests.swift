import ATOF
import Foundation
import NATSTransport
import Stages
import Testing

@testable import Collector

@Suite("Dead letters", .timeLimit(.minutes(2)))
struct DeadLetterTests {
    private static func letter(
        _ sequence: UInt64, stage: String = "process", tenant: String = "acme", reason: String = "too_large",
        subject: String = "skein.v1.events.3.acme.key", contentType: String = SkeinHeaders.protobuf,
        body: [UInt8] = [1, 2]
    ) -> DeadLetter {
        DeadLetter(
            stage: stage, tenant: tenant, reason: reason, message: "a sentence", stream: "SKEIN_EVENTS",
            subject: subject, position: EventReference(sequence: sequence, index: 1), contentType: contentType,
            body: body)
    }

    private static func all(_ box: DeadLetterBox, _ filter: DeadLetterFilter = DeadLetterFilter()) async throws
        -> [StoredLetter]
    {
        var letters: [StoredLetter] = []
        try await box.forEach(filter) {
            letters.append($0)
            return true
        }
        return letters
    }

    private static func prepared(_ rig: Rig) async throws -> (DeadLetterBox, DeadLetterWriter) {
        _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
        return (DeadLetterBox(rig.jetStream), DeadLetterWriter(rig.jetStream, Metrics(), LogLines().logger))
    }

    @Test("the first of a stage and a reason is in the log, the others are counted there a minute later")
    func logged() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let log = LogLines()
            let writer = DeadLetterWriter(rig.jetStream, Metrics(), log.logger)
            for number in 1...3 { try await writer.write(Self.letter(UInt64(number))) }
            try await writer.write(Self.letter(4, stage: "assemble"))
            #expect(log.all.count == 2)
            #expect(log.all.allSatisfy { $0.contains("a sentence") && $0.contains("acme") })
        }
    }

    @Test("a line a minute for each key, with how many were kept back")
    func throttle() {
        let throttle = LogThrottle()
        let start = ContinuousClock.now
        #expect(throttle.admit("a", now: start) == 0)
        #expect(throttle.admit("a", now: start + .seconds(1)) == nil)
        #expect(throttle.admit("b", now: start + .seconds(1)) == 0)
        #expect(throttle.admit("a", now: start + .seconds(59)) == nil)
        #expect(throttle.admit("a", now: start + .seconds(60)) == 2)
        #expect(throttle.admit("a", now: start + .seconds(61)) == nil)
    }

    @Test("are found by stage, tenant, reason and time, whole also when they are stored in parts")
    func found() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let (box, writer) = try await Self.prepared(rig)
            #expect(try await Self.all(box).isEmpty)
            let large = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
            try await writer.write(Self.letter(1))
            try await writer.write(Self.letter(2, body: large))
            try await writer.write(Self.letter(3, tenant: "other", reason: "undecodable"))
            try await writer.write(Self.letter(4, stage: "assemble"))
            let letters = try await Self.all(box)
            #expect(letters.map(\.position) == ["1.1", "2.1", "3.1", "4.1"])
            #expect(letters[1].body == large && !letters[1].isIncomplete && letters[1].sequences.count > 3)
            let first = letters[0]
            #expect(first.stage == "process" && first.tenant == "acme" && first.reason == "too_large")
            #expect(first.error == "a sentence" && first.subject == "skein.v1.events.3.acme.key")
            let filters: [(DeadLetterFilter, [UInt64])] = [
                (.init(stage: "process"), [1, 2, 3]), (.init(tenant: "other"), [3]),
                (.init(reason: "undecodable"), [3]), (.init(stage: "assemble", tenant: "other"), []),
                (.init(since: letters[2].time), [3, 4]), (.init(until: letters[2].time), [1, 2]),
                (.init(since: letters[1].time, until: letters[2].time), [2]),
            ]
            for (filter, expected) in filters {
                #expect(try await Self.all(box, filter).map(\.position) == expected.map { "\($0).1" }, "\(filter)")
            }
            // By any of its parts.
            #expect(try await box.letter(at: try #require(letters[1].sequences.last)) == letters[1])
            #expect(try await box.letter(at: 999) == nil)
            try await box.remove(letters[1])
            try await box.remove(letters[1])
            #expect(try await Self.all(box).map(\.position) == ["1.1", "3.1", "4.1"])
        }
    }

    @Test("end to be read although the last one is removed meanwhile")
    func removedMeanwhile() async throws {
        try await Rig.with { rig in
            let (box, writer) = try await Self.prepared(rig)
            // More than is read ahead.
            for index in 0..<12 {
                try await writer.write(
                    Self.letter(UInt64(index + 1), body: [UInt8](repeating: UInt8(index), count: 600_000)))
            }
            var found: [UInt8?] = []
            try await box.forEach(DeadLetterFilter()) { letter in
                if found.isEmpty {
                    try await rig.jetStream.deleteMessage(stream: SkeinSubjects.deadStream, sequence: 12)
                }
                found.append(letter.body.first)
                return true
            }
            #expect(found == (0..<11).map { UInt8($0) })
        }
    }

    @Test("of process are replayed the normal way: as they came, marked, and whole")
    func replayProcess() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let (box, writer) = try await Self.prepared(rig)
            let line = ProcessRig.line(7, bytes: 200_000)
            try await writer.write(Self.letter(1, contentType: SkeinHeaders.jsonLines, body: Array(line.utf8)))
            let letter = try #require(try await Self.all(box).first)
            #expect(try await box.replay(letter, attempt: 1) == nil)
            #expect(try await box.replay(letter, attempt: 1) == nil)
            var chunks = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream)
            var whole: [StageMessage] = []
            for message in try await rig.contents(of: SkeinSubjects.eventsStream) {
                #expect(message.headers[SkeinHeaders.replayOf] == String(letter.sequence))
                let outcome = chunks.receive(
                    StageMessage(
                        subject: message.subject, sequence: message.sequence, timeNanoseconds: 1,
                        contentType: message.headers[SkeinHeaders.contentType],
                        isReplay: message.headers[SkeinHeaders.replayOf] != nil, payload: message.payload),
                    chunk: message.headers[SkeinHeaders.chunk], id: message.headers[SkeinHeaders.chunkID])
                if let message = outcome.message { whole.append(message) }
            }
            // The same attempt is stored once.
            #expect(whole.count == 1)
            let message = try #require(whole.first)
            #expect(SkeinSubjects.tenant(ofStoredEvents: message.subject) == "acme")
            #expect(SkeinSubjects.key(ofStoredEvents: message.subject) == "key")
            var machine = ProcessMachine(partitioning: Partitioning(count: 8))
            let counts = machine.receive(message).counts
            #expect(counts.processed == 1 && counts.replayed == 1)
        }
    }

    @Test("of a stage behind PROCESSED go back to that stage only")
    func replayExport() async throws {
        try await Rig.with { rig in
            let (box, writer) = try await Self.prepared(rig)
            try await writer.write(
                Self.letter(
                    5, stage: "export-phoenix", reason: "refused_400", subject: "skein.v1.processed.acme.2.3",
                    contentType: "application/x-skein-span", body: [9, 9]))
            let letter = try #require(try await Self.all(box).first)
            #expect(try await box.replay(letter, attempt: 1) == nil)
            let stored = try #require(try await rig.contents(of: SkeinSubjects.processedStream).first)
            #expect(stored.subject == "skein.v1.processed.acme.2.replay")
            #expect(stored.headers[SkeinHeaders.stage] == "export-phoenix")
            #expect(stored.headers[SkeinHeaders.contentType] == "application/x-skein-span")
            #expect(stored.headers[SkeinHeaders.messageID] == "replay/\(letter.sequence)/1")
            #expect(stored.payload == [9, 9])
        }
    }

    @Test(
        "that cannot come out otherwise are not replayed",
        arguments: [
            ("invalid_subject", "skein.v1.events.3.ACME.key"), ("invalid_subject", "skein.v1.events.3._.key"),
            ("incomplete_chunks", "skein.v1.events.3.acme.key"), ("chunks_too_large", "skein.v1.events.3.acme.key"),
            ("too_many_chunks", "skein.v1.events.3.acme.key"),
        ])
    func notReplayed(reason: String, subject: String) async throws {
        try await Rig.with { rig in
            let (box, writer) = try await Self.prepared(rig)
            try await writer.write(Self.letter(1, reason: reason, subject: subject))
            let letter = try #require(try await Self.all(box).first)
            #expect(try await box.replay(letter, attempt: 1) != nil)
            #expect(try await rig.messages(in: SkeinSubjects.eventsStream) == 0)
        }
    }

    @Test("are listed, shown, replayed and purged on the command line")
    func commands() async throws {
        try await Rig.with { rig in
            let (box, writer) = try await Self.prepared(rig)
            let nats = ["--nats", rig.server.url]
            let body = try packed([ProcessRig.line(7, bytes: 30)])
            try await writer.write(Self.letter(1, body: body))
            try await writer.write(
                Self.letter(
                    2, tenant: "other", reason: "undecodable", contentType: SkeinHeaders.jsonLines,
                    body: Array("xxxx".utf8)))
            func run(_ arguments: String...) async throws -> SkeinProcess.Outcome {
                try await SkeinProcess.run(["dead"] + arguments + nats, directory: rig.directory)
            }
            let list = try await run("list", "--format", "json", "--since", "1h")
            #expect(list.code == 0, "\(list.errors)")
            let lines = list.output.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.first?.contains("\"reason\":\"too_large\"") == true)
            #expect(
                try await run("list", "--reason", "undecodable", "--limit", "1").output.split(separator: "\n").count
                    == 1)
            let show = try await run("show", "1")
            #expect(show.output.contains("skein.v1.events.3.acme.key"))
            #expect(show.output.contains("event 0: scopeStart"), "\(show.output)")
            #expect(!show.output.contains("xxxx"))
            #expect(try await run("show", "2", "--raw").output == "xxxx")
            let none = try await run("show", "77")
            #expect(none.code == 1 && none.errors.contains("77"))
            let replay = try await run("replay", "--tenant", "acme")
            #expect(replay.code == 0 && replay.output == "replayed 1 letter, left 0\n", "\(replay.errors)")
            #expect(try await rig.messages(in: SkeinSubjects.eventsStream) == 1)
            #expect(try await Self.all(box).map(\.tenant) == ["other"])
            let asked = try await run("purge", "--all")
            #expect(asked.code == 2 && asked.errors.contains("--yes"))
            #expect(try await Self.all(box).count == 1)
            #expect(try await run("purge", "--all", "--yes").output == "removed 1 letter\n")
            #expect(try await Self.all(box).isEmpty)
        }
    }

    @Test("have every reason listed in docs/dead-letters.md")
    func documented() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/dead-letters.md"), encoding: .utf8)
        let reasons =
            EventError.Reason.allCases.map(\.rawValue) + ProcessMachine.Reason.allCases.map(\.rawValue)
            + ChunkAssembler.Reason.allCases.map(\.rawValue) + ["refused_<status>", "refused_name"]
        for reason in reasons { #expect(text.contains("| `\(reason)` |"), "\(reason)") }
        // And nothing that no code writes.
        let table = text.split(separator: "\n").prefix { $0 != "## What a letter holds" }
        let listed = table.filter { $0.hasPrefix("| `") }.compactMap {
            $0.split(separator: "`").dropFirst().first.map(String.init)
        }
        #expect(Set(listed) == Set(reasons))
    }
}
