import NATSTestCluster
import Testing

@testable import NATSTransport

@Suite("Durable consumer", .timeLimit(.minutes(1)))
struct DurableConsumerTests {
    private static func filled(_ jetStream: JetStream, _ numbers: ClosedRange<Int>) async throws {
        _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
        for number in numbers {
            _ = try await jetStream.publish(subject: "s.a", headers: [:], payload: [UInt8(number)])
        }
    }

    private static func open(_ jetStream: JetStream, isNew: Bool = false) async throws -> DurableConsumer {
        try await DurableConsumer.open(
            jetStream, stream: "S", name: "reader", filterSubject: "s.a", isNew: isNew,
            acknowledgementTime: .milliseconds(300))
    }

    /// What is delivered next and not acknowledged.
    private static func next(_ consumer: DurableConsumer) async throws -> DurableConsumer.Delivery {
        while true {
            if let delivery = try await consumer.next() { return delivery }
        }
    }

    @Test("goes on where the last reader has acknowledged, and delivers the rest again")
    func remembers() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await Self.filled(jetStream, 1...3)
            let first = try await Self.open(jetStream)
            for number in 1...2 {
                let delivery = try await Self.next(first)
                #expect(delivery.message.payload == [UInt8(number)] && delivery.message.sequence == UInt64(number))
                if number == 1 { try await first.acknowledge(delivery) }
            }
            // The second message comes again when its time is over; which of the two is first is the server's matter.
            let second = try await Self.open(jetStream, isNew: true)
            var seen: Set<[UInt8]> = []
            while seen.count < 2 {
                let delivery = try await Self.next(second)
                seen.insert(delivery.message.payload)
                try await second.acknowledge(delivery)
            }
            #expect(seen == [[2], [3]])
        }
    }

    @Test("one that is new begins behind what is there")
    func new() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await Self.filled(jetStream, 1...3)
            let consumer = try await Self.open(jetStream, isNew: true)
            _ = try await jetStream.publish(subject: "s.a", headers: [:], payload: [9])
            #expect(try await Self.next(consumer).message.payload == [9])
        }
    }

    @Test("says what is wrong: no stream, a name in use, a name that is none, a consumer that was deleted")
    func wrong() async throws {
        try await NATSTestServer.connected { _, jetStream in
            await #expect(throws: NATSError.self) { try await Self.open(jetStream) }
            try await Self.filled(jetStream, 1...1)
            let consumer = try await Self.open(jetStream)
            for (name, subject, code) in [("reader", "s.b", NATSError.Code.nameTaken), ("a.b", "s.a", .configuration)] {
                let error = await #expect(throws: NATSError.self) {
                    try await DurableConsumer.open(jetStream, stream: "S", name: name, filterSubject: subject)
                }
                #expect(error?.code == code)
            }
            try await jetStream.deleteConsumer(stream: "S", consumer: "reader")
            let error = await #expect(throws: NATSError.self) { try await consumer.next() }
            #expect(error?.code == .notFound)
        }
    }
}
