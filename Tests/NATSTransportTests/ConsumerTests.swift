import Foundation
import NATSTestCluster
import NATSTransport
import Testing

@Suite("Consumers")
struct ConsumerTests {
    private static func publish(_ jetStream: JetStream, _ subjects: [String]) async throws {
        for subject in subjects { _ = try await jetStream.publish(subject: subject, payload: [1]) }
    }

    @Test("leave the bodies out when they are asked to, and nothing else")
    func headersOnly() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
                for number in 1...3 {
                    let payload = [UInt8](repeating: 1, count: 100_000)
                    _ = try await jetStream.publish(subject: "s.a", headers: ["N": "\(number)"], payload: payload)
                }
                var configuration = PullConsumerConfiguration(
                    stream: "S", namePrefix: "task", filterSubjects: ["s.a"], startSequence: 1)
                configuration.headersOnly = true
                let consumer = try PullConsumer(jetStream, configuration, budget: PrefetchBudget(total: 1 << 20)) {
                    true
                }
                var messages: [JetStreamMessage] = []
                while messages.count < 3 { messages += try await consumer.next(max: 10) }
                #expect(messages.map { $0.headers["N"] } == ["1", "2", "3"])
                #expect(messages.allSatisfy { $0.payload.isEmpty })
                await consumer.stop()
            }
        }
    }

    @Test("are listed by prefix, described and deleted")
    func listing() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
                try await Self.publish(jetStream, ["s.a", "s.b", "s.a", "s.a"])
                var consumers: [PullConsumer] = []
                for name in ["task-1", "task-2", "other"] {
                    let configuration = PullConsumerConfiguration(
                        stream: "S", namePrefix: name, filterSubjects: ["s.a"], startSequence: 2)
                    consumers.append(
                        try PullConsumer(jetStream, configuration, budget: PrefetchBudget(total: 1 << 20)) { true })
                }
                for consumer in consumers { #expect(try await consumer.next(max: 1).map(\.sequence) == [3]) }
                #expect(try await jetStream.consumers(of: "S") == ["other-1", "task-1-1", "task-2-1"])
                #expect(try await jetStream.consumers(of: "S", namePrefix: "task-") == ["task-1-1", "task-2-1"])

                let info = try await jetStream.consumerInfo(stream: "S", consumer: "task-1-1")
                #expect(info.name == "task-1-1" && info.replicas == 1 && info.isInMemory)
                #expect(info.filterSubjects == ["s.a"])
                // What was pulled is delivered, whether or not the reader has taken it.
                #expect(info.pending == 0 && info.deliveredSequence == 4)
                let json = try JSONSerialization.jsonObject(with: Data(info.json)) as? [String: Any]
                #expect(json?["stream_name"] as? String == "S")
                let now = Int64(Date().timeIntervalSince1970 * 1e9)
                #expect(abs(try #require(info.serverTime) - now) < 60_000_000_000)

                try await jetStream.deleteConsumer(stream: "S", consumer: "task-1-1")
                try await jetStream.deleteConsumer(stream: "S", consumer: "task-1-1")
                #expect(
                    await code { _ = try await jetStream.consumerInfo(stream: "S", consumer: "task-1-1") }
                        == .notFound)
                #expect(await code { _ = try await jetStream.consumers(of: "T") } == .notFound)
                for consumer in consumers { await consumer.stop() }
            }
        }
    }

    @Test("are listed in full when there are more than an answer holds")
    func pages() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded(60) {
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
                let names = (0..<1_100).map { "c\($0)" }
                for name in names {
                    let body = """
                        {"stream_name":"S","config":{"name":"\(name)","ack_policy":"none","mem_storage":true,\
                        "inactive_threshold":60000000000}}
                        """
                    _ = try await jetStream.api("CONSUMER.CREATE.S.\(name)", Array(body.utf8))
                }
                #expect(try await jetStream.consumers(of: "S") == names.sorted())
            }
        }
    }

    @Test("the server counts what matches from a sequence on, and keeps no consumer for it")
    func pending() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
                #expect(try await jetStream.pending(stream: "S", filter: "s.>", from: 1) == 0)
                try await Self.publish(jetStream, ["s.a", "s.b", "s.a", "s.b", "s.a"])
                for (filter, from, expected) in [
                    ("s.>", 0, 5), ("s.>", 1, 5), ("s.a", 1, 3), ("s.a", 2, 2), ("s.a", 5, 1), ("s.b", 5, 0),
                    ("s.>", 6, 0), ("s.>", 100, 0), ("s.c", 1, 0),
                ] as [(String, UInt64, UInt64)] {
                    #expect(
                        try await jetStream.pending(stream: "S", filter: filter, from: from) == expected,
                        "\(filter) from \(from)")
                }
                #expect(try await jetStream.consumers(of: "S") == [])
            }
        }
    }

    @Test("lag in seconds comes from the server's clocks alone")
    func serverTime() async throws {
        try await NATSTestServer.connected { _, jetStream in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            let empty = try await jetStream.streamInfo("S")
            #expect(empty.lastTime == nil)
            try await Self.publish(jetStream, ["s.a"])
            let info = try await jetStream.streamInfo("S")
            let stored = try #require(try await jetStream.message(stream: "S", sequence: 1))
            #expect(info.lastTime == stored.time)
            #expect(try #require(info.serverTime) > stored.time)
            #expect(try #require(info.serverTime) < stored.time + 60_000_000_000)
        }
    }
}
