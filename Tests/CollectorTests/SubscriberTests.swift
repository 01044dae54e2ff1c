import ATOF
import AgentKit
import BusReading
import Collector
import Foundation
import NATSTransport
import Stages
import Testing

@Suite("Subscribing in Swift", .timeLimit(.minutes(2)))
struct SubscriberTests {
    private static func connected(_ rig: Rig) async throws -> SkeinSubscriber {
        try await SkeinSubscriber.connect(SubscriberConfiguration(urls: [rig.server.url]))
    }

    @Test("trajectories and processed events come as they were published, also those that are larger than a message")
    func everything() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let publisher = EventPublisher(rig.jetStream, tenant: "acme", batch: 16)
                let run = Run(number: 1, tenant: "acme", calls: 2)
                let text = String(repeating: "word ", count: 40_000)
                for (number, line) in run.lines.enumerated() {
                    let line =
                        number == 1 ? line.replacing("\"data\":{", with: "\"data\":{\"text\":\"\(text)\",") : line
                    #expect(try await publisher.add(line: Array(line.utf8)) == nil)
                }
                _ = try await publisher.finish()
                let skein = try await Self.connected(rig)
                var events: [ProcessedEvents.Event] = []
                for try await delivery in try await skein.processed(tenant: "acme", from: .oldest) {
                    #expect(delivery.value.tenant == "acme" && delivery.value.complaint == nil)
                    events += delivery.value.events
                    if events.count == run.eventCount { break }
                }
                #expect(events.map(\.name) == ["agent-0", "tool-1", "tool-1", "tool-2", "tool-2", "agent-0"])
                #expect(events.allSatisfy { $0.run == run.id })
                #expect(events[1].json.count > 200_000)
                for try await delivery in try await skein.trajectories(agent: nil, from: .oldest) {
                    #expect(delivery.value.id == run.id.description && delivery.value.revision == 1)
                    #expect(delivery.value.isComplete && delivery.value.tenant == "acme")
                    #expect(delivery.value.json.count > 200_000)
                    break
                }
                await skein.close()
            }
        }
    }

    @Test("a durable reader goes on where the last one has acknowledged, and filters by tenant")
    func durable() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let runs = (1...3).map { Run(number: $0, tenant: $0 == 2 ? "other" : "acme", calls: 0) }
                for run in runs { try await rig.publish(try run.messages(of: 2)) }
                try await eventually("the trajectories are there") {
                    (try? await TrajectoryReader(rig.jetStream).all().count) == 3
                }
                let skein = try await Self.connected(rig)
                var seen: [String] = []
                for _ in 1...2 {
                    for try await delivery in try await skein.trajectories(tenant: "acme", from: .durable("reader")) {
                        seen.append(delivery.value.id)
                        try await delivery.acknowledge()
                        break
                    }
                }
                #expect(Set(seen) == [runs[0].id.description, runs[2].id.description])
                await skein.close()
            }
        }
    }

    @Test(
        "processed events of one agent are those of its runs, in Swift and on the command line, which goes on where it was"
    )
    func ofAgent() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let runs = ["planner", "writer"].enumerated().map { number, agent in
                    Run(number: number + 1, tenant: "acme", calls: 1, agent: agent)
                }
                for run in runs { try await rig.publish(try run.messages(of: 1)) }
                let skein = try await Self.connected(rig)
                var names: [String] = []
                for try await delivery in try await skein.processed(agent: "writer", from: .oldest) {
                    names += delivery.value.events.map(\.name)
                    if names.count == 4 { break }
                }
                #expect(names == ["writer", "tool-1", "tool-1", "writer"])
                let error = await #expect(throws: SubscriberError.self) {
                    _ = try await skein.processed(agent: "writer", from: .durable("reader"))
                }
                #expect(error?.code == .configuration)
                await skein.close()
                func tail(_ arguments: [String]) async throws -> SkeinProcess.Outcome {
                    try await SkeinProcess.run(
                        ["tail"] + arguments + ["--all", "--timeout", "60", "--nats", rig.server.url],
                        directory: rig.directory)
                }
                let events = try await tail(["processed", "--agent", "planner", "--count", "4"])
                #expect(events.code == 0 && events.errors == "")
                #expect(events.output.split(separator: "\n").filter { $0.contains(runs[0].id.description) }.count == 4)
                var documents: [String] = []
                for _ in 1...2 {
                    let outcome = try await tail(
                        ["trajectories", "--durable", "reader", "--count", "1", "--format", "json"])
                    #expect(outcome.code == 0 && outcome.errors == "")
                    documents.append(outcome.output)
                }
                #expect(documents[0] != documents[1] && documents.allSatisfy { !$0.isEmpty })
            }
        }
    }

    @Test("runs are forgotten, the first first, when they are too many")
    func manyRuns() throws {
        var runs = AgentRuns(agent: "agent-0", limit: 2)
        func receive(_ number: Int, _ line: Int) throws -> Bool {
            let line = Run(number: number, tenant: "acme", calls: 1).lines[line]
            var writer = EventBatchWriter()
            writer.append(packed: try EventJSONDecoder.decode(Array(line.utf8)).packed())
            return runs.receive(try EventBatch(unpacking: writer.bytes).event(at: 0), tenant: "acme")
        }
        let first = try [receive(1, 3), receive(1, 0), receive(1, 3)]
        #expect(first == [false, true, true])
        let rest = try [receive(2, 0), receive(3, 0), receive(1, 3), receive(3, 3)]
        #expect(rest == [true, true, false, true])
    }

    @Test("a subscription outlives the broker's absence")
    func absence() async throws {
        try await Rig.with { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let skein = try await Self.connected(rig)
                try await rig.publish(try Run(number: 1, tenant: "acme", calls: 0).messages(of: 2))
                try await eventually("the trajectory is there") {
                    (try? await TrajectoryReader(rig.jetStream).all().count) == 1
                }
                let subscription = try await skein.trajectories(from: .durable("reader"))
                let iterator = subscription.makeAsyncIterator()
                var first = iterator
                let before = try #require(try await first.next())
                try await before.acknowledge()
                try await rig.server.restart()
                try await rig.publish(try Run(number: 2, tenant: "acme", calls: 0).messages(of: 2))
                let after = try #require(try await first.next())
                #expect(after.value.id != before.value.id)
                await skein.close()
            }
        }
    }

    @Test("says what is wrong: a tenant, a durable name, no stream, no broker")
    func wrong() async throws {
        try await Rig.with { rig in
            let skein = try await Self.connected(rig)
            for (tenant, place, code, word) in [
                ("A.B", .now, .configuration, "A.B"), (nil, .oldest, .notFound, "SKEIN_TRAJECTORIES"),
                (nil, .durable("a b"), .configuration, "a b"),
            ] as [(String?, SkeinSubscriber.Place, SubscriberError.Code, String)] {
                let error = await #expect(throws: SubscriberError.self) {
                    for try await _ in try await skein.trajectories(tenant: tenant, from: place) { break }
                }
                #expect(error?.code == code && error?.description.contains(word) == true)
            }
            await skein.close()
        }
        let error = await #expect(throws: SubscriberError.self) {
            try await SkeinSubscriber.connect(SubscriberConfiguration(urls: ["nats://127.0.0.1:1"]))
        }
        #expect(error?.code == .refused)
    }

    /// What a durable reader does that dies over the first part, or that shares the name with others.
    @Test("an event in parts comes whole to whoever gets its last part, though the first was somebody else's")
    func spreadParts() async throws {
        try await Rig.with(maxPayload: 64 << 10) { rig in
            try await rig.collecting(try rig.configuration()) { _ in
                let text = String(repeating: "word ", count: 40_000)
                let line = AtofLine(
                    kind: "mark", uuid: Run.uuid(run: 1, scope: 1).description, name: "large", category: "custom",
                    data: "\"\(text)\""
                ).text
                let publisher = EventPublisher(rig.jetStream, tenant: "acme", batch: 16)
                #expect(try await publisher.add(line: Array(line.utf8)) == nil)
                _ = try await publisher.finish()
                let names = try await rig.processedNames(1)
                #expect(names == ["acme": ["large"]])
                let filter = "skein.v1.processed.acme.*.*"
                func open(_ name: String) async throws -> DurableConsumer {
                    try await DurableConsumer.open(
                        rig.jetStream, stream: SkeinSubjects.processedStream, name: name, filterSubject: filter,
                        acknowledgementTime: .seconds(1))
                }
                // The first part is never acknowledged there, and comes again behind the others.
                let dying = try await open("dies")
                let first = try #require(try await dying.next())
                #expect(first.message.headers[SkeinHeaders.chunk] == "1/4")
                let tail = try await SkeinProcess.run(
                    [
                        "tail", "processed", "--tenant", "acme", "--durable", "dies", "--count", "1", "--timeout", "60",
                        "--nats", rig.server.url,
                    ], directory: rig.directory)
                #expect(tail.code == 0 && tail.errors == "")
                #expect(tail.output.count > 200_000)
                let sharing = try await open("shared")
                for _ in 1...2 { try await sharing.acknowledge(try #require(try await sharing.next())) }
                let skein = try await Self.connected(rig)
                for try await delivery in try await skein.processed(tenant: "acme", from: .durable("shared")) {
                    #expect(delivery.value.events.map(\.name) == ["large"])
                    // Not acknowledged: the next reader gets it again, though the other parts are done with.
                    break
                }
                for try await delivery in try await skein.processed(tenant: "acme", from: .durable("shared")) {
                    #expect(delivery.value.events.map(\.name) == ["large"])
                    try await delivery.acknowledge()
                    break
                }
                await skein.close()
                if PythonExample.isPrepared {
                    let python = try await open("python")
                    for _ in 1...3 { try await python.acknowledge(try #require(try await python.next())) }
                    try await PythonExample.running(
                        "subscribe.py", ["processed", "--tenant", "acme", "--durable", "python"], in: rig
                    ) { example in
                        try await eventually("subscribe.py prints it") { example.output().contains(" large ") }
                    }
                }
            }
        }
    }
}
