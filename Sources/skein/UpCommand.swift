internal import ArgumentParser
internal import Collector
internal import Foundation
internal import Logging
internal import NATSTransport
internal import Projections
internal import Stages

struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run everything in one process group: an embedded nats-server and a collector.",
        discussion: """
            Examples:
              skein up                                       stays; publish to nats://127.0.0.1:4222
              skein up --publish run.jsonl --exit            shows the finished trajectory and ends
              skein up --otlp http://127.0.0.1:4318          also exports OpenInference traces

            The nats-server is a child process on 127.0.0.1 that keeps its data in --data.
            """)

    @OptionGroup var files: ConfigurationOptions

    @Option(help: "Directory for the embedded server's data; created when missing.")
    var data = ".skein"

    @Option(help: "The nats-server executable. Default: $SKEIN_NATS_SERVER, .tools/nats/bin/nats-server, then PATH.")
    var natsServer: String?

    @Option(help: "Port of the embedded server on 127.0.0.1; 0 takes a free one.")
    var port = 4222

    @Option(
        help:
            "Port on 127.0.0.1 that takes events in over HTTP; 0 turns it off. Default: what the configuration says, else 4319 if it is free."
    )
    var ingest: Int?

    @Option(help: "Also export OpenInference traces to this OTLP/HTTP endpoint.")
    var otlp: String?

    @Option(parsing: .upToNextOption, help: "Files of ATOF JSON Lines to publish once everything runs.")
    var publish: [String] = []

    @Option(help: "Tenant of the published events.")
    var tenant = "default"

    @Flag(help: "With --publish: wait until everything is delivered, show the trajectories, and end.")
    var exit = false

    @Option(help: "Seconds that --exit waits for deliveries before it fails.")
    var timeout = 120

    func validate() throws {
        guard (0...65535).contains(port) else {
            throw ValidationError("--port must be between 0 and 65535, is \(port)")
        }
        if let ingest, !(0...65535).contains(ingest) {
            throw ValidationError("--ingest must be between 0 and 65535, is \(ingest)")
        }
        if exit, publish.isEmpty { throw ValidationError("--exit needs --publish: there is nothing to wait for") }
        guard timeout > 0 else { throw ValidationError("--timeout must be at least 1, is \(timeout)") }
        try check(tenant: tenant)
    }

    func run() async throws {
        var configuration = try files.read()
        try configuration.checkActivation()
        if let otlp { try configuration.addTraceEndpoint(url: otlp, option: "--otlp") }
        // A file that is missing is better told before anything is started.
        for path in publish { _ = try LineReader(path: path) }
        // Something that runs for a moment needs no probes, and must not fail because their port is taken.
        if exit { configuration.admin.isEnabled = false }
        if exit || ingest == 0 {
            configuration.ingest.isEnabled = false
        } else {
            configuration.takeIngest(port: ingest.map { UInt16($0) })
        }
        let logger = try Log.logger(default: exit ? .warning : .info)
        let server = try await startServer()
        configuration.useEmbeddedServer(url: server.url)
        let collector = Collector(configuration, source: files.source, logger: logger)
        do {
            try await run(collector, configuration, server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    /// Which of the parts has ended.
    private enum Ending {
        case collector
        case server
        case publisher(refused: Int)
    }

    /// Runs the collector until it ends, or until its server does.
    private func run(
        _ collector: Collector, _ configuration: CollectorConfiguration, _ server: NATSServerProcess
    ) async throws {
        let signals = CollectorSignals(collector)
        defer { signals.cancel() }
        let refused = try await withThrowingTaskGroup(of: Ending.self) { group in
            let started = AsyncStream.makeStream(of: Void.self)
            group.addTask {
                defer { started.continuation.finish() }
                try await collector.run { started.continuation.yield() }
                return .collector
            }
            group.addTask {
                await server.ended()
                if Task.isCancelled { return .server }
                throw CommandFailure("the embedded nats-server has ended by itself; its log is in \(data)")
            }
            group.addTask {
                var starts = started.stream.makeAsyncIterator()
                guard await starts.next() != nil else { return .publisher(refused: 0) }
                announce(configuration, server)
                let letters = exit ? try await deadLetters(server) : 0
                let refused = publish.isEmpty ? 0 : try await publishFiles(server)
                if exit {
                    try await waitForDelivery(collector)
                    try await show(server, configuration)
                    tellOpen(collector)
                    let more = try await deadLetters(server) - letters
                    await collector.stop()
                    if more > 0 {
                        throw CommandFailure(
                            "\(more) events, spans or documents were refused and are dead letters; skein up --data \(data) "
                                + "and then skein dead list show them")
                    }
                }
                return .publisher(refused: refused)
            }
            var refusedLines = 0
            while let ending = try await group.next() {
                switch ending {
                case .collector: group.cancelAll()
                case .publisher(let refused): refusedLines = refused
                case .server: break
                }
            }
            return refusedLines
        }
        if refused > 0 { throw CommandFailure("\(refused) lines were not published") }
    }

    private func startServer() async throws -> NATSServerProcess {
        let executable = try NATSServerLocator.find(explicit: natsServer)
        do {
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        } catch {
            throw UsageError("--data: \(data) cannot be created as a directory; name one that can be written")
        }
        try DirectoryLock.take(data)
        if port != 0, !TCPPort.isFree(UInt16(port)) {
            throw CommandFailure(
                "port \(port) on 127.0.0.1 is in use; end what listens there, or choose another with --port (0 for a free one)"
            )
        }
        var options = NATSServerProcess.Options(
            executable: executable, dataDirectory: URL(fileURLWithPath: data).path, port: port == 0 ? nil : port)
        // The largest that NATS recommends: events with whole prompts fit.
        options.maxPayload = 8 << 20
        return try await NATSServerProcess.start(options)
    }

    private func announce(_ configuration: CollectorConfiguration, _ server: NATSServerProcess) {
        guard !exit else { return }
        Terminal.error("nats-server     \(server.url), data in \(data)")
        Terminal.error(
            "publish to      skein.v1.events.<tenant>.<key>, or: skein publish run.jsonl --nats \(server.url)")
        if configuration.ingest.isEnabled { Terminal.error("events by HTTP  POST \(configuration.ingest.url)") }
        Terminal.error("trajectories    skein tail trajectories --nats \(server.url)")
        for endpoint in configuration.endpoints {
            Terminal.error("traces          \(endpoint.name): \(endpoint.address)")
        }
        for endpoint in configuration.logEndpoints {
            Terminal.error("logs to         \(endpoint.name): \(endpoint.address)")
        }
        for endpoint in configuration.metricEndpoints {
            Terminal.error("metrics to      \(endpoint.name): \(endpoint.address)")
        }
        for store in configuration.stores { Terminal.error("stored          \(store.name): \(store.address)") }
        if configuration.admin.isEnabled {
            Terminal.error("metrics         http://\(configuration.admin.host):\(configuration.admin.port)/metrics")
        }
        Terminal.error("Ctrl-C ends it.")
    }

    /// - Returns: how many lines were no events.
    private func publishFiles(_ server: NATSServerProcess) async throws -> Int {
        let connection = try await NATSConnection.connect(NATSOptions(urls: [server.url], name: "skein-publish"))
        let publisher = EventPublisher(JetStream(connection), tenant: tenant, batch: 64)
        do {
            for path in publish {
                let reader = try LineReader(path: path)
                while let line = try reader.next() {
                    if let complaint = try await publisher.add(line: line) {
                        Terminal.error("\(path):\(reader.number): \(complaint)")
                    }
                }
            }
            let summary = try await publisher.finish()
            Terminal.error(
                "published \(summary.events) events in \(summary.messages) messages, refused \(summary.refused) lines")
            await connection.close()
            return summary.refused
        } catch {
            await connection.close()
            throw error
        }
    }

    /// How many dead letters there have been, also those that are gone.
    private func deadLetters(_ server: NATSServerProcess) async throws -> UInt64 {
        let connection = try await NATSConnection.connect(NATSOptions(urls: [server.url], name: "skein-up"))
        let last: Result<UInt64, NATSError>
        do throws(NATSError) {
            last = .success(try await JetStream(connection).streamInfo(SkeinSubjects.deadStream).lastSequence)
        } catch {
            last = .failure(error)
        }
        await connection.close()
        return try last.get()
    }

    private func waitForDelivery(_ collector: Collector) async throws {
        let deadline = ContinuousClock.now + .seconds(timeout)
        while !(try await collector.isCaughtUp()) {
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    "not everything was delivered within \(timeout) seconds; is every endpoint and store up? It stays in \(data), start again to go on"
                )
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Says what waits for its end.
    private func tellOpen(_ collector: Collector) {
        let scopes = Int(collector.metrics.total("skein_open_scopes"))
        if scopes > 0 {
            Terminal.error(
                "warning: scopes that did not end: \(scopes); no span shows them until a collector that goes on in \(data) finds them idle"
            )
        }
        let trajectories = Int(collector.metrics.total("skein_open_trajectories"))
        if trajectories > 0 {
            Terminal.error(
                "warning: trajectories that wait for their agent's end: \(trajectories); a collector that goes on in \(data) publishes them "
                    + "as abandoned when they are idle")
        }
    }

    private func show(_ server: NATSServerProcess, _ configuration: CollectorConfiguration) async throws {
        let connection = try await NATSConnection.connect(NATSOptions(urls: [server.url], name: "skein-show"))
        do {
            for trajectory in try await TrajectoryReader(JetStream(connection)).all() {
                Terminal.out(TrajectoryTree(trajectory.document, agent: trajectory.agent).text)
            }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        for endpoint in configuration.endpoints {
            Terminal.out(
                "traces go to \(endpoint.address) (\(endpoint.projection.projection.rawValue), endpoint \(endpoint.name))"
            )
        }
        for store in configuration.stores {
            Terminal.out("trajectories go to \(store.address) (store \(store.name))")
        }
        if configuration.endpoints.isEmpty {
            Terminal.out("no traces were exported: name a backend with --otlp http://127.0.0.1:4318")
        }
    }
}

/// Finds the nats-server that is started as a child.
enum NATSServerLocator {
    static func find(explicit: String?) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let path = explicit ?? environment["SKEIN_NATS_SERVER"] {
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw UsageError(
                    "\(path) (\(explicit == nil ? "SKEIN_NATS_SERVER" : "--nats-server")) is not an executable; run ./dev bootstrap or give the path of nats-server"
                )
            }
            return path
        }
        let searched = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/nats-server" }
        if let found = ([".tools/nats/bin/nats-server"] + searched).first(
            where: FileManager.default.isExecutableFile(atPath:))
        {
            return found
        }
        throw UsageError("there is no nats-server; run ./dev bootstrap, or give its path with --nats-server")
    }
}
