import ATOF
import Collector
import HTTPTestServer
import NATSTransport
import Projections
import Stages
import Synchronization
import Testing

@Suite("Export of logs and metrics", .timeLimit(.minutes(1)))
struct SignalExportTests {
    /// An agent of a tenant whose marks are said and counted.
    private struct Agent {
        let tenant: String
        let number: Int

        var id: EventUUID { Run.uuid(run: number, scope: 0) }

        private func message(_ lines: [String], _ id: String) throws -> OutgoingMessage {
            OutgoingMessage(
                id: "\(tenant)/\(number)/\(id)",
                subject: SkeinSubjects.events(tenant: tenant, key: self.id.description),
                payload: try packed(lines))
        }

        func scope(_ phase: String) throws -> OutgoingMessage {
            try message([AtofLine(phase: phase, uuid: id.description).text], phase)
        }

        /// A mark that is a log record, and one that adds to a counter.
        func marks(_ mark: Int, adding value: Int) throws -> OutgoingMessage {
            func line(_ offset: Int, _ schema: String, _ data: String) -> String {
                """
                {"atof_version":"0.1","kind":"mark","uuid":"\(Run.uuid(run: number, scope: 2 * mark + offset))",\
                "parent_uuid":"\(id)","name":"m","timestamp":"2026-03-02T09:14:08Z","data_schema":\(schema),"data":\(data)}
                """
            }
            let measurement = "{\"name\":\"n\",\"kind\":\"counter\",\"value_type\":\"u64\",\"value\":\(value)}"
            return try message(
                [
                    line(1, "null", "\"mark \(mark)\""),
                    line(
                        2, "{\"name\":\"nemo.relay.metric_measurements\",\"version\":\"1\"}",
                        "{\"measurements\":[\(measurement)]}"),
                ], "mark-\(mark)")
        }
    }

    private static func configuration(
        _ rig: Rig, _ sink: SignalSink, temporality: MetricConfiguration.Temporality = .cumulative
    ) throws -> CollectorConfiguration {
        var configuration = try rig.configuration()
        configuration.trajectories = nil
        try sink.addEndpoints(to: &configuration, temporality: temporality)
        configuration.logEndpoints[0].initialBackoff = .milliseconds(20)
        configuration.metricEndpoints[0].initialBackoff = .milliseconds(20)
        return configuration
    }

    private static let agents = (0..<6).map { Agent(tenant: "tenant-\($0 % 2)", number: $0) }

    @Test(
        "goes on after a restart: records know their traces, and sums where they began",
        arguments: [MetricConfiguration.Temporality.cumulative, .delta])
    func restart(_ temporality: MetricConfiguration.Temporality) async throws {
        try await Rig.with { rig in
            let sink = SignalSink()
            defer { sink.server.stop() }
            let configuration = try Self.configuration(rig, sink, temporality: temporality)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(Self.agents.map { try $0.scope("start") })
                try await rig.publish(Self.agents.map { try $0.marks(1, adding: 5) })
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_log_records_delivered_total") == Double(Self.agents.count))
            }
            let first = sink.points
            try await rig.collecting(configuration) { collector in
                try await rig.publish(Self.agents.map { try $0.marks(2, adding: 7) })
                try await rig.publish(Self.agents.map { try $0.scope("end") })
                try await rig.catchUp(collector)
                let agents = UInt64(Self.agents.count)
                try await Self.checkBooks(rig, delivered: 2 * agents, of: 6 * agents)
            }
            let records = sink.records
            #expect(records.count == 2 * Self.agents.count && Set(records).count == records.count)
            for agent in Self.agents {
                let own = records.filter { $0.traceID == agent.id.bytes }
                #expect(own.map(\.body).sorted() == ["mark 1", "mark 2"] && own.allSatisfy { $0.severity == 9 })
            }
            try Self.check(temporality, first, Array(sink.points.dropFirst(first.count)))
            #expect(try await rig.deadLetters().isEmpty)
        }
    }

    /// What both collectors sent: each series continues, of each tenant and task there is one.
    private static func check(
        _ temporality: MetricConfiguration.Temporality, _ first: [SignalSink.Point], _ second: [SignalSink.Point]
    ) throws {
        func total(_ points: [SignalSink.Point]) -> Int64 {
            if temporality == .delta { return points.reduce(0) { $0 + $1.value } }
            return Dictionary(grouping: points, by: \.instance).values.reduce(0) { $0 + ($1.map(\.value).max() ?? 0) }
        }
        let count = Int64(agents.count)
        #expect(total(first) == 5 * count)
        #expect(total(first + second) == 12 * count)
        let instances = Set((first + second).map(\.instance))
        #expect(instances.allSatisfy { $0.hasPrefix("export-metrics/") })
        for tenant in ["tenant-0", "tenant-1"] { #expect(instances.contains { $0.hasSuffix("/\(tenant)") }) }
        for (_, points) in Dictionary(grouping: first + second, by: \.instance) {
            #expect(points.allSatisfy { $0.startTime < $0.time })
            if temporality == .cumulative { #expect(Set(points.map(\.startTime)).count == 1) }
        }
    }

    /// Of both endpoints every event is booked: as many as are delivered, the rest not projected, none pending.
    private static func checkBooks(_ rig: Rig, delivered: UInt64, of events: UInt64) async throws {
        let stages = ["export-logs", "export-metrics"]
        let tasks = Set(stages.flatMap { stage in (0..<2).map { TaskKey(stage: stage, partition: $0) } })
        let summary = try await LedgerClient(rig.jetStream.connection).ask(
            LedgerQuery(), tasks: tasks, timeout: .seconds(30))
        for stage in stages {
            #expect(
                summary.equation(stage)
                    == "\(stage): received \(events) = delivered \(delivered) + not projected \(events - delivered) + rejected 0 + expired 0 + pending 0"
            )
        }
    }

    @Test("what a backend refuses becomes a dead letter, and what it does not take now is repeated")
    func refused() async throws {
        try await Rig.with { rig in
            let isDown = Atomic(true)
            let sink = SignalSink { path in path == "/v1/metrics" ? 400 : isDown.load(ordering: .relaxed) ? 503 : 200 }
            defer { sink.server.stop() }
            let agent = Self.agents[0]
            try await rig.collecting(try Self.configuration(rig, sink)) { collector in
                try await rig.publish([agent.scope("start"), agent.marks(1, adding: 5), agent.scope("end")])
                try await eventually("it is repeated") { collector.metrics.total("skein_export_retries_total") > 0 }
                isDown.store(false, ordering: .relaxed)
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_metrics_rejected_total") == 1)
            }
            #expect(sink.records.map(\.body) == ["mark 1"] && sink.points.isEmpty)
            let letters = try await rig.deadLetters()
            #expect(letters.map(\.subject) == [SkeinSubjects.dead(stage: "export-metrics", tenant: agent.tenant)])
            #expect(letters.first?.headers[SkeinHeaders.contentType] == SkeinHeaders.metric)
        }
    }
}
