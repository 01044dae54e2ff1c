import AgentKit
import AgentKitService
import Foundation
import Logging
import ServiceLifecycle
import Testing

@Suite("Publisher as a service", .timeLimit(.minutes(1)))
struct PublishingServiceTests {
    /// Emits events when it is told to shut down, as an agent in the middle of its work does.
    private struct Agent: Service {
        let publisher: SkeinPublisher

        func run() async throws {
            PublisherRig.append(1...100, runs: 2, to: publisher)
            try await gracefulShutdown()
            PublisherRig.append(101...200, runs: 2, to: publisher)
        }
    }

    @Test("a group that shuts down gracefully sends everything first, also what its last services emit")
    func graceful() async throws {
        try await PublisherRig.with { rig in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let publisher = try SkeinPublisher(rig.configuration(), logger: logger)
            let group = ServiceGroup(
                services: [PublishingService(publisher), Agent(publisher: publisher)], logger: logger)
            async let running: Void = group.run()
            #expect(await publisher.flush(timeout: .seconds(30)))
            await group.triggerGracefulShutdown()
            try await running
            #expect(publisher.statistics.acknowledged == 400)
        }
    }
}
