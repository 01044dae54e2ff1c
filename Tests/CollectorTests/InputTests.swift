import ATOF
import Collector
import HTTPTestServer
import NATSTransport
import Stages
import Testing

@Suite("What producers send", .timeLimit(.minutes(1)))
struct InputTests {
    private struct Case {
        let name: String
        let message: OutgoingMessage
        var processed = 0
        var duplicates = 0
        /// Of the dead letter, whose body is the message's.
        var reason: String?
    }

    private static let uuid = "01900000-0000-7000-8000-0000000000"

    private static func subject(_ tenant: String) -> String { SkeinSubjects.events(tenant: tenant, key: "key") }

    /// A packed event whose UUID is replaced.
    private static func event(_ name: String, uuidField: [UInt8]) throws -> [UInt8] {
        let line = AtofLine(uuid: uuid + "ff", name: name).text
        let whole = try EventJSONDecoder.decode(Array(line.utf8)).packed()
        let bytes = try #require(EventUUID(uuid + "ff")).bytes
        let field = try #require(whole.firstRange(of: [0x1A, 16] + bytes))
        var writer = EventBatchWriter()
        writer.append(packed: whole[..<field.lowerBound] + uuidField + whole[field.upperBound...])
        return writer.bytes
    }

    private static func cases() throws -> [Case] {
        let bad = [UInt8](repeating: 0xFF, count: 40)
        let fifteen = try event("fifteen", uuidField: [0x1A, 15] + [UInt8](repeating: 7, count: 15))
        let line = { (number: String, data: String, timestamp: String) in
            AtofLine(uuid: uuid + number, timestamp: timestamp, data: data).text
        }
        let time = "\"2026-03-02T09:14:07Z\""
        let many = Run(number: 77, tenant: "many", calls: 499)
        let repeated = OutgoingMessage(subject: subject("acme"), payload: try packed([line("30", "1", time)]))
        let notJSON = OutgoingMessage(subject: subject("acme"), payload: try packed([line("40", "\"@@@@\"", time)]))
        let place = try #require(notJSON.payload.firstRange(of: Array("\"@@@@\"".utf8)))
        let broken = OutgoingMessage(
            subject: notJSON.subject,
            payload: notJSON.payload[..<place.lowerBound] + Array("{oops}".utf8) + notJSON.payload[place.upperBound...])
        return [
            Case(name: "undecodable", message: .init(subject: subject("acme"), payload: bad), reason: "undecodable"),
            Case(
                name: "UUID of 15 bytes", message: .init(subject: subject("acme"), payload: fifteen),
                reason: "invalid_field"),
            Case(
                name: "no UUID", message: .init(subject: subject("acme"), payload: try event("none", uuidField: [])),
                reason: "missing_field"),
            Case(
                name: "unknown category",
                message: .init(
                    subject: subject("acme"),
                    payload: try packed([AtofLine(uuid: uuid + "10", category: "wizardry").text])),
                processed: 1),
            Case(
                name: "integer timestamp in ATOF lines",
                message: .init(
                    subject: subject("acme"), contentType: "application/x-ndjson",
                    payload: Array((line("20", "{}", "1772442847000000") + "\n" + line("21", "{}", time) + "\n").utf8)),
                processed: 2),
            Case(
                name: "1,000 events", message: .init(subject: subject("many"), payload: try packed(many.lines)),
                processed: 1000),
            Case(
                name: "unknown content type",
                message: .init(subject: subject("acme"), contentType: "text/plain", payload: bad),
                reason: "unknown_content_type"),
            Case(
                name: "tenant with capitals", message: .init(subject: subject("ACME"), payload: repeated.payload),
                reason: "invalid_subject"),
            Case(name: "payload that is no JSON", message: broken, processed: 1),
            Case(name: "once", message: repeated, processed: 1),
            Case(name: "again", message: .init(subject: subject("acme"), payload: repeated.payload), duplicates: 1),
            Case(
                name: "a line that is no event",
                message: .init(
                    subject: subject("acme"), contentType: "application/x-ndjson", payload: Array("{\"kind\":1}".utf8)),
                reason: "invalid_field"),
            Case(name: "empty", message: .init(subject: subject("acme"), payload: [])),
        ]
    }

