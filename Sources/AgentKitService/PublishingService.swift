public import AgentKit
public import ServiceLifecycle

/// A publisher in a `ServiceGroup` of swift-service-lifecycle.
///
/// ```swift
/// let group = ServiceGroup(
///     services: [PublishingService(publisher), agent], gracefulShutdownSignals: [.sigterm], logger: logger)
/// try await group.run()
/// ```
///
/// List it before the services that emit events: a group shuts down backwards, so that theirs are still taken. Shutting down it returns
/// when the broker has everything, or everything is on disk, or the configuration's `shutdownTimeout` is over.
public struct PublishingService: Service {
    private let publisher: SkeinPublisher

    /// - Parameter publisher: one that does not run yet.
    public init(_ publisher: SkeinPublisher) { self.publisher = publisher }

    /// - Throws: what `SkeinPublisher.run` throws.
    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await publisher.run()
        } onGracefulShutdown: {
            publisher.shutdown()
        }
    }
}
