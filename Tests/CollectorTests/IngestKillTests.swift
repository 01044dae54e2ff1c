import ATOF
import Foundation
import HTTPTestServer
import NATSTestCluster
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Ingest and kill -9", .timeLimit(.minutes(4)), .serialized)
struct IngestKillTests {
    private static let count = 5000
    /// Events in a request of each of the sinks: one, ten, and a stream of many.
    private static let sizes = [1, 10, 250]

    /// A producer that repeats what was not answered 2xx, as soon as somebody listens again.
    private final class Sink: Sendable {
        let accepted = Mutex(0)
        let repeats = Mutex(0)
        let isGivingUp = Mutex(false)

        func run(_ producer: Int, port: UInt16) throws {
            let size = IngestKillTests.sizes[producer]
            try IngestRig.drive(port: port) { [self] in
                let first = accepted.withLock { $0 }
                if first >= IngestKillTests.count || isGivingUp.withLock({ $0 }) { return nil }
                let lines = (first..<(first + size)).map { IngestRig.line(producer, $0) + "\n" }
                let headers = ["Skein-Producer: sink-\(producer)"]
                return producer == 2
                    ? IngestRig.chunked(lines, headers: headers) : IngestRig.post(lines.joined(), headers: headers)
            } answered: { [self] answer in
                if answer.status == 200 { accepted.withLock { $0 += size } }
            } broke: { [self] _ in
                repeats.withLock { $0 += 1 }
                // Nobody listens for a moment: a pause between two tries.
                usleep(5000)
            }
        }
    }

    @Test("of the collector while three sinks post 5,000 events each: what was answered 2xx is in PROCESSED once")
    func collector() async throws {
        try await Rig.with { rig in
            let port = try #require(FreePorts.take().first)
            let configuration = try rig.file(
                "skein.toml",
                """
                [nats]
                urls = ["\(rig.server.url)"]
                [collector]
                partitions = 4
                checkpoint_interval_millis = 50
                [http]
                enabled = false
                [ingest]
                listen = "127.0.0.1:\(port)"
                patience_millis = 1000
                """)
            let sinks = IngestKillTests.sizes.map { _ in Sink() }
            var collector = try SkeinProcess(["collect", "--config", configuration], directory: rig.directory)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (producer, sink) in sinks.enumerated() {
                    group.addTask { try await SocketClient.onThread { try sink.run(producer, port: port) } }
                }
                do {
                    for part in 1..<5 {
                        // Of the slowest, so that all are in the middle of it when it dies.
                        try await eventually("the sinks come on") {
                            sinks[0].accepted.withLock { $0 } >= part * IngestKillTests.count / 6
                        }
                        try await collector.kill()
                        collector = try SkeinProcess(["collect", "--config", configuration], directory: rig.directory)
                    }
                } catch {
                    for sink in sinks { sink.isGivingUp.withLock { $0 = true } }
                    throw error
                }
                try await group.waitForAll()
            }
            #expect(sinks.map { $0.accepted.withLock { $0 } } == [5000, 5000, 5000])
            #expect(sinks[0].repeats.withLock { $0 } >= 4)
            try await eventually("all are processed", seconds: 90) {
                try await rig.processedEvents().count >= 15_000
            }
            let events = try await rig.processedEvents()
            #expect(events.count == 15_000)
            #expect(events.values.allSatisfy { $0 == 1 })
            #expect(try await rig.messages(in: SkeinSubjects.deadStream) == 0)
            let outcome = try await collector.stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }
}