    @Test("is processed, or with the dead letters with its reason and bytes; the counts add up")
    func everything() async throws {
        let cases = try Self.cases()
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            try await rig.collecting(try rig.configuration(exportingTo: ("sink", sink))) { collector in
                try await rig.publish(cases.map(\.message))
                try await rig.catchUp(collector)
                let processed = try await rig.processedEvents()
                #expect(processed.count == cases.reduce(0) { $0 + $1.processed })
                #expect(processed.values.allSatisfy { $0 == 1 })
                let letters = try await rig.deadLetters()
                for expected in cases {
                    guard let reason = expected.reason else { continue }
                    let letter = letters.first {
                        $0.payload == expected.message.payload && $0.headers[SkeinHeaders.reason] == reason
                    }
                    #expect(letter != nil, "\(expected.name)")
                    #expect(letter?.headers[SkeinHeaders.contentType] == expected.message.contentType)
                    #expect(letter?.headers[SkeinHeaders.originalStream] == SkeinSubjects.eventsStream)
                    #expect(letter?.headers[SkeinHeaders.error]?.isEmpty == false)
                }
                let dead = cases.count { $0.reason != nil }
                #expect(letters.count == dead)
                let duplicates = cases.reduce(0) { $0 + $1.duplicates }
                #expect(collector.metrics.total("skein_events_processed_total") == Double(processed.count))
                #expect(collector.metrics.total("skein_events_duplicate_total") == Double(duplicates))
                #expect(collector.metrics.total("skein_events_dead_total") == Double(dead))
                #expect(collector.metrics.total("skein_events_repaired_total") == 1)
                let received = collector.metrics.prometheusText().split(separator: "\n")
                    .first { $0.hasPrefix("skein_events_received_total{stage=\"process\"}") }
                #expect(received?.hasSuffix(" \(processed.count + duplicates + dead)") == true)

                // Still alive.
                let run = Run(number: 900, tenant: "after", calls: 3)
                try await rig.publish(try run.messages(of: 4))
                try await rig.catchUp(collector)
                let found = try await TrajectoryReader(rig.jetStream).all()
                #expect(found.contains { $0.id == run.id.description })
            }
            let events = try await rig.contents(of: SkeinSubjects.processedStream).flatMap { message in
                let batch = try EventBatch(unpacking: message.payload)
                return try (0..<batch.count).map { try batch.event(at: $0) }
            }
            let wizard = try #require(events.first { $0.uuid == EventUUID(Self.uuid + "10") })
            #expect(wizard.category == Event.Category("wizardry"))
            #expect(wizard.category?.known == .unknown)
            let repaired = try #require(events.first { $0.uuid == EventUUID(Self.uuid + "40") })
            #expect(repaired.data?.value == .string("{oops}"))
            let counted = try #require(events.first { $0.uuid == EventUUID(Self.uuid + "20") })
            #expect(counted.timestamp == events.first { $0.uuid == EventUUID(Self.uuid + "21") }?.timestamp)
        }
    }

    @Test(
        "is refused by the broker on subjects without tenant and key",
        arguments: ["skein.v1.events.acme", "skein.v1.events.a.b.c"])
    func wrongSubject(subject: String) async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            do throws(NATSError) {
                _ = try await rig.jetStream.publish(subject: subject, payload: [])
                Issue.record("nobody would ever read it")
            } catch {
                #expect(error.code == .noResponders)
            }
        }
    }

    @Test("arrives whole when events have 3 MB: as they are, as spans, and in a trajectory that takes several messages")
    func large() async throws {
        let run = Run(number: 1, tenant: "acme", calls: 4)
        let size = 3_000_000
        let lines = run.lines.map { line in
            line.contains("\"phase\":\"end\"") && line.contains("\"tool\"")
                ? line.replacing("\"phase\":\"end\"", with: "\"text\":\"\(String(repeating: "x", count: size))\"")
                : line
        }
        let large = lines.count { $0.utf8.count > size }
        #expect(large == 3)
        try await Rig.with(maxPayload: 8 << 20) { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            try await rig.collecting(try rig.configuration(exportingTo: ("sink", sink))) { collector in
                try await rig.publish(
                    try lines.map {
                        OutgoingMessage(
                            subject: SkeinSubjects.events(tenant: "acme", key: "k"), payload: try packed([$0]))
                    })
                try await rig.catchUp(collector)
            }
            let processed = try await rig.contents(of: SkeinSubjects.processedStream)
            #expect(processed.count { $0.payload.count > size } == large)
            #expect(try await rig.processedEvents().count == run.eventCount)
            #expect(sink.count == run.spanCount)
            #expect(sink.spans.count { $0.bytes.count > size } == large)
            let manifest = try await rig.jetStream.lastMessage(
                stream: SkeinSubjects.trajectoriesStream, subject: SkeinSubjects.trajectory(tenant: "acme", id: run.id))
            #expect(manifest?.headers[SkeinHeaders.chunks].flatMap { Int($0) } ?? 0 > 1)
            let trajectory = try #require(try await TrajectoryReader(rig.jetStream).all().first)
            #expect(trajectory.document.compactText.utf8.count > large * size)
            #expect(try await rig.deadLetters().isEmpty)
        }
    }
}
