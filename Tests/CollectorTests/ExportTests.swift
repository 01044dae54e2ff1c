import Collector
import HTTPTestServer
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("OTLP backends", .timeLimit(.minutes(1)))
struct ExportTests {
    private static let runs = (0..<20).map { Run(number: $0, tenant: "acme", calls: 4) }
    private static let spans = runs.reduce(0) { $0 + $1.spanCount }

    enum Outage: CaseIterable {
        case refusesConnections
        case answers503
    }

    @Test("that are down get everything when they come back, and delay no other", arguments: Outage.allCases)
    func down(outage: Outage) async throws {
        try await Rig.with { rig in
            let isDown = Atomic(true)
            let down = SpanSink(listens: outage != .refusesConnections) { _ in
                isDown.load(ordering: .relaxed) ? 503 : 200
            }
            let up = SpanSink()
            defer { for sink in [down, up] { sink.server.stop() } }
            var configuration = try rig.configuration(exportingTo: ("down", down), ("up", up))
            // Less than there is to send, so that the stage that cannot deliver stops reading.
            configuration.endpoints[0].maximumQueueItems = 10
            configuration.endpoints[0].maximumBatchItems = 5
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 5) })
                try await eventually("the other backend has everything") { up.count == Self.spans }
                try await eventually("it was tried") { collector.metrics.total("skein_export_retries_total") > 0 }
                #expect(down.count == 0)
                isDown.store(false, ordering: .relaxed)
                if outage == .refusesConnections { down.server.listen() }
                try await rig.catchUp(collector)
                #expect(down.count == Self.spans)
            }
            #expect(down.changed == 0)
            #expect(try await rig.deadLetters().isEmpty)
        }
    }

    @Test("that are down do not hold up a stop, and get the rest from the next collector")
    func stopWhileDown() async throws {
        try await Rig.with { rig in
            let isDown = Atomic(true)
            let sink = SpanSink { _ in isDown.load(ordering: .relaxed) ? 503 : 200 }
            defer { sink.server.stop() }
            var configuration = try rig.configuration(exportingTo: ("sink", sink))
            configuration.endpoints[0].maximumQueueItems = 10
            configuration.endpoints[0].maximumBatchItems = 5
            configuration.stopTimeout = .milliseconds(200)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 5) })
                try await eventually("all trajectories") {
                    try await rig.messages(in: SkeinSubjects.trajectoriesStream) == Self.runs.count
                }
            }
            isDown.store(false, ordering: .relaxed)
            try await rig.collecting(configuration) { try await rig.catchUp($0) }
            #expect(sink.count == Self.spans)
        }
    }

    @Test("that refuse one span get all others, and it becomes a dead letter with its bytes")
    func poisoned() async throws {
        try await Rig.with { rig in
            let sink = SpanSink { $0.contains("tool-2") ? 400 : 200 }
            defer { sink.server.stop() }
            let run = Run(number: 1, tenant: "acme", calls: 20)
            try await rig.collecting(try rig.configuration(exportingTo: ("sink", sink))) { collector in
                try await rig.publish(try run.messages(of: 100))
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_dead_letters_total") == 1)
                #expect(collector.metrics.total("skein_spans_delivered_total") == Double(run.spanCount - 1))
            }
            #expect(sink.count == run.spanCount - 1)
            let letters = try await rig.deadLetters()
            #expect(letters.map(\.subject) == [SkeinSubjects.dead(stage: "export-sink", tenant: "acme")])
            #expect(letters.first?.headers[SkeinHeaders.reason] == "refused_400")
            #expect(letters.first?.payload.firstRange(of: Array("tool-2".utf8)) != nil)
        }
    }
}
