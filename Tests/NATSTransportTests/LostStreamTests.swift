import Foundation
import NATSTestCluster
import Synchronization
import Testing

@testable import NATSTransport

@Suite("A stream that is lost under its reader")
struct LostStreamTests {
    private static let stream = StreamConfiguration(name: "S", subjects: ["s.>"])

    private static func publish(_ jetStream: JetStream, _ count: Int) async throws {
        for _ in 0..<count { _ = try await jetStream.publish(subject: "s.x", payload: [1]) }
    }

    private static func reader(_ jetStream: JetStream) throws -> PullConsumer {
        var configuration = PullConsumerConfiguration(
            stream: "S", namePrefix: "test", filterSubjects: ["s.>"], startSequence: 1)
        configuration.heartbeat = .milliseconds(200)
        configuration.expires = .seconds(1)
        return try PullConsumer(jetStream, configuration, budget: PrefetchBudget(total: 1 << 20)) { true }
    }

    private static func read(_ consumer: PullConsumer, through last: UInt64) async throws {
        var received: UInt64 = 0
        while received < last { received = try #require(try await consumer.next(max: 10).last).sequence }
        #expect(received == last)
    }

    /// The reader's error, which comes by itself.
    private static func error(_ consumer: PullConsumer) async throws -> NATSError {
        do throws(NATSError) {
            let messages = try await consumer.next(max: 10)
            throw NATSError(.protocolViolation, "it read on at \(messages[0].sequence)")
        } catch {
            return error
        }
    }

    @Test(
        "deleted and created again, with fewer and with more messages than were read: the error says so",
        arguments: [0, 3, 50])
    func replaced(messages: Int) async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                _ = try await jetStream.createStream(Self.stream)
                try await Self.publish(jetStream, 10)
                let consumer = try Self.reader(jetStream)
                try await Self.read(consumer, through: 10)
                #expect(consumer.lastSequence == 10)
                try await jetStream.deleteStream("S")
                _ = try await jetStream.createStream(Self.stream)
                try await Self.publish(jetStream, messages)
                let error = try await Self.error(consumer)
                #expect(error.code == .streamChanged, "\(error)")
                #expect(
                    error.message
                        == "The stream S was deleted and created again after its message 10 was read.")
            }
        }
    }

    @Test("deleted and created again before it is read: the creation time that the owner knows tells")
    func replacedBefore() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                let known = try await jetStream.createStream(Self.stream).created
                try await jetStream.deleteStream("S")
                _ = try await jetStream.createStream(Self.stream)
                try await Self.publish(jetStream, 10)
                var configuration = PullConsumerConfiguration(
                    stream: "S", namePrefix: "test", filterSubjects: [], startSequence: 3)
                configuration.streamCreated = known
                let consumer = try PullConsumer(
                    jetStream, configuration, budget: PrefetchBudget(total: 1 << 20)
                ) { true }
                #expect(try await Self.error(consumer).code == .streamChanged)

                // The same for a position that the stream has, but with another message.
                configuration.streamCreated = nil
                configuration.previousTime = 1
                let other = try PullConsumer(jetStream, configuration, budget: PrefetchBudget(total: 1 << 20)) { true }
                #expect(try await Self.error(other).code == .streamChanged)
                configuration.previousTime = try await jetStream.message(stream: "S", sequence: 2)?.time
                let right = try PullConsumer(jetStream, configuration, budget: PrefetchBudget(total: 1 << 20)) { true }
                #expect(try await right.next(max: 1).map(\.sequence) == [3])
            }
        }
    }

    @Test(
        "rolled back by its storage, to an end before what was read or grown beyond it since: the error says so",
        arguments: [(0, "ends at 10, but its message 20 was read"), (30, "holds another message 20 than was read")])
    func rolledBack(grownBy: Int, words: String) async throws {
        try await NATSTestServer.connected { server, jetStream in
            try await bounded(30) {
                _ = try await jetStream.createStream(Self.stream)
                try await Self.publish(jetStream, 10)
                let storage = server.directory + "/nats/jetstream"
                let copy = server.directory + "-copy"
                defer { try? FileManager.default.removeItem(atPath: copy) }
                await server.process.stop()
                try FileManager.default.copyItem(atPath: storage, toPath: copy)
                try await server.process.restart()

                try await server.connection { connection in
                    let fresh = JetStream(connection)
                    try await Self.publish(fresh, 10)
                    // Its owner's answer decides when it goes on.
                    let (gate, opened) = AsyncStream.makeStream(of: Void.self)
                    let configuration = PullConsumerConfiguration(
                        stream: "S", namePrefix: "test", filterSubjects: ["s.>"], startSequence: 1)
                    let asked = Atomic<UInt64>(0)
                    let consumer = try PullConsumer(fresh, configuration, budget: PrefetchBudget(total: 1 << 20)) {
                        (last: UInt64) in
                        asked.store(last, ordering: .relaxed)
                        for await _ in gate {}
                        return .goOn
                    }
                    try await Self.read(consumer, through: 20)
                    await server.process.stop()
                    try FileManager.default.removeItem(atPath: storage)
                    try FileManager.default.copyItem(atPath: copy, toPath: storage)
                    try await server.process.restart()
                    try await server.connection { try await Self.publish(JetStream($0), grownBy) }
                    opened.finish()
                    let error = try await Self.error(consumer)
                    #expect(error.code == .streamChanged)
                    #expect(error.message.contains(words), "\(error)")
                    #expect(asked.load(ordering: .relaxed) == 20)
                }
            }
        }
    }

    @Test("deleted while its reader is idle: the error names the stream")
    func deleted() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                _ = try await jetStream.createStream(Self.stream)
                try await Self.publish(jetStream, 1)
                let consumer = try Self.reader(jetStream)
                try await Self.read(consumer, through: 1)
                let waiting = Task { try await Self.error(consumer) }
                try await jetStream.deleteStream("S")
                let error = try await waiting.value
                #expect(error.code == .notFound)
                #expect(error.message.contains("CONSUMER.CREATE.S."), "\(error)")
            }
        }
    }

    @Test("an empty stream, a purged one and one whose last message was deleted are read on")
    func kept() async throws {
        try await NATSTestServer.connected { server, jetStream in
            try await bounded(30) {
                _ = try await jetStream.createStream(Self.stream)
                let consumer = try Self.reader(jetStream)
                try await Self.publish(jetStream, 5)
                try await Self.read(consumer, through: 5)
                try await jetStream.purgeStream("S")
                await server.process.kill()
                try await server.process.restart()
                let later = Task { try await consumer.next(max: 10).map(\.sequence) }
                try await server.connection { try await Self.publish(JetStream($0), 1) }
                #expect(try await later.value == [6])
                await consumer.stop()
            }
        }
    }
}
