internal import Foundation
internal import HTTPTransport
package import Logging
internal import NATSTransport
internal import Stages
internal import Synchronization

/// A collector: connects, prepares the streams, and runs a task for every stage and partition until it is stopped.
package final class Collector: Sendable {
    private let configuration: CollectorConfiguration
    private let logger: Logger
    private let tasks = Mutex<[StageTask]>([])
    private let isStopping = Mutex(false)
    package let metrics = Metrics()

    package init(_ configuration: CollectorConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Runs until `stop` or cancellation. `onStart` is called once the tasks are made.
    ///
    /// - Throws: `NATSError` and `CollectorError`: one sentence on what is wrong in the world.
    package func run(onStart: @escaping @Sendable () -> Void = {}) async throws {
        let options = NATSOptions(
            urls: configuration.nats.urls, name: "skein-\(ProcessInfo.processInfo.processIdentifier)",
            authentication: configuration.nats.authentication, tls: configuration.nats.tls)
        let connection = try await NATSConnection.connect(options)
        logger.info("connected", metadata: ["nats": "\(connection.redactedURLs)"])
        do {
            try await run(connection, onStart: onStart)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    private func run(_ connection: NATSConnection, onStart: @escaping @Sendable () -> Void) async throws {
        let jetStream = JetStream(connection)
        let admin = configuration.admin
        if admin.isEnabled, !TCPPort.isFree(admin.port, host: admin.host) {
            // Said before any task is taken over from a collector that works.
            throw CollectorError(
                "http.listen: \(admin.host):\(admin.port) is in use; free the port or choose another one")
        }
        let prepared = try await StreamProvisioner(jetStream, configuration.streams).prepare()
        for name in prepared.created { logger.info("created", metadata: ["stream": "\(name)"]) }
        let environment = StageEnvironment(
            jetStream: jetStream, state: prepared.state, prefetch: PrefetchBudget(total: configuration.prefetchBytes),
            owner: UUID().uuidString, checkpointInterval: configuration.checkpointInterval,
            stopTimeout: configuration.stopTimeout,
            metrics: metrics, logger: logger)
        let stages = makeStages(partitioning: Partitioning(count: prepared.partitions))
        let all = stages.flatMap { stage in
            (0..<prepared.partitions).map { StageTask(stage: stage, partition: $0, environment: environment) }
        }
        tasks.withLock { $0 = all }
        let adminServer = admin.isEnabled ? try await makeAdmin(connection) : nil
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let adminServer { group.addTask { try await adminServer.run() } }
            group.addTask { try await self.watch(connection) }
            group.addTask {
                try await StreamTrimmer(
                    environment, stages: stages.map(\.name), keep: self.configuration.streams.processedKeep,
                    interval: self.configuration.trimInterval, partitions: prepared.partitions
                ).run()
            }
            group.addTask {
                // The tasks are what the collector runs for: when all have ended, or one cannot go on, so has the collector.
                try await withThrowingTaskGroup(of: Void.self) { running in
                    for task in all { running.addTask { try await task.run() } }
                    while try await running.next() != nil {}
                }
                throw CancellationError()
            }
            onStart()
            if isStopping.withLock({ $0 }) { await stop() }
            do {
                while try await group.next() != nil {}
            } catch is CancellationError {
                group.cancelAll()
            }
        }
        try Task.checkCancellation()
    }

    /// Stops reading, delivers what is under way and writes the last checkpoints; `run` returns then.
    package func stop() async {
        isStopping.withLock { $0 = true }
        let all = tasks.withLock { $0 }
        // All at once: each may wait for a broker that is away.
        await withDiscardingTaskGroup { stops in
            for task in all { stops.addTask { await task.stop() } }
        }
    }

    private func makeStages(partitioning: Partitioning) -> [any Stage] {
        var stages: [any Stage] = [ProcessStage(partitioning: partitioning)]
        if let output = configuration.trajectories { stages.append(AssembleStage(output: output)) }
        for endpoint in configuration.endpoints {
            // A request at a time for each partition.
            let client = HTTPClient(maxThreads: partitioning.count)
            stages.append(ExportStage(endpoint: endpoint, runs: configuration.runs, client: client))
        }
        return stages
    }

    private func makeAdmin(_ connection: NATSConnection) async throws -> AdminServer {
        try await AdminServer(
            configuration.admin, metrics: { self.metrics.prometheusText() },
            readiness: {
                if !connection.isConnected { return "NATS at \(connection.redactedURLs) is not connected" }
                var waiting: [String] = []
                for task in self.tasks.withLock({ $0 }) where await task.phase != .running {
                    waiting.append("\(task.name) is \(await task.phase)")
                }
                return waiting.isEmpty ? nil : waiting.joined(separator: ", ")
            })
    }

    /// Logs what happens to the connection, and counts it.
    ///
    /// - Throws: `CollectorError` when the client has given up: it never connects again by itself.
    private func watch(_ connection: NATSConnection) async throws {
        for await event in connection.events {
            if event == .closed, !isStopping.withLock({ $0 }) {
                throw CollectorError(
                    "the connection to \(connection.redactedURLs) is closed for good; are its credentials still valid?")
            }
            metrics.add("skein_nats_events_total", 1, ["event": "\(event)".prefix { $0 != "(" }.description])
            logger.warning("connection changed", metadata: ["event": "\(event)", "nats": "\(connection.redactedURLs)"])
        }
    }

    /// Whether everything published until now has gone the whole way: processed, assembled, delivered.
    package func isCaughtUp() async throws -> Bool {
        let all = tasks.withLock { $0 }
        if all.isEmpty { return false }
        // What `process` writes is what the others read, so it is asked first.
        for task in all { if !(try await task.isCaughtUp()) { return false } }
        return true
    }
}
