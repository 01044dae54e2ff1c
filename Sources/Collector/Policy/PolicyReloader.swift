internal import Logging
internal import NATSTransport
internal import Synchronization

/// Replaces the policy of a collector that runs, when it is asked to and when the shared document changes.
///
/// The new configuration is validated as a whole first. Whatever is wrong with it, the policy before stays.
final class PolicyReloader: Sendable {
    /// How a try ended; the label of `skein_policy_reloads_total`.
    enum Result: String, Sendable {
        case applied, unchanged, refused
        /// The shared document could not be asked for; it is tried again.
        case failed
    }

    private struct State: Sendable {
        /// That of the policy that holds.
        var configuration: CollectorConfiguration
        /// The revision that was read last, also one that was refused: it is not tried again by itself.
        var seen: UInt64?
    }

    private let source: ConfigurationSource
    private let policy: CurrentPolicy
    private let shared: SharedPolicy?
    private let interval: Duration
    private let metrics: Metrics
    private let logger: Logger
    private let onReplaced: @Sendable (CollectorConfiguration) async -> Void
    private let state: Mutex<State>
    /// Whether the files are to be read again whatever the key says.
    private let isAsked = Mutex(false)
    private let wakes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameters:
    ///   - configuration: that `policy` was made of, with the shared document if there is one.
    ///   - interval: between two looks at the key, for changes that nobody told.
    ///   - onReplaced: called with the configuration of each policy that replaced another.
    init(
        _ source: ConfigurationSource, policy: CurrentPolicy, configuration: CollectorConfiguration,
        shared: SharedPolicy?,
        sharedDocument: SharedPolicy.Document?, interval: Duration = .seconds(30), metrics: Metrics, logger: Logger,
        onReplaced: @escaping @Sendable (CollectorConfiguration) async -> Void
    ) {
        self.onReplaced = onReplaced
        self.source = source
        self.policy = policy
        self.shared = shared
        self.interval = interval
        self.metrics = metrics
        self.logger = logger
        state = Mutex(State(configuration: configuration, seen: sharedDocument?.revision))
        metrics.set("skein_policy_generation", Double(policy.generation))
    }

    /// Asks for the files to be read again. Returns at once.
    func reload() {
        isAsked.withLock { $0 = true }
        wakes.continuation.yield()
    }

    /// Until it is cancelled. One reload after the other.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let shared {
                group.addTask {
                    for await _ in try await shared.changes() { self.wakes.continuation.yield() }
                }
                group.addTask {
                    while true {
                        try await Task.sleep(for: self.interval)
                        self.wakes.continuation.yield()
                    }
                }
            }
            group.addTask {
                for await _ in self.wakes.stream { await self.look() }
                try Task.checkCancellation()
            }
            while try await group.next() != nil {}
        }
    }

    private func look() async {
        let isAsked = isAsked.withLock { asked in
            defer { asked = false }
            return asked
        }
        do {
            let document = try await shared?.read(known: state.withLock { $0.seen != nil })
            let isNew = state.withLock { $0.seen != document?.revision }
            guard isAsked || isNew else { return }
            state.withLock { $0.seen = document?.revision }
            finish(try await apply(document))
        } catch let error as ConfigurationError {
            for diagnostic in error.diagnostics where diagnostic.level == .error {
                logger.error("policy refused, the one before stays", metadata: ["error": "\(diagnostic.sentence)"])
            }
            finish(.refused)
        } catch {
            // Asked again at the next look.
            if isAsked { self.isAsked.withLock { $0 = true } }
            logger.warning("the shared policy cannot be read, the one before stays", metadata: ["error": "\(error)"])
            finish(.failed)
        }
    }

    private func finish(_ result: Result) {
        metrics.add("skein_policy_reloads_total", 1, ["result": result.rawValue])
        metrics.set("skein_policy_generation", Double(policy.generation))
    }

    /// - Throws: `ConfigurationError`.
    private func apply(_ shared: SharedPolicy.Document?) async throws(ConfigurationError) -> Result {
        let (configuration, warnings) = try source.read(below: try shared?.text())
        try configuration.checkActivation()
        try configuration.checkLayers(since: state.withLock { $0.configuration })
        try configuration.checkRestart(since: state.withLock { $0.configuration })
        for warning in warnings { logger.warning("configuration", metadata: ["warning": "\(warning.sentence)"]) }
        let generation = try policy.replace(by: configuration)
        state.withLock { $0.configuration = configuration }
        guard let generation else {
            logger.info("policy read again, nothing has changed")
            return .unchanged
        }
        await onReplaced(configuration)
        logger.notice("policy replaced", metadata: ["generation": "\(generation)"])
        return .applied
    }
}
