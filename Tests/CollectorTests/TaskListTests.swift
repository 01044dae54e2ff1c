import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Lag", .timeLimit(.minutes(1)))
struct TaskListTests {
    private static let runs = (0..<20).map { Run(number: $0, tenant: "acme", calls: 4) }

    private struct Row: Decodable {
        let stage: String
        let partition: Int
        let owner: String
        let policy: String
        let position: UInt64
        let messages: UInt64
        let seconds: Double
    }

    private static func lag(_ rig: Rig, _ arguments: String...) async throws -> [Row] {
        let outcome = try await SkeinProcess.run(
            ["lag", "--nats", rig.server.url, "--format", "json"] + arguments, directory: rig.directory)
        #expect(outcome.code == 0, "\(outcome.errors)")
        return try JSONDecoder().decode([Row].self, from: Data(outcome.output.utf8))
    }

    @Test(
        "of a live collector is shown for every cursor, by the command and by the server's own account of its consumers"
    )
    func live() async throws {
        try await Rig.with { rig in
            let isDown = Atomic(true)
            let sink = SpanSink { _ in isDown.load(ordering: .relaxed) ? 503 : 200 }
            defer { sink.server.stop() }
            var configuration = try rig.configuration(exportingTo: ("sink", sink))
            // So that not all of the backlog is under way.
            configuration.endpoints[0].maximumQueueItems = 4
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 2) })
                try await eventually("all but the endpoint are done") {
                    let rows = try await Self.lag(rig)
                    return rows.count == 6 && rows.allSatisfy { ($0.messages == 0) == ($0.stage != "export-sink") }
                }
                let rows = try await Self.lag(rig, "--stage", "export-sink")
                #expect(rows.count == 2)
                #expect(rows.allSatisfy { $0.messages > 0 && $0.seconds > 0 && !$0.owner.isEmpty })
                // What waits in the stream is what the server says that its consumer has not got, and what it got and nobody has yet.
                let consumers = try await rig.jetStream.consumers(
                    of: SkeinSubjects.processedStream, namePrefix: "skein-export-sink-0-")
                #expect(consumers.count == 1)
                let info = try await rig.jetStream.consumerInfo(
                    stream: SkeinSubjects.processedStream, consumer: try #require(consumers.first))
                #expect(info.isInMemory && info.replicas <= 1)
                #expect(info.filterSubjects == [SkeinSubjects.processedFilter(partition: 0)])
                #expect(String(decoding: info.json, as: UTF8.self).contains("\"num_pending\""))
                try await eventually("the collector's own figure is the same") {
                    let shown = collector.metrics.total("skein_task_lag_messages")
                    return try await shown == Double(Self.lag(rig).reduce(0) { $0 + $1.messages })
                }
                isDown.store(false, ordering: .relaxed)
                try await eventually("nothing waits") { try await Self.lag(rig).allSatisfy { $0.messages == 0 } }
            }
            #expect(try await Self.lag(rig).allSatisfy { $0.owner.isEmpty })
        }
    }

    private static func document(_ policy: String) throws -> ConfigurationDocument {
        try ConfigurationReader.read(text: policy, name: "", environment: [:]).0.document
    }

    @Test("members with different policies are told by the log, a metric and the command, until they have the same")
    func policies() async throws {
        try await Rig.with { rig in
            func denying(_ tool: String) -> String {
                "[[components]]\nkind = \"guardrails\"\n[[components.config.rules]]\nname = \"no\"\n"
                    + "tools = { deny = [\"\(tool)\"] }\nactions = [\"reject\"]\n"
            }
            var configuration = try rig.configuration()
            configuration.memberTimeToLive = .seconds(1)
            configuration.document = try Self.document(denying("shell"))
            var other = configuration
            other.document = try Self.document(denying("shells"))
            let (one, two) = (configuration.policyFingerprint, other.policyFingerprint)
            let log = LogLines()
            let warned = { log.all.filter { $0.contains("another policy") } }
            let metric = "skein_members_with_other_policy"
            try await rig.collecting(configuration, log: log) { first in
                try await rig.collecting(configuration) { second in
                    try await eventually("they know each other") { second.metrics.total("skein_members") == 2 }
                    #expect(first.metrics.total(metric) == 0)
                    let outcome = try await SkeinProcess.run(
                        ["lag", "--nats", rig.server.url], directory: rig.directory)
                    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
                }
                #expect(warned().isEmpty)
                try await rig.collecting(other) { second in
                    try await eventually("the difference is told") { !warned().isEmpty }
                    #expect(first.metrics.total(metric) == 1)
                    try await eventually("by both") { second.metrics.total(metric) == 1 }
                    let outcome = try await SkeinProcess.run(
                        ["lag", "--nats", rig.server.url], directory: rig.directory)
                    #expect(outcome.code == 0)
                    #expect(outcome.errors.contains("different policies"))
                    #expect(outcome.errors.contains("  \(one)  ") && outcome.errors.contains("  \(two)  "))
                    #expect(Set(try await Self.lag(rig).map(\.policy)).isSubset(of: [one, two, ""]))
                }
                try await eventually("it is over") { first.metrics.total(metric) == 0 }
            }
            #expect(warned().count == 1)
            #expect(warned().allSatisfy { $0.contains(one) && $0.contains(two) })
            #expect(log.all.contains { $0.contains("the same policy again") })
        }
    }

    @Test("is nothing to ask for before a collector has run, and a stage that there is not is named")
    func nothing() async throws {
        try await Rig.with { rig in
            let early = try await SkeinProcess.run(["lag", "--nats", rig.server.url], directory: rig.directory)
            #expect(early.code == 1)
            #expect(early.errors.contains("no collector has run here yet"))
            try await rig.collecting(try rig.configuration()) { try await rig.catchUp($0) }
            let unknown = try await SkeinProcess.run(
                ["lag", "--nats", rig.server.url, "--stage", "export-x"], directory: rig.directory)
            #expect(unknown.code == 1)
            #expect(unknown.errors.contains("export-x"))
        }
    }

    @Test("is forgotten by a reset under an idle owner too, which begins anew by itself")
    func resetLive() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let log = LogLines()
            let spans = Self.runs.reduce(0) { $0 + $1.spanCount }
            try await rig.collecting(try rig.configuration(exportingTo: ("sink", sink)), log: log) { collector in
                try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 5) })
                try await rig.catchUp(collector)
                let list = try await TaskList.open(rig.jetStream)
                try await list.reset(try await list.keys(stage: "export-sink"))
                try await eventually("everything is sent again") { sink.arrivals == 2 * spans }
                try await eventually("the records are back") { try await list.keys(stage: "export-sink").count == 2 }
            }
            #expect(sink.count == spans && sink.changed == 0)
            #expect(log.all.contains { $0.contains("was reset") })
            #expect(!log.all.contains { $0.contains("task failed") })
        }
    }

    @Test("is forgotten by a reset: an export sends again what PROCESSED holds, process stores nothing twice")
    func reset() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let configuration = try rig.configuration(exportingTo: ("sink", sink))
            let spans = Self.runs.reduce(0) { $0 + $1.spanCount }
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 5) })
                try await rig.catchUp(collector)
            }
            let asked = try await SkeinProcess.run(
                ["tasks", "reset", "--stage", "export-sink", "--nats", rig.server.url], directory: rig.directory)
            #expect(asked.code == 2)
            #expect(asked.errors.contains("--yes"))
            for stage in ["export-sink", "process"] {
                let done = try await SkeinProcess.run(
                    ["tasks", "reset", "--stage", stage, "--nats", rig.server.url, "--yes"], directory: rig.directory)
                #expect(done.code == 0, "\(done.errors)")
                #expect(done.output.contains("reset \(stage)/1"))
            }
            try await rig.collecting(configuration) { try await rig.catchUp($0) }
            #expect(sink.count == spans && sink.arrivals == 2 * spans && sink.changed == 0)
            #expect(try await rig.processedEvents().values.allSatisfy { $0 == 1 })
        }
    }
}
