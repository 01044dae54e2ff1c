import ATOF
import Collector
import NATSTransport
import Stages
import Testing

@Suite("Events in chunks", .timeLimit(.minutes(2)))
struct ChunkedEventTests {
    @Test("go the whole way: a run with one of 300 KB on a server that takes 64 KB ends as one trajectory")
    func wholeWay() async throws {
        let run = Run(number: 1, tenant: "acme", calls: 3)
        let size = 300_000
        var lines = run.lines
        lines[2] = lines[2].replacing("\"phase\":\"end\"", with: "\"x\":\"\(String(repeating: "x", count: size))\"")
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let configuration = try rig.configuration()
            try await rig.collecting(configuration) { collector in
                let publisher = EventPublisher(rig.jetStream, tenant: "acme", batch: 64)
                for line in lines { #expect(try await publisher.add(line: Array(line.utf8)) == nil) }
                _ = try await publisher.finish()
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_events_missing") == 0)
            }
            #expect(try await rig.deadLetters().isEmpty)
            let trajectory = try #require(try await TrajectoryReader(rig.jetStream).all().first)
            #expect(trajectory.id == run.id.description)
            #expect(trajectory.document.compactText.utf8.count > size)
        }
    }

    @Test("that are interrupted are one dead letter, and what follows them goes on")
    func interrupted() async throws {
        try await Rig.with { rig in
            let subject = SkeinSubjects.events(tenant: "acme", key: "key")
            let body = try packed([ProcessRig.line(1, bytes: 300)])
            let configuration = try rig.configuration()
            _ = try await StreamProvisioner(rig.jetStream, configuration.streams).prepare()
            try await rig.collecting(configuration) { collector in
                for (number, part) in [(1, body[..<100]), (3, body[200...])] {
                    _ = try await rig.jetStream.publish(
                        subject: subject,
                        headers: [SkeinHeaders.chunk: "\(number)/3", SkeinHeaders.chunkID: "one"], payload: Array(part))
                }
                try await rig.publish([OutgoingMessage(subject: subject, payload: try packed([ProcessRig.line(2)]))])
                try await rig.catchUp(collector)
                let ledger = try await SkeinProcess.run(
                    ["ledger", "--nats", rig.server.url, "--key", "key"], directory: rig.directory)
                #expect(ledger.code == 0, "\(ledger.errors)")
                #expect(
                    ledger.output.contains(
                        "received 2 + injected 0 = processed 1 + dropped 0 + deduplicated 0 + dead-lettered 1\n"),
                    "\(ledger.output)")
            }
            let letters = try await rig.deadLetters()
            #expect(letters.map { $0.headers[SkeinHeaders.reason] } == ["incomplete_chunks"])
            #expect(letters.first?.payload == Array(body[..<100] + body[200...]))
            #expect(try await rig.processedEvents().count == 1)
        }
    }

    @Test("of which the rest never comes are a dead letter when their time is over, though nothing else comes")
    func cutOff() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.chunkTimeout = .milliseconds(300)
            _ = try await StreamProvisioner(rig.jetStream, configuration.streams).prepare()
            try await rig.collecting(configuration) { collector in
                _ = try await rig.jetStream.publish(
                    subject: SkeinSubjects.events(tenant: "acme", key: "key"),
                    headers: [SkeinHeaders.chunk: "1/2", SkeinHeaders.chunkID: "one"], payload: [1, 2, 3])
                try await eventually("the half is given up") { try await rig.deadLetters().count == 1 }
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_ticks_total") > 0)
            }
            let letter = try #require(try await rig.deadLetters().first)
            #expect(letter.headers[SkeinHeaders.reason] == "incomplete_chunks")
            #expect(letter.payload == [1, 2, 3])
            // Nothing of it is left: the position has passed it.
            try await rig.collecting(configuration) { try await rig.catchUp($0) }
            #expect(try await rig.deadLetters().count == 1)
        }
    }

    @Test("and dead letters that are replayed are counted, and go out of the letters")
    func replayed() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try rig.configuration()) { collector in
                // A content type that nobody knows; the replay has it too, and comes back as a new letter.
                try await rig.publish([
                    OutgoingMessage(
                        subject: SkeinSubjects.events(tenant: "acme", key: "key"), contentType: "text/plain",
                        payload: Array(ProcessRig.line(1).utf8))
                ])
                try await rig.catchUp(collector)
                let before = try #require(try await rig.deadLetters().first)
                let replay = try await SkeinProcess.run(
                    ["dead", "replay", "--reason", "unknown_content_type", "--limit", "1", "--nats", rig.server.url],
                    directory: rig.directory)
                #expect(replay.code == 0, "\(replay.errors)")
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_events_replayed_total") == 1)
                let after = try await rig.deadLetters()
                #expect(after.count == 1)
                #expect(after.first?.sequence != before.sequence)
            }
        }
    }
}
