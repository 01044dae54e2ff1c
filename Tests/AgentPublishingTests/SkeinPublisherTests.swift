import AgentKit
import Foundation
import NATSTransport
import Stages
import Testing

@Suite("Skein publisher", .timeLimit(.minutes(2)))
struct SkeinPublisherTests {
    @Test("publishes every event once, each run in order, in batches")
    func all() async throws {
        try await PublisherRig.with { rig in
            let statistics = try await rig.publishing(rig.configuration()) { publisher in
                PublisherRig.append(1...500, runs: 4, to: publisher)
                #expect(await publisher.flush())
                #expect(publisher.statistics.acknowledged == 2000)
            }
            #expect(statistics.appended == 2000 && statistics.droppedTotal == 0 && statistics.memoryBytes == 0)
            try await rig.expectAll(500, runs: 4)
            #expect(try await rig.arrived().messages < 200)
        }
    }

    @Test("what is appended before run and after a shutdown was asked for is sent; what comes after the end is counted")
    func ends() async throws {
        try await PublisherRig.with { rig in
            let publisher = try SkeinPublisher(rig.configuration(), logger: PublisherRig.silent)
            PublisherRig.append(1...10, runs: 1, to: publisher)
            let running = Task { try await publisher.run() }
            #expect(await publisher.flush())
            PublisherRig.append(11...20, runs: 1, to: publisher)
            let twice = await #expect(throws: PublisherError.self) { try await publisher.run() }
            #expect(twice?.code == .alreadyRun)
            publisher.shutdown()
            try await running.value
            PublisherRig.append(21...25, runs: 1, to: publisher)
            try await rig.expectAll(20, runs: 1)
            #expect(await publisher.flush() == false)
            await #expect(throws: PublisherError.self) {
                try await publisher.appendOrThrow(PublisherRig.event(1, 26), key: PublisherRig.key(1))
            }
            #expect(publisher.statistics.appended == 26 && publisher.statistics.dropped == [.closed: 6])
        }
    }

    @Test("a flush of a publisher that does not run ends with its timeout")
    func flushBeforeRun() async throws {
        try await PublisherRig.with { rig in
            let publisher = try SkeinPublisher(rig.configuration(), logger: PublisherRig.silent)
            PublisherRig.append(1...10, runs: 1, to: publisher)
            #expect(await publisher.flush(timeout: .milliseconds(20)) == false)
            let running = Task { try await publisher.run() }
            #expect(await publisher.flush())
            publisher.shutdown()
            try await running.value
        }
    }

    @Test(
        "an event larger than a message goes in chunks; one above the maximum is counted and leaves a gap in the numbers"
    )
    func large() async throws {
        try await PublisherRig.with(maxPayload: 64 << 10) { rig in
            var configuration = rig.configuration()
            configuration.maximumEventBytes = 300_000
            let statistics = try await rig.publishing(configuration) { publisher in
                PublisherRig.append(1...1, runs: 1, to: publisher)
                publisher.append(PublisherRig.event(1, 2, bytes: 200_000), key: PublisherRig.key(1))
                publisher.append(PublisherRig.event(1, 99, bytes: 400_000), key: PublisherRig.key(1))
                PublisherRig.append(3...3, runs: 1, to: publisher)
                // It says once that something was given up.
                #expect(await publisher.flush() == false)
                #expect(await publisher.flush())
            }
            #expect(statistics.dropped == [.tooLarge: 1] && statistics.acknowledged == 3)
            try await rig.expectAll(3, runs: 1)
            #expect(try await rig.arrived().ids.contains { $0.hasSuffix("/5") || $0.hasSuffix("/4") })
        }
    }

    @Test("loses nothing and keeps the order when the broker is killed under load, and its memory is bounded")
    func outage() async throws {
        try await PublisherRig.with { rig in
            var configuration = rig.configuration()
            configuration.memoryBytes = 1 << 20
            configuration.spool = .init(directory: rig.spool)
            let statistics = try await rig.publishing(configuration) { publisher in
                PublisherRig.append(1...50, runs: 5, to: publisher)
                #expect(await publisher.flush())
                await rig.server.kill()
                try await eventually("the loss to be noticed") { !publisher.statistics.isConnected }
                // Four times what the memory holds.
                for number in stride(from: 51, to: 251, by: 10) {
                    PublisherRig.append(number...(number + 9), runs: 5, bytes: 4_000, to: publisher)
                    try await eventually("room") { publisher.statistics.memoryBytes < 400_000 }
                }
                try await eventually("everything to be on disk") { publisher.statistics.memoryEvents == 0 }
                #expect(publisher.statistics.diskBytes > 4_000_000)
                try await rig.server.restart()
                PublisherRig.append(251...300, runs: 5, to: publisher)
                #expect(await publisher.flush(timeout: .seconds(60)))
            }
            #expect(statistics.acknowledged == 1500 && statistics.droppedTotal == 0)
            #expect(statistics.peakMemoryBytes <= 1 << 20 && statistics.diskBytes == 0)
            #expect(statistics.spooled >= 1000 && statistics.replayed >= 1000)
            try await rig.expectAll(300, runs: 5)
        }
    }

    @Test("waits for a broker that is not there yet, and ends at once when everything is on disk")
    func noBroker() async throws {
        try await PublisherRig.with { rig in
            var configuration = rig.configuration()
            configuration.spool = .init(directory: rig.spool)
            await rig.server.kill()
            let first = try await rig.publishing(configuration) { publisher in
                PublisherRig.append(1...100, runs: 2, to: publisher)
                #expect(await publisher.flush(timeout: .milliseconds(100)) == false)
            }
            #expect(first.acknowledged == 0 && first.spooled == 200 && first.diskBytes > 0 && first.droppedTotal == 0)
            try await rig.server.restart()
            let second = try await rig.publishing(configuration) { publisher in
                #expect(await publisher.flush())
            }
            #expect(second.found == 200 && second.acknowledged == 200)
            try await rig.expectAll(100, runs: 2)
            #expect(try FileManager.default.contentsOfDirectory(atPath: rig.spool) == [])
        }
    }

    @Test("a full stream holds events back and loses none")
    func full() async throws {
        try await PublisherRig.with(streamBytes: 200_000) { rig in
            var configuration = rig.configuration()
            configuration.whenFull = .block(atMost: .seconds(30))
            configuration.memoryBytes = 256 << 10
            let statistics = try await rig.publishing(configuration) { publisher in
                let appending = Task {
                    await onThread { PublisherRig.append(1...400, runs: 2, bytes: 1_000, to: publisher) }
                }
                try await eventually("the stream to refuse") { publisher.statistics.failedMessages > 0 }
                #expect(publisher.statistics.droppedTotal == 0)
                try await rig.connected { jetStream in
                    var stream = StreamConfiguration(name: SkeinSubjects.eventsStream, subjects: ["skein.v1.events.>"])
                    stream.discard = .new
                    stream.maxBytes = 100 << 20
                    _ = try await jetStream.updateStream(stream)
                }
                await appending.value
                #expect(await publisher.flush(timeout: .seconds(60)))
            }
            #expect(statistics.acknowledged == 800 && statistics.droppedTotal == 0)
            #expect(statistics.peakMemoryBytes <= 256 << 10)
            try await rig.expectAll(400, runs: 2)
        }
    }

    @Test("without a broker and a spool it keeps the newest within its bound, and the collector sees the gap")
    func bounded() async throws {
        try await PublisherRig.with { rig in
            var configuration = rig.configuration()
            configuration.memoryBytes = 1 << 20
            await rig.server.kill()
            let statistics = try await rig.publishing(configuration) { publisher in
                for number in stride(from: 1, through: 2000, by: 20) {
                    PublisherRig.append(number...(number + 19), runs: 1, bytes: 2_000, to: publisher)
                    try await eventually("the thread to come round") {
                        publisher.statistics.appended == number + 19 && publisher.statistics.memoryBytes < 800_000
                    }
                }
                try await rig.server.restart()
                #expect(await publisher.flush() == false)
                #expect(await publisher.flush())
            }
            let lost = statistics.dropped[.memoryFull] ?? 0
            #expect(lost > 1000 && statistics.acknowledged + lost == 2000)
            #expect(statistics.peakMemoryBytes <= 1 << 20)
            let arrived = try await rig.arrived()
            #expect(arrived.numbers[1] == Array((lost + 1)...2000))
            #expect(arrived.ids.first?.hasSuffix("/\(lost + 1)") == true)
        }
    }

    @Test("who appends waits as long as it is told to and no longer; the events are counted")
    func blocking() async throws {
        try await PublisherRig.with { rig in
            var configuration = rig.configuration()
            configuration.memoryBytes = 256 << 10
            configuration.whenFull = .block(atMost: .milliseconds(50))
            configuration.shutdownTimeout = .zero
            await rig.server.kill()
            let statistics = try await rig.publishing(configuration) { publisher in
                let events = await Task.detached {
                    var number = 0
                    while publisher.statistics.dropped[.timedOut] == nil, number < 1_000 {
                        number += 1
                        publisher.append(PublisherRig.event(1, number, bytes: 2_000), key: PublisherRig.key(1))
                    }
                    return number
                }.value
                #expect(events > 50 && events < 200)
                await #expect(throws: PublisherError.self) {
                    try await publisher.appendOrThrow(PublisherRig.event(1, 1, bytes: 60_000), key: PublisherRig.key(1))
                }
            }
            #expect(statistics.peakMemoryBytes <= 256 << 10)
            #expect(statistics.droppedTotal == statistics.appended && (statistics.dropped[.timedOut] ?? 0) >= 2)
            #expect((statistics.dropped[.closed] ?? 0) > 50)
        }
    }

    @Test("names the value that cannot be used")
    func configuration() {
        func complaint(_ change: (inout PublisherConfiguration) -> Void) -> String {
            var configuration = PublisherConfiguration(urls: ["nats://127.0.0.1:4222"])
            change(&configuration)
            do {
                _ = try SkeinPublisher(configuration, logger: PublisherRig.silent)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(complaint { _ in } == "")
        #expect(complaint { $0.urls = [] }.hasPrefix("urls is empty"))
        #expect(complaint { $0.tenant = "A.b" }.hasPrefix("tenant is \"A.b\""))
        #expect(complaint { $0.tenant = String(repeating: "a", count: 65) }.hasPrefix("tenant is \"aaa"))
        #expect(complaint { $0.producer = "a b" }.hasPrefix("producer is \"a b\""))
        #expect(complaint { $0.memoryBytes = 5 }.hasPrefix("memoryBytes is 5; choose 262144 to"))
        #expect(complaint { $0.batchEvents = 0 }.hasPrefix("batchEvents is 0"))
        #expect(complaint { $0.spool = .init(directory: "") }.hasPrefix("spool.directory is empty"))
        #expect(complaint { $0.spool = .init(directory: "/proc/none") }.contains("/proc/none"))
    }
}
