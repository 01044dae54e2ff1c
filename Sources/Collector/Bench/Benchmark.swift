internal import Foundation
internal import HTTPTransport
internal import Logging
internal import NATSTransport
internal import Projections
internal import Stages
internal import Synchronization

/// Measures a collector against what this machine can do at all, with nats-servers of its own on 127.0.0.1.
///
/// Everything is measured in one run, because the figures of a machine change from run to run and only their ratios can be trusted. The
/// stages run one after the other, so that the CPU time of the process is theirs.
package struct Benchmark: Sendable {
    private let natsServer: String
    private let directory: String
    private let events: Int
    private let progress: @Sendable (String) -> Void

    private static let openTrajectories = 1000
    /// A measurement that takes longer has failed.
    private static let limit = Duration.seconds(120)

    /// - Parameters:
    ///   - natsServer: the executable.
    ///   - directory: for the servers' data; the caller removes it.
    ///   - progress: told what is measured next.
    package init(natsServer: String, directory: String, events: Int, progress: @escaping @Sendable (String) -> Void) {
        self.natsServer = natsServer
        self.directory = directory
        self.events = events
        self.progress = progress
    }

    /// - Throws: `NATSError` and `CollectorError`: one sentence on what could not be run.
    package func run() async throws -> BenchmarkReport {
        let sink = try BenchmarkSink()
        defer { sink.stop() }
        // First, while nothing else has grown the process.
        let memory = try await withServer("memory") { try await measureMemory($0, url: $1, sink) }
        let messages = BenchmarkWorkload.messages(events: events)
        let bytes = messages.reduce(0) { $0 + $1.payload.count }
        progress("the machines in memory")
        let machines = try MachineBenchmark(messages: messages, events: events).run()
        progress("projections, documents and codecs in memory")
        let projections = try ProjectionBenchmark().run(messages: machines.processed)
        let codecs = try CodecBenchmark().run()
        progress("redaction in memory")
        let redaction = try RedactionBenchmark(
            messages: machines.processed, process: machines.figures[0].cpuMicrosecondsPerEvent
        ).run()
        let (ceilings, stages) = try await withServer("throughput") { connection, _ in
            try await measureThroughput(connection, messages, sink)
        }
        let guarding = try await withServer("guard") { connection, url in
            let prepared = try await StreamProvisioner(JetStream(connection), .init()).prepare()
            return try await GuardBenchmark(
                connection: connection, url: url, state: prepared.state, logger: logger, progress: progress
            ).run()
        }
        progress("an agent's publisher")
        let publishing = try await withServer("publishing") { connection, url in
            _ = try await StreamProvisioner(JetStream(connection), .init()).prepare()
            return try await PublishingBenchmark(url: url, events: min(events, 200_000)).run()
        }
        return BenchmarkReport(
            workload: .init(events: events, messages: messages.count, bytesPerEvent: Double(bytes) / Double(events)),
            ceilings: ceilings, stages: stages, inMemory: machines.figures + projections.figures + redaction.figures,
            codecs: codecs,
            memory: memory, guarding: guarding, publishing: publishing,
            targets: [
                .init("process, with decoding", stages[0].cpuMicrosecondsPerEvent, atMost: 15, "µs/event"),
                .init(
                    "export to openinference, with JSON and OTLP", stages[2].cpuMicrosecondsPerEvent, atMost: 40,
                    "µs/event"),
                .init(
                    "memory with \(memory.openTrajectories) open trajectories", memory.openMegabytes, atMost: 150, "MB"),
                .init("AgentKit: a scope event on the caller's path", publishing.callerMicroseconds, atMost: 5, "µs"),
                .init(
                    "AgentKit: an event in the whole process (50,000 a second per core)",
                    publishing.cpuMicrosecondsPerEvent, atMost: 20, "µs"),
            ] + projections.targets + redaction.targets
                + guarding.dropFirst().flatMap { figure -> [BenchmarkReport.Target] in
                    [
                        .init("\(figure.name): half of the answers", figure.medianMicroseconds, atMost: 1000, "µs"),
                        .init("\(figure.name): 99 of 100 answers", figure.p99Microseconds, atMost: 5000, "µs"),
                    ]
                })
    }

    private func withServer<Result>(_ name: String, _ body: (NATSConnection, _ url: String) async throws -> Result)
        async throws -> Result
    {
        let server = try await NATSServerProcess.start(
            .init(executable: natsServer, dataDirectory: "\(directory)/\(name)"))
        let result: Swift.Result<Result, any Error>
        do {
            let connection = try await NATSConnection.connect(NATSOptions(urls: [server.url], name: "skein-bench"))
            do { result = .success(try await body(connection, server.url)) } catch { result = .failure(error) }
            await connection.close()
        } catch {
            result = .failure(error)
        }
        await server.stop()
        return try result.get()
    }

    // MARK: Memory

    private func measureMemory(_ connection: NATSConnection, url: String, _ sink: BenchmarkSink) async throws
        -> BenchmarkReport.Memory
    {
        progress("an idle collector")
        var configuration = CollectorConfiguration()
        configuration.nats.urls = [url]
        configuration.admin.isEnabled = false
        configuration.endpoints = [endpoint(sink)]
        let collector = Collector(configuration, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await collector.run() }
            let jetStream = JetStream(connection)
            try await wait(for: "the collector to start") { try await collector.isCaughtUp() }
            let before = ResourceUsage.processCPU
            try await Task.sleep(for: .seconds(3))
            let idleCPU = ResourceUsage.processCPU - before
            var memory = BenchmarkReport.Memory(
                tasks: configuration.streams.partitions * 3, threads: ResourceUsage.threads,
                idleMegabytes: residentMegabytes,
                idleCores: idleCPU / .seconds(3), openTrajectories: Benchmark.openTrajectories, openMegabytes: 0)
            progress("a collector with \(Benchmark.openTrajectories) open trajectories")
            let publisher = EventsPublisher(jetStream)
            var workload = BenchmarkWorkload()
            for number in 0..<Benchmark.openTrajectories {
                try await publisher.publish(key: "run-\(number)", workload.openRun())
            }
            try await publisher.finish()
            try await wait(for: "\(Benchmark.openTrajectories) trajectories to open") {
                try await collector.isCaughtUp()
            }
            memory.openMegabytes = residentMegabytes
            await collector.stop()
            try await group.waitForAll()
            return memory
        }
    }

    private var residentMegabytes: Double { Double(ResourceUsage.residentBytes) / 1_048_576 }

    // MARK: Throughput

    private func measureThroughput(
        _ connection: NATSConnection, _ messages: [(key: String, payload: [UInt8])], _ sink: BenchmarkSink
    ) async throws -> ([BenchmarkReport.Ceiling], [BenchmarkReport.Stage]) {
        let jetStream = JetStream(connection)
        let prepared = try await StreamProvisioner(jetStream, .init()).prepare()
        progress("ceiling: publish")
        let publish = try await ceiling("publish") {
            let publisher = EventsPublisher(jetStream)
            for message in messages { try await publisher.publish(key: message.key, message.payload) }
            try await publisher.finish()
        }
        progress("ceiling: pull")
        let pull = try await ceiling("pull") { try await pullAll(jetStream, messages.count) { _ in } }
        progress("ceiling: pull and publish")
        let relayStream = StreamConfiguration(name: "BENCH", subjects: ["skein.bench"])
        _ = try await jetStream.createStream(relayStream)
        let relay = try await ceiling("pull and publish") {
            let publisher = EventsPublisher(jetStream)
            try await pullAll(jetStream, messages.count) {
                try await publisher.publish(subject: "skein.bench", $0.payload)
            }
            try await publisher.finish()
        }
        try await jetStream.deleteStream(relayStream.name)

        let endpoint = endpoint(sink)
        // Nothing lingers, or the documents would be built after the end.
        var ended = CollectorConfiguration.Runs()
        ended.linger = .zero
        let work: [(any Stage, BenchmarkReport.Ceiling)] = [
            (ProcessStage(partitioning: Partitioning(count: prepared.partitions)), relay),
            (AssembleStage(output: .init(), runs: ended), pull),
            (ExportStage(endpoint: endpoint, runs: .init(), client: HTTPClient(maxThreads: prepared.partitions)), pull),
        ]
        var stages: [BenchmarkReport.Stage] = []
        for (stage, ceiling) in work {
            progress("stage \(stage.name)")
            let (time, cpu) = try await measure(stage, jetStream, prepared, sink)
            let rate = Double(events) / (time / .seconds(1))
            stages.append(
                .init(
                    name: stage.name, eventsPerSecond: rate, ceiling: ceiling.name,
                    shareOfCeiling: rate / ceiling.eventsPerSecond,
                    eventsPerSecondPerCore: Double(events) / (cpu / .seconds(1)),
                    cpuMicrosecondsPerEvent: cpu / .microseconds(1) / Double(events)))
        }
        return ([publish, pull, relay], stages)
    }

    private func ceiling(_ name: String, _ body: () async throws -> Void) async throws -> BenchmarkReport.Ceiling {
        let (start, cpu) = (ContinuousClock.now, ResourceUsage.processCPU)
        try await body()
        let time = ContinuousClock.now - start
        return .init(
            name: name, eventsPerSecond: Double(events) / (time / .seconds(1)),
            cpuMicrosecondsPerEvent: (ResourceUsage.processCPU - cpu) / .microseconds(1) / Double(events))
    }

    private func pullAll(
        _ jetStream: JetStream, _ count: Int, _ body: (JetStreamMessage) async throws -> Void
    ) async throws {
        let consumer = try PullConsumer(
            jetStream,
            PullConsumerConfiguration(
                stream: SkeinSubjects.eventsStream, namePrefix: "bench-\(UUID().uuidString)", filterSubjects: [],
                startSequence: 1),
            budget: PrefetchBudget(total: CollectorConfiguration().prefetchBytes)
        ) { true }
        var rest = count
        while rest > 0 {
            let batch = try await consumer.next(max: 64)
            for message in batch { try await body(message) }
            rest -= batch.count
        }
        await consumer.stop()
    }

    /// Runs a stage alone on all partitions until it has delivered everything.
    ///
    /// - Returns: how long it took, and the CPU time without that of the sink.
    private func measure(
        _ stage: any Stage, _ jetStream: JetStream, _ prepared: StreamProvisioner.Result, _ sink: BenchmarkSink
    ) async throws -> (Duration, Duration) {
        let configuration = CollectorConfiguration()
        let metrics = Metrics()
        var environment = StageEnvironment(
            jetStream: jetStream, state: prepared.state, prefetch: PrefetchBudget(total: configuration.prefetchBytes),
            owner: "bench", lease: .alone("bench"), metrics: metrics, logger: logger)
        environment.stopTimeout = Benchmark.limit
        environment.stallTimeout = Benchmark.limit
        let tasks = (0..<prepared.partitions).map { StageTask(stage: stage, partition: $0, environment: environment) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            let (start, cpu) = (ContinuousClock.now, ResourceUsage.processCPU - sink.cpu)
            for task in tasks { group.addTask { _ = await task.run() } }
            try await wait(for: "the stage \(stage.name)") {
                Int(metrics.total("skein_events_received_total")) >= events
            }
            // A graceful stop delivers what is under way and writes the last checkpoints.
            for task in tasks { await task.stop() }
            try await group.waitForAll()
            return (ContinuousClock.now - start, ResourceUsage.processCPU - sink.cpu - cpu)
        }
    }

    private func wait(for what: String, until isDone: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + Benchmark.limit
        while !(try await isDone()) {
            guard ContinuousClock.now < deadline else {
                throw CollectorError(
                    "waiting for \(what) took longer than \(Benchmark.limit); see the log, or try fewer --events")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func endpoint(_ sink: BenchmarkSink) -> CollectorConfiguration.Endpoint {
        .init(
            name: "openinference", url: "http://127.0.0.1:\(sink.port)/v1/traces",
            projection: ProjectionConfiguration(projection: .openinference),
            resource: ResourceConfiguration(serviceName: "skein"))
    }

    private var logger: Logger {
        var logger = Logger(label: "skein-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        return logger
    }
}

/// Publishes prepared messages with many on their way, and fails with the first that is refused.
private struct EventsPublisher: Sendable {
    private let publisher: Publisher
    private let failure = Failure()

    private final class Failure: Sendable {
        let first = Mutex<NATSError?>(nil)
    }

    init(_ jetStream: JetStream) { publisher = Publisher(jetStream) }

    func publish(key: String, _ payload: [UInt8]) async throws {
        try await publish(subject: SkeinSubjects.events(tenant: BenchmarkWorkload.tenant, key: key), payload)
    }

    func publish(subject: String, _ payload: [UInt8]) async throws {
        let failure = failure
        try await publisher.publish(
            subject: subject, headers: [SkeinHeaders.contentType: SkeinHeaders.protobuf], payload: payload
        ) { result in
            if case .failure(let error) = result { failure.first.withLock { if $0 == nil { $0 = error } } }
        }
    }

    func finish() async throws {
        await publisher.drain()
        if let error = failure.first.withLock({ $0 }) { throw error }
    }
}
