import ATOF
import Collector
import NATSTransport
import Stages
import Testing

@Suite("Trajectories", .timeLimit(.minutes(1)))
struct TrajectoryTests {
    private static let run = Run(number: 1, tenant: "acme", calls: 4)
    private static let subject = SkeinSubjects.trajectory(tenant: "acme", id: run.id)

    private static func message(_ lines: some Sequence<String>) throws -> OutgoingMessage {
        OutgoingMessage(
            subject: SkeinSubjects.events(tenant: "acme", key: run.id.description), payload: try packed(lines))
    }

    private static func published(_ rig: Rig) async throws -> StoredMessage? {
        try await rig.jetStream.lastMessage(
            stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true)
    }

    @Test("are published again with the next revision when an event comes late, and an older one never replaces that")
    func revisions() async throws {
        try await Rig.with { rig in
            let configuration = try rig.configuration()
            let late = 3
            var lines = Self.run.lines
            let straggler = lines.remove(at: late)
            try await rig.collecting(configuration) { collector in
                try await rig.publish([try Self.message(lines)])
                try await rig.catchUp(collector)
                let first = try #require(try await Self.published(rig))
                #expect(first.headers[SkeinHeaders.revision] == "1")
                #expect(first.headers[SkeinHeaders.state] == "complete")
                try await rig.publish([try Self.message([straggler])])
                try await rig.catchUp(collector)
            }
            let second = try #require(try await Self.published(rig))
            #expect(second.headers[SkeinHeaders.revision] == "2")
            #expect(second.headers[SkeinHeaders.eventCount] == String(Self.run.eventCount))
            let trajectory = try #require(try await TrajectoryReader(rig.jetStream).all().first)
            let expected: JSONValue = [
                "revision": 2, "state": "complete",
                "events": [
                    "assembled": .int(Int64(Self.run.eventCount)), "duplicate": 0, "late": 1, "over_limit": 0,
                    "orphaned": 0, "unavailable": 0,
                ],
            ]
            #expect(trajectory.document["extra"]?["skein"] == expected)

            // A broker that was down, and a task that has lost its place and does it all again.
            await rig.server.kill()
            try await rig.server.restart()
            try await eventually("the broker is back") {
                (try? await rig.jetStream.streamInfo(SkeinSubjects.trajectoriesStream)) != nil
            }
            for partition in 0..<2 {
                try await rig.jetStream.purgeStream(
                    "KV_\(SkeinSubjects.stateBucket)",
                    subject: "$KV.\(SkeinSubjects.stateBucket).task.assemble.\(partition)")
            }
            try await rig.collecting(configuration) { collector in
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_trajectories_republished_total") == 2)
                #expect(collector.metrics.total("skein_trajectories_published_total") == 0)
            }
            let last = try #require(try await Self.published(rig))
            #expect(last.sequence == second.sequence)
            #expect(last.headers[SkeinHeaders.revision] == "2")
        }
    }

