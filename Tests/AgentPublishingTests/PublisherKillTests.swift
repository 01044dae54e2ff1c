import AgentKit
import Foundation
import NATSTransport
import Testing

/// Another process with a publisher, `AgentLoad`, which the same build has put beside the tests.
@Suite("Skein publisher that is killed", .timeLimit(.minutes(2)))
struct PublisherKillTests {
    private static func executable() throws -> String {
        let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("AgentLoad").path
        guard FileManager.default.isExecutableFile(atPath: path) else { throw Failure("\(path) is not built") }
        return path
    }

    private struct Child {
        let process = Process()
        let output: String

        init(_ rig: PublisherRig, _ arguments: [String]) throws {
            output = "\(rig.directory)/\(UUID().uuidString).out"
            _ = FileManager.default.createFile(atPath: output, contents: nil)
            process.executableURL = URL(fileURLWithPath: try PublisherKillTests.executable())
            process.arguments = ["--url", rig.server.url, "--tenant", "acme"] + arguments
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
            process.standardError = FileHandle.nullDevice
            try process.run()
        }

        /// The numbers of the last line that says `state`.
        var state: [String: Int] {
            let text = (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
            guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("state ") }) else { return [:] }
            let pairs = line.split(separator: " ").dropFirst().map { $0.split(separator: "=") }
            return Dictionary(pairs.compactMap { pair in Int(pair[1]).map { (String(pair[0]), $0) } }) { $1 }
        }

        func kill() {
            Glibc.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    private static func spool(_ rig: PublisherRig) -> PublisherConfiguration {
        rig.configuration { $0.spool = .init(directory: rig.spool) }
    }

    /// Of each run, once and in order: the load's runs have the numbers from 0.
    private static func expectAll(_ rig: PublisherRig, _ last: Int, runs: Int) async throws {
        let arrived = try await rig.arrived()
        #expect(Set(arrived.ids).count == arrived.messages)
        for run in 0..<runs { #expect(arrived.numbers[UInt64(run)] == Array(1...last), "run \(run)") }
    }

    @Test("while the broker is away: the next process sends what was on disk, also behind a torn record")
    func away() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            let child = try Child(
                rig, ["--events", "2000", "--keys", "10", "--bytes", "500", "--spool", rig.spool, "--stay"])
            try await eventually("everything to be on disk") {
                child.state["appended"] == 2000 && child.state["memory"] == 0
            }
            child.kill()
            // As if it had been killed in the middle of the next write.
            let folder = try #require(try FileManager.default.contentsOfDirectory(atPath: rig.spool).first)
            let path = "\(rig.spool)/\(folder)"
            let last = try #require(
                try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".spool") }.max())
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(path)/\(last)"))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data([0xFF, 0, 0, 0, 1, 2, 3, 4, 1, 9, 9, 9]))
            try handle.close()
            try await rig.server.restart()
            let statistics = try await rig.publishing(Self.spool(rig)) { #expect(await $0.flush()) }
            #expect(statistics.found == 2000 && statistics.acknowledged == 2000 && statistics.tornBytes == 12)
            try await Self.expectAll(rig, 200, runs: 10)
            #expect(try FileManager.default.contentsOfDirectory(atPath: rig.spool) == [])
        }
    }

    @Test("in the middle of sending, with every event on disk first: nothing is lost and nothing stored twice")
    func always() async throws {
        try await PublisherRig.with { rig in
            let child = try Child(
                rig,
                [
                    "--events", "20000", "--keys", "10", "--bytes", "200", "--spool", rig.spool, "--always", "--stay",
                ])
            try await eventually("some to be sent") { child.state["acknowledged", default: 0] > 500 }
            child.kill()
            let statistics = try await rig.publishing(rig.configuration { $0.spool = .init(directory: rig.spool) }) {
                #expect(await $0.flush())
            }
            #expect(statistics.droppedTotal == 0)
            // What was in the queue for the disk is lost with the process; no number is missing before it, none is there twice.
            let arrived = try await rig.arrived()
            #expect(Set(arrived.ids).count == arrived.messages)
            for run in 0..<10 as Range<UInt64> {
                let numbers = arrived.numbers[run] ?? []
                #expect(!numbers.isEmpty && numbers == Array(1...numbers.count), "run \(run)")
            }
        }
    }

    @Test("two processes share a directory, and neither takes what is the other's")
    func shared() async throws {
        try await PublisherRig.with { rig in
            await rig.server.kill()
            let child = try Child(
                rig, ["--events", "100", "--keys", "2", "--spool", rig.spool, "--stay"])
            try await eventually("the child's events to be on disk") {
                child.state["appended"] == 100 && child.state["memory"] == 0
            }
            let statistics = try await rig.publishing(Self.spool(rig)) { publisher in
                PublisherRig.append(1...10, runs: 1, to: publisher)
                try await eventually("our events to be on disk") {
                    publisher.statistics.spooled == 10 && publisher.statistics.memoryEvents == 0
                }
            }
            #expect(statistics.found == 0)
            child.kill()
            #expect(try FileManager.default.contentsOfDirectory(atPath: rig.spool).count == 2)
            try await rig.server.restart()
            let last = try await rig.publishing(Self.spool(rig)) { #expect(await $0.flush()) }
            #expect(last.found == 110 && last.acknowledged == 110)
        }
    }

    /// Not a kill, but another process too: its tasks, not ours, are blocked.
    @Test("goes on when the broker comes, although callers block every thread of the pool", arguments: [false, true])
    func blockedPool(beginsConnected: Bool) async throws {
        try await PublisherRig.with { rig in
            if !beginsConnected { await rig.server.kill() }
            // So many that they are not all sent before the broker is killed.
            let events = beginsConnected ? 100_000 : 2_000
            let child = try Child(
                rig,
                [
                    "--events", "\(events)", "--keys", "64", "--tasks", "64", "--memory-bytes", "\(256 << 10)",
                    "--block-millis", "600000", "--stay",
                ])
            defer { child.kill() }
            if beginsConnected {
                try await eventually("some to be sent") { child.state["acknowledged", default: 0] > 500 }
                await rig.server.kill()
            }
            // A full memory is one of blocked callers.
            try await eventually("the memory to be full") { child.state["memory", default: 0] > 200 }
            try await rig.server.restart()
            try await eventually("everything to be sent", within: 60) { child.state["acknowledged"] == events }
            #expect(child.state["memory"] == 0)
        }
    }
}
