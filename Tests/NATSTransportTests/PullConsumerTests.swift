import Foundation
import NATSTestCluster
import Synchronization
import Testing

@testable import NATSTransport

@Suite("Pull consumer")
struct PullConsumerTests {
    private static func configuration(_ start: UInt64 = 1) -> PullConsumerConfiguration {
        var configuration = PullConsumerConfiguration(
            stream: "S", namePrefix: "test-\(start)", filterSubjects: ["s.>"], startSequence: start)
        configuration.heartbeat = .milliseconds(500)
        configuration.expires = .seconds(2)
        return configuration
    }

    /// A stream with messages whose payload begins with their own sequence in four bytes.
    private static func fill(_ jetStream: JetStream, count: Int, size: Int) async throws {
        _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
        try await publish(jetStream, 1...count, size: size)
    }

    private static func publish(_ jetStream: JetStream, _ numbers: ClosedRange<Int>, size: Int) async throws {
        let publisher = Publisher(jetStream)
        let failures = Mutex<[NATSError]>([])
        for number in numbers {
            var payload = [UInt8](repeating: 0, count: max(size, 4))
            withUnsafeBytes(of: UInt32(number).littleEndian) { payload.replaceSubrange(0..<4, with: $0) }
            try await publisher.publish(subject: "s.x", headers: ["N": "\(number)"], payload: payload) { result in
                if case .failure(let error) = result { failures.withLock { $0.append(error) } }
            }
        }
        await publisher.drain()
        #expect(failures.withLock { $0 } == [])
    }

    /// Reads up to a sequence and checks that each message comes once, in order, with its own payload.
    private static func read(
        _ consumer: PullConsumer, _ range: ClosedRange<UInt64>, max: Int = 100,
        onBatch: (UInt64) async throws -> Void = { _ in }
    ) async throws {
        var expected = range.lowerBound
        while expected <= range.upperBound {
            for message in try await consumer.next(max: max) {
                try #require(message.sequence == expected)
                #expect(message.headers["n"] == "\(expected)")
                #expect(message.payload.prefix(4).reversed().reduce(0) { $0 << 8 | UInt64($1) } == expected)
                expected += 1
            }
            try await onBatch(expected - 1)
        }
    }

