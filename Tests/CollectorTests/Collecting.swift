import Collector
import Foundation
import HTTPTestServer
import Logging
import NATSTransport
import Stages
import Synchronization

extension Rig {
    /// Of a collector with short times, two partitions and no probes.
    func configuration(exportingTo sinks: (name: String, SpanSink)...) throws -> CollectorConfiguration {
        var configuration = CollectorConfiguration()
        configuration.nats.urls = [server.url]
        configuration.streams.partitions = 2
        configuration.checkpointInterval = .milliseconds(20)
        configuration.stopTimeout = .seconds(2)
        configuration.tickInterval = .milliseconds(50)
        configuration.failurePause = .milliseconds(200)
        configuration.runs.linger = .zero
        // Progress records would be further messages of SKEIN_TRAJECTORIES.
        configuration.runs.progressInterval = .seconds(3600)
        configuration.admin.isEnabled = false
        for (name, sink) in sinks {
            try configuration.addTraceEndpoint(url: sink.url, option: name)
            let last = configuration.endpoints.count - 1
            configuration.endpoints[last].name = name
            configuration.endpoints[last].scheduledDelay = .milliseconds(20)
            configuration.endpoints[last].initialBackoff = .milliseconds(20)
        }
        return configuration
    }

    /// Runs a collector in this process around the body, and stops it gracefully.
    func collecting<Result>(
        _ configuration: CollectorConfiguration, log: LogLines = LogLines(), _ body: (Collector) async throws -> Result
    ) async throws -> Result {
        let collector = Collector(configuration, logger: log.logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await collector.run() }
            defer { group.cancelAll() }
            let result = try await body(collector)
            await collector.stop()
            try await group.waitForAll()
            return result
        }
    }

    /// Waits until everything that was published has gone the whole way.
    func catchUp(_ collector: Collector, seconds: Int = 120) async throws {
        try await eventually("everything is delivered", seconds: seconds) { try await collector.isCaughtUp() }
    }

    func deadLetters() async throws -> [JetStreamMessage] { try await contents(of: SkeinSubjects.deadStream) }
}

/// Keeps what is logged.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }
}
