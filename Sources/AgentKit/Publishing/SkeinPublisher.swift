public import ATOF
internal import Dispatch
internal import Foundation
public import Logging
internal import NATSTransport
internal import Synchronization

/// Publishes an agent's events to Skein, whatever happens to the broker, without ever being in the agent's way.
///
/// `append` takes well under a microsecond: it puts the event into a queue, and a thread of the publisher does the rest. Events that are
/// appended before `run` wait in memory.
///
/// ```swift
/// let publisher = try SkeinPublisher(PublisherConfiguration(urls: ["nats://127.0.0.1:4222"]))
/// let running = Task { try await publisher.run() }
/// …
/// publisher.shutdown()
/// try await running.value
/// ```
public final class SkeinPublisher: EventOutput {
    private let configuration: PublisherConfiguration
    private let intake: EventIntake
    private let loop: PublishLoop
    private let keeper: ConnectionKeeper
    private let isStarted = Atomic(false)

    /// - Throws: `PublisherError` with code `configuration`: which value cannot be used, and how to correct it.
    public init(_ configuration: PublisherConfiguration, logger: Logger = Logger(label: "skein.agentkit")) throws {
        try configuration.validate()
        if let spool = configuration.spool { try SpoolDirectory.prepare(spool.directory) }
        self.configuration = configuration
        let wake = DispatchSemaphore(value: 0)
        let intake = EventIntake(configuration, wake: wake)
        self.intake = intake
        let instance = String(UUID().uuidString.lowercased().filter { $0 != "-" }.prefix(16))
        loop = PublishLoop(configuration, instance: instance, intake: intake, wake: wake, logger: logger)
        keeper = ConnectionKeeper(configuration, loop: loop, logger: logger)
    }

    /// Takes an event. Never throws; blocks only with `whenFull = .block`, while the memory is full.
    public func append(_ event: [UInt8], key: EventUUID) { intake.append(event, key: key) }

    /// Takes an event, and waits without blocking the thread while the memory is full: as long as `whenFull = .block` says, otherwise not
    /// at all.
    ///
    /// - Throws: `PublisherError` that says why the event was given up: `tooLarge`, `timedOut` or `closed`.
    public func appendOrThrow(_ event: [UInt8], key: EventUUID) async throws {
        try await intake.appendWaiting(event, key: key)
    }

    /// The connection that stands now, or is being made again; a publisher that has just begun connects within moments.
    func connection(within patience: Duration) async -> NATSConnection? { await keeper.connection(within: patience) }

    var tenant: String { configuration.tenant }

    /// What has been done, and what is there now.
    public var statistics: PublisherStatistics { loop.statistics }

    /// Publishes until `shutdown` is called or the task is cancelled. To be called once.
    ///
    /// After `shutdown` it returns when the broker has everything, or everything is on disk while the broker is away, or
    /// `shutdownTimeout` is over. After a cancellation it does not wait for the broker: what is in memory goes to disk if there is a spool.
    ///
    /// - Throws: with `throwsWhenRefused` a `PublisherError` with code `refused`; with code `alreadyRun` when it was called before.
    public func run() async throws {
        guard !isStarted.exchange(true, ordering: .relaxed) else {
            throw PublisherError(.alreadyRun, "the publisher runs already, or has ended; make another one to run again")
        }
        loop.start()
        keeper.start()
        await withTaskCancellationHandler {
            await loop.finished()
        } onCancel: {
            loop.post(.close(deadline: 0))
        }
        await keeper.stop()
        if let refusal = keeper.refusal { throw refusal }
    }

    /// Waits until the broker has stored everything that was appended before.
    ///
    /// - Returns: false when events of that were given up, since the last flush or meanwhile; when it took longer than the timeout, for
    ///   instance because `run` does not run; or when the publisher has ended before.
    public func flush(timeout: Duration = .seconds(10)) async -> Bool {
        await withCheckedContinuation { continuation in
            loop.flush(deadline: uptime() + timeout.wholeNanoseconds) { continuation.resume(returning: $0) }
        }
    }

    /// Ends `run` gracefully. Events are taken until everything before is sent; those that come later are counted as `closed`.
    public func shutdown() {
        loop.post(.close(deadline: uptime() + configuration.shutdownTimeout.wholeNanoseconds))
    }
}