    @Test("reads everything in order and gives its budget back", arguments: [100, 20_000])
    func everything(size: Int) async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                let count = size > 1_000 ? 1_000 : 20_000
                try await Self.fill(jetStream, count: count, size: size)
                let budget = PrefetchBudget(total: 8 << 20)
                let consumer = try PullConsumer(jetStream, Self.configuration(5), budget: budget) { true }
                try await Self.read(consumer, 5...UInt64(count))
                await consumer.stop()
                #expect(budget.used == 0)
                #expect(budget.peak <= budget.total)
                #expect(try await jetStream.streamInfo("S").consumerCount == 0)
                #expect(await code { _ = try await consumer.next(max: 1) } == .closed)
            }
        }
    }

    @Test("waits for messages that come later")
    func live() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 1, size: 10)
                let consumer = try PullConsumer(
                    jetStream, Self.configuration(), budget: PrefetchBudget(total: 1 << 20)
                ) { true }
                try await Self.read(consumer, 1...1)
                async let later: Void = Self.read(consumer, 2...50)
                try await Self.publish(jetStream, 2...50, size: 10)
                try await later
                await consumer.stop()
            }
        }
    }

    @Test("goes on where it was when the server is killed and started again")
    func serverRestart() async throws {
        try await NATSTestServer.connected { server, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 5_000, size: 4_000)
                let asked = Atomic(0)
                let consumer = try PullConsumer(
                    jetStream, Self.configuration(), budget: PrefetchBudget(total: 1 << 20)
                ) {
                    asked.add(1, ordering: .relaxed)
                    return true
                }
                var restarted = false
                try await Self.read(consumer, 1...5_000) { sequence in
                    guard sequence > 1_000, !restarted else { return }
                    restarted = true
                    await server.process.kill()
                    try await server.process.restart()
                }
                #expect(restarted)
                #expect(asked.load(ordering: .relaxed) > 0)
                await consumer.stop()
            }
        }
    }

    @Test("makes the consumer anew when it was deleted, under a higher generation")
    func consumerDeletion() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 3_000, size: 4_000)
                let consumer = try PullConsumer(
                    jetStream, Self.configuration(), budget: PrefetchBudget(total: 1 << 20)
                ) { true }
                var deleted = false
                try await Self.read(consumer, 1...3_000) { sequence in
                    guard sequence > 500, !deleted else { return }
                    deleted = true
                    _ = try await jetStream.api("CONSUMER.DELETE.S.test-1-1")
                }
                #expect(deleted)
                await consumer.stop()
            }
        }
    }

    @Test("ends when its owner was fenced meanwhile")
    func fenced() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 10, size: 10)
                let budget = PrefetchBudget(total: 1 << 20)
                let consumer = try PullConsumer(jetStream, Self.configuration(), budget: budget) { false }
                try await Self.read(consumer, 1...10)
                _ = try await jetStream.api("CONSUMER.DELETE.S.test-1-1")
                #expect(await code { _ = try await consumer.next(max: 1) } == .fenced)
                #expect(budget.used == 0)
            }
        }
    }

    @Test("ends when the stream is gone")
    func streamDeletion() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 10, size: 10)
                let consumer = try PullConsumer(
                    jetStream, Self.configuration(), budget: PrefetchBudget(total: 1 << 20)
                ) { true }
                try await Self.read(consumer, 1...10)
                try await jetStream.deleteStream("S")
                #expect(await code { _ = try await consumer.next(max: 1) } == .notFound)
            }
        }
    }

    @Test("gets messages through that are larger than its pulls")
    func oversized() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 20, size: 100)
                try await Self.publish(jetStream, 21...24, size: 700_000)
                try await Self.publish(jetStream, 25...60, size: 100)
                var configuration = Self.configuration()
                configuration.minimumPull = 1_000
                configuration.maximumPull = 4_000
                configuration.window = 16_000
                let budget = PrefetchBudget(total: 100_000)
                let consumer = try PullConsumer(jetStream, configuration, budget: budget) { true }
                try await Self.read(consumer, 1...60)
                await consumer.stop()
                #expect(budget.used == 0)
            }
        }
    }

    @Test("keeps all consumers together within the budget, and starves none")
    func budgetBound() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded(30) {
                try await Self.fill(jetStream, count: 800, size: 10_000)
                let budget = PrefetchBudget(total: 300_000)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<8 {
                        group.addTask {
                            var configuration = Self.configuration()
                            configuration.namePrefix = "reader\(number)"
                            configuration.minimumPull = 32_000
                            let consumer = try PullConsumer(jetStream, configuration, budget: budget) { true }
                            try await Self.read(consumer, 1...800, max: 10)
                            await consumer.stop()
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(budget.used == 0)
                #expect(budget.peak <= 300_000 + 8 * (32_000 + 10_200))
            }
        }
    }

    @Test("cancels a wait without ending the consumer")
    func cancellation() async throws {
        try await NATSTestServer.connected { _, jetStream in
            try await bounded {
                try await Self.fill(jetStream, count: 1, size: 10)
                let consumer = try PullConsumer(
                    jetStream, Self.configuration(2), budget: PrefetchBudget(total: 1 << 20)
                ) { true }
                let waiting = Task { await code { _ = try await consumer.next(max: 1) } }
                waiting.cancel()
                #expect(await waiting.value == .cancelled)
                try await Self.publish(jetStream, 2...2, size: 10)
                try await Self.read(consumer, 2...2)
                await consumer.stop()
            }
        }
    }
}

@Suite("Prefetch budget")
struct PrefetchBudgetTests {
    @Test("grants in turn, lets nobody jump the queue, and always grants what is guaranteed")
    func turns() {
        let budget = PrefetchBudget(total: 800)
        let granted = Mutex<[UInt64]>([])
        func reserve(_ token: UInt64, _ bytes: Int, guaranteed: Int = 0) -> Int {
            budget.reserve(preferred: bytes, guaranteed: guaranteed, token: token) { _ in
                granted.withLock { $0.append(token) }
            }
        }
        for token in 1...8 as ClosedRange<UInt64> { #expect(reserve(token, 500) == 100) }
        #expect(reserve(9, 50) == 0)
        #expect(reserve(10, 10) == 0)
        #expect(reserve(11, 10, guaranteed: 5) == 5)
        budget.release(50)
        #expect(granted.withLock { $0 } == [])
        budget.release(5)
        #expect(granted.withLock { $0 } == [9])
        budget.cancel(10)
        budget.release(800)
        #expect(granted.withLock { $0 } == [9])
        #expect(budget.used == 0)
        #expect(budget.peak == 805)
    }
}
