import Foundation
import NATSTestCluster
import NATSTransport
import Synchronization
import Testing

@Suite("Cluster of three", .serialized)
struct ClusterTests {
    /// Runs the body against a cluster in which JetStream works, with a connection that knows all nodes.
    private static func with(_ body: (NATSTestCluster, JetStream) async throws -> Void) async throws {
        let directory = try NATSTestServer.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let cluster = try await NATSTestCluster.start(executable: try NATSTestServer.executable(), directory: directory)
        let connection = try await NATSConnection.connect(
            NATSOptions(urls: cluster.urls, name: "test", reconnectWait: .milliseconds(50)))
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(cluster, JetStream(connection)))
        } catch {
            result = .failure(error)
        }
        await connection.close()
        await cluster.kill()
        try result.get()
    }

    private static func createStream(_ jetStream: JetStream) async throws {
        var configuration = StreamConfiguration(name: "S", subjects: ["s.>"])
        configuration.replicas = 3
        try await retried { _ = try await jetStream.createStream(configuration) }
    }

    /// Repeats while the cluster says that it cannot now.
    @discardableResult
    private static func retried<T>(_ body: () async throws -> T) async throws -> T {
        while true {
            do {
                return try await body()
            } catch let error as NATSError where error.isTemporary {
                try await pause()
            }
        }
    }

    private static func pause() async throws {
        try Task.checkCancellation()
        await withCheckedContinuation { continuation in
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { continuation.resume() }
        }
    }

    /// Publishes a number behind the last one, however often it takes, as a chain of one writer does.
    private static func append(_ number: UInt64, _ jetStream: JetStream) async throws {
        while true {
            // Whether an attempt took effect, only the leader knows.
            let last = try await retried {
                try await jetStream.lastMessage(stream: "S", subject: "s.chain", fromLeader: true)
            }
            if let last, last.headers["Number"] == "\(number)" { return }
            do throws(NATSError) {
                _ = try await jetStream.publish(
                    subject: "s.chain",
                    headers: [
                        "Number": "\(number)", "Nats-Expected-Last-Subject-Sequence": "\(last?.sequence ?? 0)",
                    ], payload: [1])
                return
            } catch {
                guard error.isTemporary || error.code == .wrongLastSequence else { throw error }
            }
            try await pause()
        }
    }

    @Test("a chain, a reader, and a compare-and-set go on when the stream's leader is killed, and when it comes back")
    func leaderKilled() async throws {
        try await Self.with { cluster, jetStream in
            try await bounded(100) {
                try await Self.createStream(jetStream)
                let bucket = try await Self.retried {
                    try await KeyValueBucket.open(jetStream, name: "b", replicas: 3)
                }
                let count = UInt64(600)
                let written = Atomic<UInt64>(0)
                async let writing: Void = {
                    for number in 1...count {
                        try await Self.append(number, jetStream)
                        written.store(number, ordering: .relaxed)
                        // Compare-and-set as a checkpoint does it: after a failure the value tells whether it was ours.
                        var isSet = false
                        while !isSet {
                            isSet = try await Self.retried {
                                let found = try await bucket.get("count", fromLeader: true)
                                if found?.value == Array("\(number)".utf8) { return true }
                                #expect(found.map { $0.value == Array("\(number - 1)".utf8) } ?? (number == 1))
                                do throws(NATSError) {
                                    let value = Array("\(number)".utf8)
                                    try await bucket.update("count", value, revision: found?.revision ?? 0)
                                    return true
                                } catch {
                                    guard error.isTemporary || error.code == .wrongLastRevision else { throw error }
                                    return false
                                }
                            }
                        }
                    }
                }()
                let consumer = try PullConsumer(
                    jetStream,
                    PullConsumerConfiguration(
                        stream: "S", namePrefix: "reader", filterSubjects: ["s.chain"], startSequence: 1),
                    budget: PrefetchBudget(total: 1 << 20)
                ) { true }
                async let reading: [String] = {
                    var numbers: [String] = []
                    while numbers.count < count {
                        for message in try await consumer.next(max: 16) {
                            numbers.append(message.headers["Number"] ?? "")
                        }
                    }
                    return numbers
                }()
                while written.load(ordering: .relaxed) < count / 3 { try await Self.pause() }
                let placement = try #require(try await jetStream.placement(of: "S"))
                #expect(placement.followers.count == 2)
                let leader = try #require(placement.leader.last.flatMap { Int(String($0)) })
                await cluster.nodes[leader].kill()
                while written.load(ordering: .relaxed) < count * 2 / 3 { try await Self.pause() }
                try await cluster.nodes[leader].restart()
                try await writing
                #expect(try await reading == (1...count).map { "\($0)" })
                while !(try await jetStream.isCurrent("S")) { try await Self.pause() }
                let info = try await jetStream.streamInfo("S")
                #expect(info.lastSequence == count && info.configuration.replicas == 3)
                #expect(try await jetStream.streamInfo("KV_b").configuration.replicas == 3)
                let name = try #require(try await jetStream.consumers(of: "S", namePrefix: "reader").last)
                let reader = try await jetStream.consumerInfo(stream: "S", consumer: name)
                #expect(reader.replicas == 1 && reader.isInMemory)
                await consumer.stop()
            }
        }
    }

    @Test("messages are read in bulk while a node is down, also from a replica that has not caught up")
    func bulk() async throws {
        try await Self.with { cluster, jetStream in
            try await bounded(100) {
                try await Self.createStream(jetStream)
                let follower = try #require(try await jetStream.placement(of: "S")?.followers.keys.sorted().first)
                let node = cluster.nodes[try #require(follower.last.flatMap { Int(String($0)) })]
                func publish(_ count: Int) async throws {
                    let failures = Mutex(0)
                    let publisher = Publisher(jetStream)
                    for _ in 0..<count {
                        try await publisher.publish(subject: "s.x", payload: [1, 2, 3]) { result in
                            if case .failure = result { failures.withLock { $0 += 1 } }
                        }
                    }
                    await publisher.drain()
                    #expect(failures.withLock { $0 } == 0)
                }
                try await publish(500)
                await node.kill()
                // The connection may have been to that node.
                while !jetStream.connection.isConnected { try await Self.pause() }
                try await Self.retried { _ = try await jetStream.streamInfo("S") }
                try await publish(2_000)
                #expect(try await jetStream.messages(stream: "S", sequences: 1...2_500).count == 2_500)
                try await node.restart()
                #expect(
                    try await Self.retried {
                        try await jetStream.messages(stream: "S", sequences: 1...2_500).count
                    } == 2_500)
            }
        }
    }
}
