import ATOF
import Collector
import HTTPTestServer
import NATSTransport
import Stages
import Testing

@Suite("Restart", .timeLimit(.minutes(1)))
struct RestartTests {
    private static let runs = (0..<30).map { Run(number: $0, tenant: "tenant-\($0 % 2)", calls: 5) }

    @Test("goes on after a graceful stop with the trajectories and spans that were open")
    func graceful() async throws {
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let configuration = try rig.configuration(exportingTo: ("sink", sink))
            // Four messages of a run come before the stop, in the middle of a call; its last after it.
            let parts = try Self.runs.map { try $0.messages(of: 2) }
            let log = LogLines()
            try await rig.collecting(configuration, log: log) { collector in
                try await rig.publish(parts.flatMap { $0.dropLast(2) })
                try await eventually("some is processed") {
                    try await rig.messages(in: SkeinSubjects.processedStream) > 0
                }
            }
            #expect(try await rig.messages(in: SkeinSubjects.trajectoriesStream) == 0)
            try await rig.publish(parts.flatMap { $0.suffix(2) })
            try await rig.collecting(configuration, log: log) { collector in
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_trajectories_republished_total") == 0)
            }
            let events = try await rig.processedEvents()
            #expect(events.count == Self.runs.reduce(0) { $0 + $1.eventCount })
            #expect(events.values.allSatisfy { $0 == 1 })
            let trajectories = try await rig.contents(of: SkeinSubjects.trajectoriesStream)
            #expect(trajectories.count == Self.runs.count)
            #expect(trajectories.allSatisfy { $0.headers[SkeinHeaders.eventCount] == String(Self.runs[0].eventCount) })
            #expect(sink.count == Self.runs.reduce(0) { $0 + $1.spanCount })
            #expect(sink.arrivals == sink.count)
            #expect(!log.all.contains { $0.contains("starts again") })
        }
    }

    @Test("reads nothing twice after a graceful stop")
    func nothingTwice() async throws {
        try await Rig.with { rig in
            let configuration = try rig.configuration()
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try Self.runs.flatMap { try $0.messages(of: 5) })
                try await rig.catchUp(collector)
            }
            try await rig.collecting(configuration) { collector in
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_events_received_total") == 0)
            }
        }
    }

    @Test("stores nothing again that another owner has stored in a larger message")
    func largerMessageOfAnother() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.streams.partitions = 1
            configuration.trajectories = nil
            let messages = try Self.runs[0].messages(of: 3)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(messages[..<1])
                try await rig.catchUp(collector)
                try await Self.writeAsAnother(rig, covering: EventReference(sequence: UInt64(messages.count), index: 2))
                for message in messages[1...] {
                    try await rig.publish([message])
                    try await rig.catchUp(collector)
                }
            }
            #expect(try await rig.messages(in: SkeinSubjects.processedStream) == 2)
        }
    }

    @Test("writes nothing when it finds what a later owner has stored")
    func laterOwner() async throws {
        try await Rig.with { rig in
            let log = LogLines()
            let messages = try Self.runs[0].messages(of: 3)
            try await rig.collecting(try rig.configuration(), log: log) { collector in
                try await rig.publish(messages[..<1])
                try await rig.catchUp(collector)
                try await Self.writeAsAnother(rig, epoch: .max)
                try await rig.publish(messages[1...])
                try await eventually("the task ends") {
                    log.all.contains { $0.contains("another collector has the task") }
                }
            }
            #expect(try await rig.messages(in: SkeinSubjects.processedStream) == 2)
        }
    }

    /// Puts a message behind the last one of PROCESSED, as another owner of its task would.
    private static func writeAsAnother(_ rig: Rig, covering source: EventReference? = nil, epoch: UInt64? = nil)
        async throws
    {
        let last = try #require(try await rig.contents(of: SkeinSubjects.processedStream).last)
        var headers = last.headers
        headers[SkeinHeaders.expectedLastSubjectSequence] = String(last.sequence)
        if let source { headers[SkeinHeaders.source] = source.description }
        if let epoch { headers[SkeinHeaders.epoch] = String(epoch) }
        _ = try await rig.jetStream.publish(subject: last.subject, headers: headers, payload: last.payload)
    }
}
