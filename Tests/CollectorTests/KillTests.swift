import ATOF
import Collector
import Foundation
import HTTPTestServer
import NATSTransport
import Stages
import Testing

@Suite("Kill -9", .timeLimit(.minutes(2)), .serialized)
struct KillTests {
    /// 20,000 events in 400 runs of three tenants, of which 50 at a time are interleaved.
    private static let runs = (0..<400).map { Run(number: $0, tenant: "tenant-\($0 % 3)", calls: 24) }

    static func messages(_ runs: [Run]) throws -> [OutgoingMessage] {
        try stride(from: 0, to: runs.count, by: 50).flatMap { start in
            let together = try runs[start..<min(start + 50, runs.count)].map { try $0.messages(of: 10) }
            return (0..<5).flatMap { place in together.map { $0[place] } }
        }
    }

    /// - Parameter more: lines of `[collector]`.
    static func configuration(_ rig: Rig, _ sink: SpanSink, more: String = "") throws -> String {
        try rig.file(
            "skein.toml",
            """
            [nats]
            urls = ["\(rig.server.url)"]
            [collector]
            partitions = 4
            checkpoint_interval_millis = 50
            linger_millis = 0
            progress_interval_millis = 3600000
            \(more)
            [http]
            enabled = false
            [[components]]
            kind = "observability"
            [components.config]
            version = 4
            [components.config.atif]
            enabled = true
            [components.config.opentelemetry]
            enabled = true
            [[components.config.opentelemetry.traces]]
            name = "sink"
            type = "openinference"
            endpoint = "\(sink.url)"
            scheduled_delay_millis = 50
            """)
    }

    /// Waits for everything, then counts.
    static func expectEverythingOnce(_ runs: [Run], _ rig: Rig, _ sink: SpanSink) async throws {
        let spans = runs.reduce(0) { $0 + $1.spanCount }
        try await eventually("all trajectories are published", seconds: 90) {
            try await rig.messages(in: SkeinSubjects.trajectoriesStream) >= runs.count
        }
        try await eventually("all spans arrive", seconds: 90) { sink.count >= spans }
        let events = try await rig.processedEvents()
        #expect(events.count == runs.reduce(0) { $0 + $1.eventCount })
        #expect(events.values.allSatisfy { $0 == 1 })
        #expect(sink.count == spans)
        #expect(sink.changed == 0)
        let trajectories = try await rig.contents(of: SkeinSubjects.trajectoriesStream)
        #expect(
            Set(trajectories.map(\.subject)) == Set(runs.map { SkeinSubjects.trajectory(tenant: $0.tenant, id: $0.id) })
        )
        #expect(trajectories.allSatisfy { $0.headers[SkeinHeaders.revision] == "1" })
        // The stream keeps the last message of a subject: had one been stored twice, numbers would be missing.
        #expect(trajectories.map(\.sequence) == Array(1...UInt64(runs.count)))
        #expect(trajectories.allSatisfy { $0.headers[SkeinHeaders.eventCount] == String(runs[0].eventCount) })
        #expect(try await rig.messages(in: SkeinSubjects.deadStream) == 0)
    }

    @Test(
        "of the collector in the middle of 20,000 events: each is processed once, every trajectory comes once, no span is lost"
    )
    func collector() async throws {
        let messages = try KillTests.messages(KillTests.runs)
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let configuration = try KillTests.configuration(rig, sink)
            var collector = try SkeinProcess(["collect", "--config", configuration], directory: rig.directory)
            let parts = 6
            for part in 0..<parts {
                async let published: Void = rig.publish(
                    messages[(part * messages.count / parts)..<((part + 1) * messages.count / parts)])
                if part < parts - 1 {
                    // Later every time, so that it dies while it starts, reads, catches up.
                    let before = try await KillTests.last(rig)
                    try await eventually("the collector works") {
                        try await KillTests.last(rig) >= before + UInt64(1 + 7 * part)
                    }
                    try await collector.kill()
                    collector = try SkeinProcess(["collect", "--config", configuration], directory: rig.directory)
                }
                try await published
            }
            try await KillTests.expectEverythingOnce(KillTests.runs, rig, sink)
            let outcome = try await collector.stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }

    /// The end of PROCESSED; nil while the broker cannot say.
    static func lastIfThere(_ rig: Rig) async throws -> UInt64? {
        do {
            return try await last(rig)
        } catch let error as NATSError where error.isTemporary {
            return nil
        }
    }

    /// The same, and 0 while the broker cannot say.
    static func lastUnlessAway(_ rig: Rig) async throws -> UInt64 { try await lastIfThere(rig) ?? 0 }

    private static func last(_ rig: Rig) async throws -> UInt64 {
        do throws(NATSError) {
            return try await rig.jetStream.streamInfo(SkeinSubjects.processedStream).lastSequence
        } catch let error where error.code == .notFound {
            return 0
        }
    }

    @Test("of the nats-server: the collector goes on where it was")
    func broker() async throws {
        let runs = Array(KillTests.runs[..<100])
        let messages = try KillTests.messages(runs)
        try await Rig.with { rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            let collector = try SkeinProcess(
                ["collect", "--config", try KillTests.configuration(rig, sink)], directory: rig.directory)
            let parts = 3
            for part in 0..<parts {
                async let published: Void = rig.publish(
                    messages[(part * messages.count / parts)..<((part + 1) * messages.count / parts)])
                if part < parts - 1 {
                    // The connection may still be on its way back from the restart before.
                    var before: UInt64?
                    try await eventually("the broker answers") {
                        before = try await KillTests.lastIfThere(rig)
                        return before != nil
                    }
                    try await eventually("the collector works") {
                        try await KillTests.lastUnlessAway(rig) > (before ?? 0) + 3
                    }
                    await rig.server.kill()
                    try await rig.server.restart()
                }
                try await published
            }
            try await KillTests.expectEverythingOnce(runs, rig, sink)
            #expect(collector.isRunning)
            let outcome = try await collector.stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }
}
