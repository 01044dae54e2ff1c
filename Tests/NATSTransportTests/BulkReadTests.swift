import NATSTestCluster
import NATSTransport
import Testing

@Suite("Bulk read")
struct BulkReadTests {
    /// Stores messages with their own number as payload.
    private static func fill(_ jetStream: JetStream, _ numbers: ClosedRange<Int>, size: Int = 0) async throws {
        let publisher = Publisher(jetStream)
        for number in numbers {
            let payload = Array("\(number)".utf8) + [UInt8](repeating: 0x20, count: size)
            try await publisher.publish(subject: "s.\(number % 7)", headers: ["N": "\(number)"], payload: payload) {
                _ in
            }
        }
        await publisher.drain()
    }

    @Test("reads messages by their sequences, and leaves out what is not there", arguments: [true, false])
    func sparse(allowDirect: Bool) async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                var configuration = StreamConfiguration(name: "S", subjects: ["s.*"])
                configuration.allowDirect = allowDirect
                _ = try await jetStream.createStream(configuration)
                #expect(try await jetStream.messages(stream: "S", sequences: [1, 2]).isEmpty)
                #expect(try await jetStream.messages(stream: "S", sequences: []).isEmpty)
                try await Self.fill(jetStream, 1...1_000)
                try await jetStream.purgeStream("S", below: 11)
                try await jetStream.purgeStream("S", subject: "s.0")
                let asked = stride(from: UInt64(1), through: 1_100, by: 3)
                let found = try await jetStream.messages(stream: "S", sequences: asked)
                #expect(found.keys.sorted() == asked.filter { $0 > 10 && $0 <= 1_000 && $0 % 7 != 0 })
                for (sequence, message) in found {
                    #expect(message.sequence == sequence && message.subject == "s.\(sequence % 7)")
                    #expect(message.headers == ["N": "\(sequence)"])
                    #expect(message.payload == Array("\(sequence)".utf8))
                    #expect(message.time > 1_700_000_000_000_000_000)
                }
            }
        }
    }

    @Test("reads messages that are too large for many at once")
    func large() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.*"]))
                try await Self.fill(jetStream, 1...60, size: 900_000)
                let found = try await jetStream.messages(stream: "S", sequences: 1...60)
                #expect(found.count == 60)
                #expect(found.allSatisfy { $0.value.payload.starts(with: Array("\($0.key)".utf8)) })
            }
        }
    }

    @Test("reads tens of thousands of messages in seconds")
    func many() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded(60) {
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.*"]))
                try await Self.fill(jetStream, 1...20_000)
                let took = try await ContinuousClock().measure {
                    let found = try await jetStream.messages(stream: "S", sequences: 1...20_000)
                    #expect(found.count == 20_000)
                }
                #expect(took < .seconds(20), "20,000 messages took \(took)")
            }
        }
    }

    @Test("fails as one when the stream is gone, the connection is lost or the task is cancelled")
    func failures() async throws {
        try await NATSTestServer.connected { server, jetStream in
            try await bounded {
                #expect(
                    await code { _ = try await jetStream.messages(stream: "S", sequences: 1...9) } == .notFound)
                _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.*"]))
                try await Self.fill(jetStream, 1...5_000)
                let cancelled = Task {
                    await code { _ = try await jetStream.messages(stream: "S", sequences: 1...5_000) }
                }
                cancelled.cancel()
                #expect(await cancelled.value == .cancelled)
                await server.process.kill()
                #expect(
                    await code { _ = try await jetStream.messages(stream: "S", sequences: 1...5_000) }
                        == .disconnected)
            }
        }
    }
}