    @Test("that are larger than a message are stored once, also when their task does it all again")
    func parts() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            let configuration = try rig.configuration()
            let run = Run(number: 2, tenant: "acme", calls: 200)
            let subject = SkeinSubjects.events(tenant: "acme", key: run.id.description)
            try await rig.collecting(configuration) { collector in
                for start in stride(from: 0, to: run.lines.count, by: 40) {
                    let lines = run.lines[start..<min(start + 40, run.lines.count)]
                    try await rig.publish([OutgoingMessage(subject: subject, payload: try packed(lines))])
                }
                try await rig.catchUp(collector)
            }
            let part = SkeinSubjects.trajectoryChunk(tenant: "acme", id: run.id, revision: 1, number: 1)
            let first = try #require(
                try await rig.jetStream.lastMessage(stream: SkeinSubjects.trajectoriesStream, subject: part))
            for partition in 0..<2 {
                try await rig.jetStream.purgeStream(
                    "KV_\(SkeinSubjects.stateBucket)",
                    subject: "$KV.\(SkeinSubjects.stateBucket).task.assemble.\(partition)")
            }
            try await rig.collecting(configuration) { collector in
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_trajectories_republished_total") == 1)
            }
            let again = try await rig.jetStream.lastMessage(stream: SkeinSubjects.trajectoriesStream, subject: part)
            #expect(again?.sequence == first.sequence)
            #expect(try await TrajectoryReader(rig.jetStream).all().count == 1)
        }
    }

    @Test("of runs that never end are published as abandoned once they are idle")
    func abandoned() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.runs.idle = .milliseconds(300)
            try await rig.collecting(configuration) { collector in
                try await rig.publish([try Self.message(Self.run.lines.dropLast())])
                try await rig.catchUp(collector)
                try await eventually("the trajectory is abandoned") {
                    try await Self.published(rig)?.headers[SkeinHeaders.state] == "abandoned"
                }
            }
            let trajectory = try #require(try await TrajectoryReader(rig.jetStream).all().first)
            #expect(!trajectory.isComplete)
            #expect(trajectory.document["extra"]?["skein"]?["reason"] == "idle")
        }
    }

    @Test("that are open can be listed, and no longer when they are closed")
    func open() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.runs.progressInterval = .milliseconds(20)
            let reader = TrajectoryReader(rig.jetStream)
            let tail = ["tail", "trajectories", "--open", "--nats", rig.server.url]
            try await rig.collecting(configuration) { collector in
                try await rig.publish([try Self.message(Self.run.lines.dropLast())])
                try await rig.catchUp(collector)
                try await eventually("it is told of") {
                    try await reader.open(tenant: "acme").first?.events == Self.run.eventCount - 1
                }
                #expect(try await reader.open(tenant: "other").isEmpty)
                #expect(try await reader.all().isEmpty)
                let text = try await SkeinProcess.run(tail, directory: rig.directory)
                #expect(text.code == 0)
                #expect(text.output.contains("\(Self.run.id)  acme  agent-0  \(Self.run.eventCount - 1) events"))
                let json = try await SkeinProcess.run(tail + ["--format", "json"], directory: rig.directory)
                #expect(json.output.contains(#""state":"open""#))
                try await rig.publish([try Self.message(Self.run.lines.suffix(1))])
                try await rig.catchUp(collector)
                #expect(try await reader.all().map(\.revision) == [1])
                let record = try await rig.jetStream.lastMessage(
                    stream: SkeinSubjects.trajectoriesStream,
                    subject: SkeinSubjects.trajectoryOpen(tenant: "acme", id: Self.run.id), fromLeader: true)
                #expect(record == nil)
            }
            #expect(try await SkeinProcess.run(tail, directory: rig.directory).output == "")
        }
    }

    @Test("are read again from the stream when they were too large to hold, also after a restart")
    func spilled() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.runs.maximumHeldBytes = 1000
            let run = Run(number: 2, tenant: "acme", calls: 200)
            let messages = try run.messages(of: 3)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(messages.prefix(50))
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_trajectories_spilled_total") == 1)
                #expect(collector.metrics.total("skein_held_payload_bytes") == 0)
            }
            try await rig.collecting(configuration) { collector in
                try await rig.publish(messages.dropFirst(50))
                try await rig.catchUp(collector)
            }
            let trajectory = try #require(try await TrajectoryReader(rig.jetStream).all().first)
            let observed = trajectory.document["extra"]?["observed_events"]?.arrayValue ?? []
            #expect(observed.count == run.eventCount)
            let scopes = observed.compactMap { $0["uuid"]?.stringValue }
            #expect(Set(scopes).count == 201)
            #expect(trajectory.document["extra"]?["skein"]?["events"]?["unavailable"] == 0)
        }
    }

    @Test("say which events were gone from the stream when they were to be read again")
    func unavailable() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.runs.maximumHeldBytes = 1
            let messages = try Self.run.messages(of: 4)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(messages.dropLast())
                try await rig.catchUp(collector)
                try await rig.jetStream.purgeStream(SkeinSubjects.processedStream)
                try await rig.publish(messages.suffix(1))
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_task_restarts_total") == 0)
            }
            let trajectory = try #require(try await TrajectoryReader(rig.jetStream).all().first)
            let skein = trajectory.document["extra"]?["skein"]
            #expect(skein?["events"]?["unavailable"] == 8)
            #expect(skein?["events"]?["assembled"] == 2)
            #expect(skein?["unavailable"]?.arrayValue?.count == 8)
        }
    }
}
