internal import Foundation
internal import HTTPTransport
package import Logging
internal import Middleware
internal import NATSTransport
internal import Projections
internal import Stages
internal import Synchronization

/// A collector: connects, prepares the streams, joins the members, and runs its share of the tasks until it is stopped.
package final class Collector: Sendable {
    private let settings: Mutex<CollectorConfiguration>
    private let source: ConfigurationSource?
    private let logger: Logger
    private let supervisor = Mutex<TaskSupervisor?>(nil)
    private let guardService = Mutex<GuardService?>(nil)
    private let hintService = Mutex<HintService?>(nil)
    /// Who is asked before the act beside the rules; the same ones until the end.
    private let deciders = Mutex<[any GuardDecider]>([])
    private let reloader = Mutex<PolicyReloader?>(nil)
    private let isStopping = Mutex(false)
    private let ingestListening = Mutex<UInt16?>(nil)
    package let metrics = Metrics()

    /// - Parameter source: what `configuration` was read from; nil for one that is not read again.
    package init(_ configuration: CollectorConfiguration, source: ConfigurationSource? = nil, logger: Logger) {
        settings = Mutex(configuration)
        self.source = source
        self.logger = logger
    }

    private var configuration: CollectorConfiguration { settings.withLock { $0 } }

    /// Runs until `stop` or cancellation. `onStart` is called once this member may own tasks.
    ///
    /// - Throws: `NATSError` and `CollectorError`: one sentence on what is wrong in the world; `ConfigurationError` for a
    ///   configuration that must not run.
    package func run(onStart: @escaping @Sendable () -> Void = {}) async throws {
        try configuration.checkActivation()
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
        let ingest = configuration.ingest
        if ingest.isEnabled, !ingest.isOptional, !TCPPort.isFree(ingest.port, host: ingest.host) {
            throw CollectorError(
                "ingest.listen: \(ingest.host):\(ingest.port) is in use; free the port or choose another one")
        }
        let prepared = try await StreamProvisioner(jetStream, configuration.streams, logger: logger).prepare()
        for name in prepared.created { logger.info("created", metadata: ["stream": "\(name)"]) }
        let (policy, reloader) = try await preparePolicy(jetStream)
        let settings = configuration.middleware
        let workers = WorkerPool(connection, settings.workers, metrics: metrics, logger: logger)
        let guardrailsClient = settings.nemoGuardrails.map {
            NeMoGuardrailsClient($0, metrics: metrics, logger: logger)
        }
        let asked = configuration.deciders + makeDeciders(settings, workers, guardrailsClient)
        deciders.withLock { $0 = asked }
        let stages = makeStages(
            partitioning: Partitioning(count: prepared.partitions), policy,
            EventAdvisers(workers: workers, guardrails: guardrailsClient))
        let guarding = GuardPolicy(settings.guardrails, beside: asked)
        let member = UUID().uuidString.lowercased()
        let membership = try await Membership.join(
            jetStream, id: member,
            stages: stages.map(\.name) + (guarding.isOn ? [StageName.guarding] : []),
            timeToLive: configuration.memberTimeToLive, replicas: configuration.streams.replicas, logger: logger)
        let environment = makeEnvironment(jetStream, prepared, member, membership.timeToLive)
        let supervisor = TaskSupervisor(
            membership, environment, stages: stages, policy: policy, onStart: onStart)
        self.supervisor.withLock { $0 = supervisor }
        let guardService = GuardService(
            environment, guarding, redactions: policy, limit: configuration.guardRequests,
            partitions: prepared.partitions)
        self.guardService.withLock { $0 = guardService }
        let hintService = configuration.adaptive?.answersHints == true ? HintService(environment) : nil
        self.hintService.withLock { $0 = hintService }
        let adminServer = admin.isEnabled ? try makeAdmin(connection, environment.lease) : nil
        let ingestService = ingest.isEnabled ? makeIngest(jetStream, member: member) : nil
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let adminServer { group.addTask { await adminServer.run() } }
            if let ingestService {
                group.addTask { try await ingestService.run { port in self.ingestListens(port) } }
            }
            group.addTask { try await self.watch(connection, environment.outages) }
            group.addTask { try await environment.outages.run(self.logger) }
            group.addTask { try await guardService.run() }
            if let hintService { group.addTask { try await hintService.run() } }
            if let reloader { group.addTask { try await reloader.run() } }
            group.addTask { try await workers.run() }
            if let guardrailsClient { group.addTask { try await guardrailsClient.run() } }
            group.addTask {
                try await StreamTrimmer(
                    environment, stages: stages.map(\.name), keep: self.configuration.streams.processedKeep,
                    interval: self.configuration.trimInterval, partitions: prepared.partitions
                ).run(isDue: { await supervisor.isFirst() }, isRunning: { environment.lease.runs(stage: $0) })
            }
            group.addTask { try await LedgerService(jetStream, supervisor, member: member, logger: self.logger).run() }
            group.addTask {
                // The tasks are what the collector runs for: when they are handed over, it has ended.
                try await supervisor.run()
                throw CancellationError()
            }
            if isStopping.withLock({ $0 }) { await stop() }
            do {
                while try await group.next() != nil {}
            } catch is CancellationError {
                group.cancelAll()
            }
        }
        try Task.checkCancellation()
    }

    /// The policy that holds from the start, with the shared document where it is asked for.
    ///
    /// - Throws: `ConfigurationError`: without the policy that it was given no collector runs.
    private func preparePolicy(_ jetStream: JetStream) async throws -> (CurrentPolicy, PolicyReloader?) {
        guard let source else { return (try CurrentPolicy(configuration), nil) }
        var shared: SharedPolicy?
        var document: SharedPolicy.Document?
        if configuration.sharesPolicy {
            shared = try await SharedPolicy(jetStream, replicas: configuration.streams.replicas)
            document = try await shared?.read()
        }
        if let document {
            let (read, warnings) = try source.read(below: try document.text())
            for warning in warnings { logger.warning("configuration", metadata: ["warning": "\(warning.sentence)"]) }
            try read.checkActivation()
            try read.checkShared(with: configuration)
            settings.withLock { $0.takePolicy(of: read) }
        } else if shared != nil {
            logger.warning(
                "there is no shared policy: only what the files say holds",
                metadata: ["bucket": "\(SharedPolicy.bucket)", "key": "\(SharedPolicy.key)"])
        }
        metrics.set("skein_policy_is_shared", document == nil ? 0 : 1)
        let policy = try CurrentPolicy(configuration)
        let reloader = PolicyReloader(
            source, policy: policy, configuration: configuration, shared: shared, sharedDocument: document,
            metrics: metrics, logger: logger
        ) { await self.policyReplaced(by: $0) }
        self.reloader.withLock { $0 = reloader }
        return (policy, reloader)
    }

    /// What looks at the policy by itself does so; the others are told.
    private func policyReplaced(by configuration: CollectorConfiguration) async {
        let rules = settings.withLock { settings in
            settings.takePolicy(of: configuration)
            return settings.middleware.guardrails
        }
        await guardService.withLock { $0 }?.replace(GuardPolicy(rules, beside: deciders.withLock { $0 }))
    }

    /// Reads the configuration again and takes its policy, from the next message of each task on; what is wrong with it is
    /// logged, and the policy before stays. Returns at once.
    package func reload() {
        guard let reloader = reloader.withLock({ $0 }) else {
            return logger.warning("reload asked for before there was anything to replace")
        }
        reloader.reload()
    }

    /// Who is asked before the act beside the rules.
    private func makeDeciders(
        _ settings: MiddlewareSettings, _ workers: WorkerPool, _ guardrails: NeMoGuardrailsClient?
    ) -> [any GuardDecider] {
        var deciders: [any GuardDecider] = settings.workers.compactMap { WorkerDecider($0, workers) }
        if let guardrails, guardrails.settings.checksInput { deciders.append(NeMoGuardrailsDecider(guardrails)) }
        return deciders
    }

    private func makeEnvironment(
        _ jetStream: JetStream, _ prepared: StreamProvisioner.Result, _ member: String, _ timeToLive: Duration
    ) -> StageEnvironment {
        var logger = logger
        logger[metadataKey: "member"] = "\(member.prefix(8))"
        var environment = StageEnvironment(
            jetStream: jetStream, state: prepared.state, prefetch: PrefetchBudget(total: configuration.prefetchBytes),
            owner: member,
            lease: Lease(MembershipMachine(id: member, timeToLive: timeToLive, partitions: prepared.partitions)),
            metrics: metrics, logger: logger,
            alerts: PolicyAlertWriter(
                jetStream, metrics, logger,
                stream: StreamLayout(configuration.streams, partitions: prepared.partitions).alerts))
        let connection = jetStream.connection
        environment.outages = OutageLog(isConnected: { connection.isConnected })
        environment.checkpointInterval = configuration.checkpointInterval
        environment.checkpointMessages = configuration.checkpointMessages
        // A batch frame and the stamped root come on top of the event.
        environment.chunkLimits.maximumBytes = configuration.maximumEventBytes + 1024
        environment.chunkLimits.openBytes = max(128 << 20, configuration.maximumEventBytes * 2)
        environment.chunkLimits.timeout = UInt64(configuration.chunkTimeout / .nanoseconds(1))
        environment.tickInterval = configuration.tickInterval
        environment.stopTimeout = configuration.stopTimeout
        environment.failurePause = configuration.failurePause
        environment.soon = configuration.runs.linger * 2 + .seconds(2)
        return environment
    }

    /// Stops reading, delivers what is under way, writes the last checkpoints and hands the tasks over; `run` returns then.
    package func stop() async {
        isStopping.withLock { $0 = true }
        // Agents that wait for an answer get it, and the other members get the next questions.
        await guardService.withLock { $0 }?.drain()
        await hintService.withLock { $0 }?.drain()
        await supervisor.withLock { $0 }?.leave()
    }

    private func makeStages(
        partitioning: Partitioning, _ policy: CurrentPolicy, _ advisers: EventAdvisers
    ) -> [any Stage] {
        var stages: [any Stage] = [
            ProcessStage(
                partitioning: partitioning, policy: policy, advisers: advisers,
                maximumEventBytes: configuration.maximumEventBytes)
        ]
        var runs = configuration.runs
        let holders = configuration.endpoints.count + (configuration.trajectories == nil ? 0 : 1)
        runs.taskHeldBytes = runs.heldBytes / max(1, holders * partitioning.count)
        if let output = configuration.trajectories {
            stages.append(
                AssembleStage(
                    output: output, runs: runs, compatibility: configuration.compatibility, policy: policy))
        }
        for endpoint in configuration.endpoints {
            // A request at a time for each partition.
            let client = HTTPClient(maxThreads: partitioning.count)
            stages.append(
                ExportStage(
                    endpoint: endpoint, runs: runs, client: client, compatibility: configuration.compatibility,
                    policy: policy))
        }
        for var endpoint in configuration.logEndpoints {
            endpoint.projection.compatibility = configuration.compatibility
            let client = HTTPClient(maxThreads: partitioning.count)
            stages.append(LogExportStage(endpoint: endpoint, runs: runs, client: client))
        }
        for var endpoint in configuration.metricEndpoints {
            endpoint.projection.compatibility = configuration.compatibility
            let client = HTTPClient(maxThreads: partitioning.count)
            stages.append(MetricExportStage(endpoint: endpoint, client: client))
        }
        if let rules = configuration.middleware.guardrails, !rules.onRuns.isEmpty {
            stages.append(WatchStage(partitioning: partitioning, policy: policy))
        }
        if configuration.adaptive?.learnsLatency == true { stages.append(LearnStage()) }
        stages += configuration.stores.map { StoreStage($0) }
        return stages
    }

    private func makeIngest(_ jetStream: JetStream, member: String) -> IngestService {
        IngestService(
            configuration.ingest, maximumEventBytes: configuration.maximumEventBytes, jetStream, instance: member,
            metrics: metrics, logger: logger)
    }

    /// The port of ingest; nil while it does not listen.
    package var ingestPort: UInt16? { ingestListening.withLock { $0 } }

    private func ingestListens(_ port: UInt16) { ingestListening.withLock { $0 = port } }

    private func makeAdmin(_ connection: NATSConnection, _ lease: Lease) throws -> AdminServer {
        try AdminServer(
            configuration.admin, metrics: { self.metrics.prometheusText() },
            readiness: {
                if !connection.isConnected { return "NATS at \(connection.redactedURLs) is not connected" }
                guard lease.standing == .active else { return "this member is \(lease.standing)" }
                guard let supervisor = self.supervisor.withLock({ $0 }) else { return "starting" }
                var waiting = await supervisor.missing().map { "\($0) waits for its owner to release it" }
                for task in await supervisor.tasks() {
                    switch await task.phase {
                    case .running: break
                    case .failed(let reason): waiting.append("\(task.name) has failed: \(reason)")
                    case .starting, .ended:
                        let failure = await task.lastFailure.map { ", the last try ended with: \($0)" } ?? ""
                        waiting.append("\(task.name) is starting\(failure)")
                    }
                }
                return waiting.isEmpty ? nil : waiting.sorted().joined(separator: "\n")
            })
    }

    /// Logs what happens to the connection, and counts it.
    ///
    /// - Throws: `CollectorError` when the client has given up: it never connects again by itself.
    private func watch(_ connection: NATSConnection, _ outages: OutageLog) async throws {
        for await event in connection.events {
            if event == .closed, !isStopping.withLock({ $0 }) {
                throw CollectorError(
                    "the connection to \(connection.redactedURLs) is closed for good; are its credentials still valid?")
            }
            metrics.add("skein_nats_events_total", 1, ["event": "\(event)".prefix { $0 != "(" }.description])
            let place: Logger.Metadata = ["nats": "\(connection.redactedURLs)"]
            switch event {
            case .disconnected:
                outages.lost()
                logger.warning("the broker is away", metadata: place)
            case .reconnected:
                let summary = outages.restored() ?? [:]
                logger.notice("the broker is back", metadata: place.merging(summary) { own, _ in own })
            case .closed, .publishFailed, .slowConsumer, .error:
                guard let suppressed = outages.admit("connection errors", of: "\(event)".prefix(80).description) else {
                    continue
                }
                logger.warning(
                    "connection changed",
                    metadata: place.merging(["event": "\(event)", "suppressed": "\(suppressed)"]) { own, _ in own })
            }
        }
    }

    /// Whether everything published until now has gone the whole way: processed, assembled, delivered. Of the tasks of this member.
    package func isCaughtUp() async throws -> Bool {
        guard let supervisor = supervisor.withLock({ $0 }) else { return false }
        guard let tasks = await supervisor.completeTasks(), !tasks.isEmpty else { return false }
        // What one writes is what the next ones read, so that is asked first. What `watch` writes comes to `process` again.
        let again = ["process", "watch"].flatMap { stage in tasks.filter { $0.key.stage == stage } }
        for task in again + tasks.sorted(by: { Collector.rank($0.key.stage) < Collector.rank($1.key.stage) }) {
            if !(try await task.isCaughtUp()) { return false }
        }
        // A lease that has ended meanwhile has ended tasks that were not asked yet.
        let now = await supervisor.completeTasks() ?? []
        return Set(now.map(ObjectIdentifier.init)) == Set(tasks.map(ObjectIdentifier.init))
    }

    /// How far behind EVENTS a stage is.
    private static func rank(_ stage: String) -> Int { stage == "process" ? 0 : StageName.isStore(stage) ? 2 : 1 }

    /// The tasks that run here.
    package func tasks() async -> [TaskKey] { await supervisor.withLock { $0 }?.tasks().map(\.key) ?? [] }
}
