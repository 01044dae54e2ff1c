import Collector
import Foundation
import HTTPTestServer
import NATSTestCluster
import NATSTransport
import Stages
import Testing

@Suite("Cluster of three nodes", .timeLimit(.minutes(3)), .serialized)
struct ClusterTests {
    private static let streams = [
        SkeinSubjects.eventsStream, SkeinSubjects.processedStream, SkeinSubjects.trajectoriesStream,
        SkeinSubjects.deadStream, "KV_\(SkeinSubjects.stateBucket)",
    ]

    /// Runs the body with a cluster's nodes, and a rig whose connection knows all of them.
    private static func with(_ body: (NATSTestCluster, Rig) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "skein-cluster-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let cluster = try await NATSTestCluster.start(executable: try NATSTestServer.executable(), directory: directory)
        do {
            try await Rig.connected(to: cluster.nodes, directory) { try await body(cluster, $0) }
        } catch {
            await cluster.kill()
            throw error
        }
        await cluster.kill()
    }

    private static func configuration(_ cluster: NATSTestCluster, _ rig: Rig, _ sink: SpanSink) throws -> String {
        let urls = cluster.urls.map { "\"\($0)\"" }.joined(separator: ", ")
        let text = try String(contentsOfFile: try KillTests.configuration(rig, sink), encoding: .utf8)
            .replacing("urls = [\"\(rig.server.url)\"]", with: "urls = [\(urls)]")
            .replacing("[collector]", with: "[collector]\nreplicas = 3")
        return try rig.file("cluster.toml", text)
    }

    private static func areCurrent(_ rig: Rig) async throws -> Bool {
        for stream in streams where try await !rig.jetStream.isCurrent(stream) { return false }
        return true
    }

    @Test(
        "works as one: each node is killed and started again under load, every event is processed once, nothing is lost"
    )
    func nodesKilled() async throws {
        let runs = (0..<100).map { Run(number: $0, tenant: "tenant-\($0 % 3)", calls: 24) }
        let messages = try KillTests.messages(runs)
        try await ClusterTests.with { cluster, rig in
            let sink = SpanSink()
            defer { sink.server.stop() }
            // It starts while the cluster still looks for its leader.
            let collector = try SkeinProcess(
                ["collect", "--config", try ClusterTests.configuration(cluster, rig, sink)], directory: rig.directory)
            try await eventually("the streams are there") { try await ClusterTests.areCurrent(rig) }
            let parts = cluster.nodes.count + 1
            for part in 0..<parts {
                async let published: Void = rig.publish(
                    messages[(part * messages.count / parts)..<((part + 1) * messages.count / parts)])
                if part < cluster.nodes.count {
                    let before = try await KillTests.lastUnlessAway(rig)
                    try await eventually("the collector works") { try await KillTests.lastUnlessAway(rig) > before + 3 }
                    await cluster.nodes[part].kill()
                    try await published
                    // Its ports may be a client's for a moment: other tests open tens of thousands of connections.
                    try await eventually("node \(part) is back") {
                        do throws(NATSError) {
                            try await cluster.nodes[part].restart()
                            return true
                        } catch  where error.code == .unreachable {
                            return false
                        }
                    }
                    try await eventually("the node is up to date") { try await ClusterTests.areCurrent(rig) }
                } else {
                    try await published
                }
            }
            try await KillTests.expectEverythingOnce(runs, rig, sink)
            for stream in ClusterTests.streams {
                #expect(try await rig.jetStream.streamInfo(stream).configuration.replicas == 3, "\(stream)")
                #expect(try await rig.jetStream.placement(of: stream)?.followers.count == 2, "\(stream)")
            }
            for stream in [SkeinSubjects.eventsStream, SkeinSubjects.processedStream] {
                let consumers = try await rig.jetStream.consumers(of: stream, namePrefix: "skein-")
                #expect(!consumers.isEmpty)
                for name in consumers {
                    let info = try await rig.jetStream.consumerInfo(stream: stream, consumer: name)
                    #expect(info.replicas == 1 && info.isInMemory, "\(name)")
                }
            }
            #expect(collector.isRunning, "\(collector.errors)")
            let outcome = try await collector.stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }

    @Test("that is still forming is waited for; several collectors prepare its streams at once, and agree")
    func forming() async throws {
        try await ClusterTests.with { _, rig in
            let results = try await withThrowingTaskGroup(of: StreamProvisioner.Result.self) { group in
                for partitions in [2, 3, 4, 5] {
                    var streams = CollectorConfiguration().streams
                    streams.replicas = 3
                    streams.partitions = partitions
                    group.addTask { [streams] in try await StreamProvisioner(rig.jetStream, streams).prepare() }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(results.count == 4)
            #expect(Set(results.map(\.partitions)).count == 1)
            for stream in ClusterTests.streams {
                #expect(try await rig.jetStream.streamInfo(stream).configuration.replicas == 3)
            }
        }
    }

    @Test("of which one alone is left is waited for as long as it was said, and the error says what it was")
    func noQuorum() async throws {
        try await ClusterTests.with { cluster, rig in
            for node in cluster.nodes[1...] { await node.kill() }
            try await eventually("there is a connection") { rig.jetStream.connection.isConnected }
            let error = await #expect(throws: NATSError.self) {
                try await StreamProvisioner(
                    rig.jetStream, CollectorConfiguration().streams, patience: .milliseconds(300)
                ).prepare()
            }
            #expect(error?.isTemporary == true)
        }
    }
}
