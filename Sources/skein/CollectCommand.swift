internal import ArgumentParser
internal import Collector
internal import Foundation

struct CollectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Run a collector until it is stopped.",
        discussion: """
            Example: skein collect --config skein.toml

            SIGTERM and SIGINT stop it gracefully: it reads no more, delivers what is under way and writes its checkpoints.
            """)

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let collector = Collector(try connection.configuration(), logger: try Log.logger())
        let signals = StopSignals { Task { await collector.stop() } }
        defer { signals.cancel() }
        try await collector.run()
    }
}

/// Calls back on SIGTERM and SIGINT instead of ending the process at once.
final class StopSignals {
    private let sources: [any DispatchSourceSignal]

    init(_ handler: @escaping @Sendable () -> Void) {
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { handler() }
            source.resume()
            return source
        }
    }

    func cancel() {
        for source in sources { source.cancel() }
        for number in [SIGTERM, SIGINT] { signal(number, SIG_DFL) }
    }
}
