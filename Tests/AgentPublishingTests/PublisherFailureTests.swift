import AgentKit
import Foundation
import NATSTransport
import Stages
import Testing

@Suite("Skein publisher, when something is broken", .timeLimit(.minutes(2)))
struct PublisherFailureTests {
    /// Who has no name may do everything with the stream, a wrong password nothing.
    private static let users = """
        authorization { users: [ { user: agent, password: right }, { user: anybody, password: open } ] }
        no_auth_user: anybody
        """

    @Test("wrong credentials do not end the agent: they are logged and tried again, unless it asks for more")
    func credentials() async throws {
        try await PublisherRig.with(server: Self.users) { rig in
            var configuration = rig.configuration()
            configuration.authentication = .userPassword(user: "agent", password: "wrong")
            configuration.shutdownTimeout = .zero
            let statistics = try await rig.publishing(configuration) { publisher in
                PublisherRig.append(1...3, runs: 1, to: publisher)
                #expect(await publisher.flush(timeout: .milliseconds(300)) == false)
            }
            #expect(statistics.acknowledged == 0 && statistics.dropped == [.closed: 3])
            configuration.throwsWhenRefused = true
            let strict = try SkeinPublisher(configuration, logger: PublisherRig.silent)
            do {
                try await strict.run()
                Issue.record("it ran")
            } catch let error as PublisherError {
                #expect(error.code == .refused && !error.description.contains("wrong"))
            }
            configuration.authentication = .userPassword(user: "agent", password: "right")
            let last = try await rig.publishing(configuration) { publisher in
                PublisherRig.append(1...3, runs: 1, to: publisher)
                #expect(await publisher.flush())
            }
            #expect(last.acknowledged == 3)
        }
    }

    @Test("a cancelled publisher does not wait for the broker: what it has is on disk for the next one")
    func cancelled() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            var configuration = rig.configuration()
            configuration.spool = .init(directory: rig.spool, sync: .always)
            let publisher = try SkeinPublisher(configuration, logger: PublisherRig.silent)
            PublisherRig.append(1...100, runs: 3, to: publisher)
            let running = Task { try await publisher.run() }
            running.cancel()
            try await running.value
            #expect(publisher.statistics.droppedTotal == 0 && publisher.statistics.spooled == 300)
            try await rig.server.restart()
            let next = try await rig.publishing(configuration) { #expect(await $0.flush()) }
            #expect(next.found == 300 && next.acknowledged == 300)
            try await rig.expectAll(100, runs: 3)
        }
    }

    @Test("a full spool gives up the oldest events and counts them; the newest arrive in order")
    func diskFull() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            var configuration = rig.configuration()
            configuration.spool = .init(directory: rig.spool, maximumBytes: 1 << 20)
            let statistics = try await rig.publishing(configuration) { publisher in
                for number in stride(from: 1, through: 3000, by: 50) {
                    PublisherRig.append(number...(number + 49), runs: 1, bytes: 1_000, to: publisher)
                    try await eventually("the disk to have it") {
                        publisher.statistics.appended == number + 49 && publisher.statistics.memoryEvents == 0
                    }
                    #expect(publisher.statistics.diskBytes <= 1 << 20)
                }
                try await rig.server.restart()
                #expect(await publisher.flush(timeout: .seconds(60)) == false)
                #expect(await publisher.flush(timeout: .seconds(60)))
            }
            let lost = statistics.dropped[.diskFull] ?? 0
            #expect(lost > 1500 && lost < 2500 && statistics.acknowledged + lost == 3000)
            #expect(try await rig.arrived().numbers[1] == Array((lost + 1)...3000))
        }
    }

    @Test("a full spool with block holds events in memory and loses none")
    func diskFullBlocking() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            var configuration = rig.configuration()
            configuration.spool = .init(directory: rig.spool, maximumBytes: 1 << 20)
            configuration.memoryBytes = 1 << 20
            configuration.whenFull = .block(atMost: .seconds(60))
            let statistics = try await rig.publishing(configuration) { publisher in
                let appending = Task {
                    await onThread { PublisherRig.append(1...3000, runs: 1, bytes: 1_000, to: publisher) }
                }
                try await eventually("everything to be full") {
                    let statistics = publisher.statistics
                    return statistics.memoryBytes > 600_000 && statistics.diskBytes > 700_000
                }
                try await rig.server.restart()
                await appending.value
                #expect(await publisher.flush(timeout: .seconds(60)))
            }
            #expect(statistics.acknowledged == 3000 && statistics.droppedTotal == 0)
            #expect(statistics.peakMemoryBytes <= 1 << 20)
            try await rig.expectAll(3000, runs: 1)
        }
    }

    @Test("a disk that is gone is no reason to lose events: they stay in memory until the broker is back")
    func diskGone() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            var configuration = rig.configuration()
            configuration.spool = .init(directory: rig.spool)
            let statistics = try await rig.publishing(configuration) { publisher in
                // The thread has begun: from now on it makes folders only.
                #expect(await publisher.flush(timeout: .seconds(30)))
                try FileManager.default.removeItem(atPath: rig.spool)
                try Data().write(to: URL(fileURLWithPath: rig.spool))
                PublisherRig.append(1...100, runs: 2, to: publisher)
                try await eventually("a failed write") { publisher.statistics.diskFailures > 0 }
                #expect(publisher.statistics.memoryEvents == 200)
                try await rig.server.restart()
                #expect(await publisher.flush(timeout: .seconds(30)))
            }
            #expect(statistics.acknowledged == 200 && statistics.droppedTotal == 0)
            try await rig.expectAll(100, runs: 2)
        }
    }

    @Test("damage in the middle of a spool file costs what is behind it in that file, and is counted")
    func damage() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            var configuration = rig.configuration()
            configuration.spool = .init(directory: rig.spool)
            _ = try await rig.publishing(configuration) { publisher in
                for number in 1...20 {
                    PublisherRig.append(number...number, runs: 1, bytes: 500, to: publisher)
                    try await eventually("the disk to have it") { publisher.statistics.spooled == number }
                }
            }
            let folder = try #require(try FileManager.default.contentsOfDirectory(atPath: rig.spool).first)
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(rig.spool)/\(folder)")
            let path = "\(rig.spool)/\(folder)/\(try #require(names.first { $0.hasSuffix(".spool") }))"
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2 + 300] ^= 0xFF
            try bytes.write(to: URL(fileURLWithPath: path))
            try await rig.server.restart()
            let statistics = try await rig.publishing(configuration) { #expect(await $0.flush() == false) }
            let lost = statistics.dropped[.damaged] ?? 0
            #expect(statistics.found == 20 && lost > 5 && lost < 12 && statistics.acknowledged + lost == 20)
            #expect(try await rig.arrived().numbers[1] == Array(1...(20 - lost)))
            #expect(try FileManager.default.contentsOfDirectory(atPath: rig.spool) == [])
        }
    }
}
