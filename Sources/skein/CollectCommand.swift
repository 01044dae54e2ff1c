internal import ArgumentParser
internal import Collector
internal import Foundation

struct CollectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Run a collector until it is stopped.",
        discussion: """
            Example: skein collect --config skein.toml

            SIGTERM and SIGINT stop it gracefully: it reads no more, delivers what is under way and writes its checkpoints.
            SIGHUP makes it read the configuration again and take the policy of it. What is wrong with it is logged, and the policy
            before stays.
            """)

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let collector = Collector(
            try connection.configuration(), source: connection.files.source, logger: try Log.logger())
        let signals = CollectorSignals(collector)
        defer { signals.cancel() }
        try await collector.run()
    }
}

/// Stops a collector on SIGTERM and SIGINT instead of ending the process at once, and reloads its policy on SIGHUP.
final class CollectorSignals {
    private let sources: [any DispatchSourceSignal]

    init(_ collector: Collector) {
        // A terminal that goes away says so by the same signal.
        let hadTerminal = isatty(STDIN_FILENO) == 1
        sources = [SIGTERM, SIGINT, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if number == SIGHUP, !hadTerminal || isatty(STDIN_FILENO) == 1 {
                    collector.reload()
                } else {
                    Task { await collector.stop() }
                }
            }
            source.resume()
            return source
        }
    }

    func cancel() {
        for source in sources { source.cancel() }
        for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_DFL) }
    }
}
