import Foundation
import NATSTestCluster
import NATSTransport
import Synchronization
import Testing

@Suite("Cluster of three", .serialized)
struct ClusterTests {
    /// Runs the body against a cluster in which JetStream works, with a connection that knows all nodes.
    private static func with(_ body: (NATSTestCluster, JetStream) async throws -> Void) async throws {
        let directory = try TestServer.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let cluster = try await NATSTestCluster.start(executable: try TestServer.executable(), directory: directory)
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

    @Test("MEASURE")
    func measure() async throws {
        try await Self.with { cluster, jetStream in
            try await bounded(100) {
                let clock = ContinuousClock()
                let forming = try await clock.measure { try await Self.createStream(jetStream) }
                print("MEASURE forming and first stream", forming)
                for _ in 0..<100 { _ = try await jetStream.publish(subject: "s.x", payload: [1]) }
                let budget = PrefetchBudget(total: 64 << 20)
                let created = clock.now
                let consumers = try (0..<40).map {
                    try PullConsumer(
                        jetStream,
                        PullConsumerConfiguration(
                            stream: "S", namePrefix: "c\($0)", filterSubjects: ["s.>"], startSequence: 1),
                        budget: budget) { true }
                }
                for consumer in consumers {
                    var last: UInt64 = 0
                    while last < 100 { last = try await consumer.next(max: 100).last!.sequence }
                }
                print("MEASURE 40 consumers created and read", clock.now - created)
                for consumer in consumers {
                    let _ = consumer.lastSequence
                }
                let one = try await clock.measure { _ = try await jetStream.pending(stream: "S", filter: "s.>", from: 50) }
                print("MEASURE pending", one)
                for node in cluster.nodes {
                    let expected = try await jetStream.streamInfo("S").lastSequence + 1
                    let killed = clock.now
                    await node.kill()
                    try await Self.retried { _ = try await jetStream.publish(subject: "s.x", payload: [1]) }
                    print("MEASURE publish works after", clock.now - killed)
                    var times: [Duration] = []
                    for consumer in consumers {
                        var last: UInt64 = 0
                        while last < expected { last = try await consumer.next(max: 100).last!.sequence }
                        times.append(clock.now - killed)
                    }
                    print("MEASURE consumers read again after", times.first!, times[20], times.last!)
                    try await node.restart()
                    while !(try await jetStream.isCurrent("S")) { try await Self.pause() }
                    print("MEASURE node current after", clock.now - killed)
                }
                for consumer in consumers { await consumer.stop() }
            }
        }
    }
}
