import AgentKit
import Logging
import NATSTransport

extension Rig {
    /// An agent of a process of its own, of the tenant `acme`.
    func runningAgent<Result>(
        _ settings: (SkeinPublisher) -> AgentSettings, _ body: (AgentRuntime, SkeinPublisher) async throws -> Result
    ) async throws -> Result {
        var configuration = PublisherConfiguration(urls: [server.url])
        configuration.tenant = "acme"
        let publisher = try SkeinPublisher(
            configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let publishing = Task { try await publisher.run() }
        let runtime = AgentRuntime(output: publisher, settings: settings(publisher))
        let result: Swift.Result<Result, any Error>
        do {
            try await eventually("the publisher is connected") { publisher.statistics.isConnected }
            result = .success(try await body(runtime, publisher))
        } catch {
            result = .failure(error)
        }
        publisher.shutdown()
        try await publishing.value
        return try result.get()
    }
}
