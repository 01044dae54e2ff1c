import ATOF
import Collector
import NATSTransport
import Stages
import Testing

@Suite("Event publisher", .timeLimit(.minutes(2)))
struct EventPublisherTests {
    private static func add(_ lines: some Sequence<String>, to publisher: EventPublisher) async throws {
        for line in lines { #expect(try await publisher.add(line: Array(line.utf8)) == nil) }
    }

    @Test("sends an event that is larger than a message in chunks, with the numbers of its producer")
    func chunks() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let publisher = EventPublisher(rig.jetStream, tenant: "acme", batch: 64)
            var lines = Run(number: 1, tenant: "acme", calls: 2).lines
            lines[2] = lines[2].replacing(
                "\"phase\":\"end\"", with: "\"x\":\"\(String(repeating: "x", count: 200_000))\"")
            try await Self.add(lines, to: publisher)
            let summary = try await publisher.finish()
            #expect(summary.events == lines.count && summary.refused == 0)
            let stored = try await rig.contents(of: SkeinSubjects.eventsStream)
            #expect(stored.count == summary.messages)
            #expect(Set(stored.compactMap { $0.headers[SkeinHeaders.messageID] }).count == stored.count)
            var chunks = ChunkAssembler(stage: "process", stream: SkeinSubjects.eventsStream)
            var machine = ProcessMachine(partitioning: Partitioning(count: 8))
            var processed = 0
            for message in stored {
                let outcome = chunks.receive(
                    StageMessage(
                        subject: message.subject, sequence: message.sequence,
                        timeNanoseconds: UInt64(message.timestampNanos),
                        contentType: message.headers[SkeinHeaders.contentType], payload: message.payload),
                    chunk: message.headers[SkeinHeaders.chunk], id: message.headers[SkeinHeaders.chunkID])
                #expect(outcome.deadLetters.isEmpty)
                if let whole = outcome.message { processed += machine.receive(whole).counts.processed }
            }
            #expect(processed == lines.count)
            #expect(machine.missingEvents == 0 && machine.producerGaps.isEmpty)
        }
    }

    @Test("refuses an event above the limit, and names the limit")
    func limit() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let publisher = EventPublisher(rig.jetStream, tenant: "acme", batch: 64, maximumEventBytes: 5_000)
            let complaint = try await publisher.add(line: Array(ProcessRig.line(1, bytes: 6_000).utf8))
            #expect(complaint?.contains("5000") == true && complaint?.contains("--max-event-bytes") == true)
            try await Self.add([ProcessRig.line(2)], to: publisher)
            let summary = try await publisher.finish()
            #expect(summary.events == 1 && summary.refused == 1)
        }
    }

    @Test("keeps the order within a key when the broker is away for a while, and sends nothing twice")
    func order() async throws {
        try await Rig.with { rig in
            _ = try await StreamProvisioner(rig.jetStream, CollectorConfiguration().streams).prepare()
            let publisher = EventPublisher(rig.jetStream, tenant: "acme", batch: 2)
            let runs = (1...8).map { Run(number: $0, tenant: "acme", calls: 150) }
            let lines = (0..<runs[0].lines.count).flatMap { index in runs.map { $0.lines[index] } }
            for (index, line) in lines.enumerated() {
                #expect(try await publisher.add(line: Array(line.utf8)) == nil)
                if index == lines.count / 3 || index == lines.count * 2 / 3 {
                    await rig.server.kill()
                    try await rig.server.restart()
                }
            }
            #expect(try await publisher.finish().events == lines.count)
            var found: [String: [EventKey]] = [:]
            for message in try await rig.contents(of: SkeinSubjects.eventsStream) {
                let batch = try EventBatch(unpacking: message.payload)
                for index in 0..<batch.count {
                    let event = try batch.event(at: index)
                    found[message.subject, default: []].append(EventKey(kind: event.kind, uuid: event.uuid))
                }
            }
            #expect(found.count == runs.count)
            for run in runs {
                let expected = try run.lines.map { line in
                    let event = try EventBatch(unpacking: try packed([line])).event(at: 0)
                    return EventKey(kind: event.kind, uuid: event.uuid)
                }
                let subject = try #require(found.keys.first { $0.hasSuffix(".\(run.id)") })
                #expect(found[subject] == expected)
            }
        }
    }

    @Test("is refused while EVENTS is full; what was acknowledged is processed, and the rest goes when there is room")
    func full() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.streams.eventsMaximumBytes = 100_000
            configuration.trimInterval = .milliseconds(50)
            _ = try await StreamProvisioner(rig.jetStream, configuration.streams).prepare()
            var acknowledged = 0
            var refusal: NATSError?
            while refusal == nil, acknowledged < 1_000 {
                let payload = try packed([ProcessRig.line(acknowledged + 1, bytes: 2_000)])
                do throws(NATSError) {
                    _ = try await rig.jetStream.publish(
                        subject: SkeinSubjects.events(tenant: "acme", key: "k"),
                        payload: payload)
                    acknowledged += 1
                } catch {
                    refusal = error
                }
            }
            #expect(refusal?.code == .streamFull)
            #expect(try await rig.messages(in: SkeinSubjects.eventsStream) == UInt64(acknowledged))
            let impatient = EventPublisher(rig.jetStream, tenant: "acme", batch: 1, patience: .milliseconds(100))
            try await Self.add([ProcessRig.line(2_000, bytes: 2_000)], to: impatient)
            await #expect(throws: NATSError.self) { _ = try await impatient.finish() }
            let patient = EventPublisher(rig.jetStream, tenant: "acme", batch: 1)
            let more = (3_000..<3_100).map { ProcessRig.line($0, bytes: 2_000) }
            try await rig.collecting(configuration) { collector in
                try await Self.add(more, to: patient)
                #expect(try await patient.finish().events == more.count)
                try await rig.catchUp(collector)
            }
            let processed = try await rig.processedEvents()
            #expect(processed.count == acknowledged + more.count)
            #expect(processed.values.allSatisfy { $0 == 1 })
        }
    }
}
