import AgentKit
import Foundation
import Logging

/// Appends events at a rate, and measures how long each append takes its caller: while the broker is there and while it is away.
///
/// Prints one line of JSON at the end. With `--stay` it prints its progress and waits to be killed.
@main
struct AgentLoad {
    static func main() async {
        do {
            try await run(try LoadOptions(Array(CommandLine.arguments.dropFirst())))
        } catch {
            FileHandle.standardError.write(Data("AgentLoad: \(error)\n".utf8))
            exit(error is LoadOptions.Mistake || error is PublisherError ? 2 : 1)
        }
    }

    private static func run(_ options: LoadOptions) async throws {
        let logger = Logger(label: "agent-load") { StreamLogHandler.standardError(label: $0) }
        let publisher = try SkeinPublisher(options.configuration, logger: logger)
        let running = Task { try await publisher.run() }
        let load = Load(options)
        let times = await withCheckedContinuation { continuation in
            // A thread of its own, so that what is measured is the publisher and not the scheduling of tasks.
            Thread { continuation.resume(returning: load.run(publisher)) }.start()
        }
        if options.stays {
            while true {
                let statistics = publisher.statistics
                let line = "state appended=\(statistics.appended) memory=\(statistics.memoryEvents) "
                let rest = "disk=\(statistics.diskBytes) acknowledged=\(statistics.acknowledged)\n"
                // Not buffered: it may be killed at any time.
                FileHandle.standardOutput.write(Data((line + rest).utf8))
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        let isFlushed = await publisher.flush(timeout: .seconds(120))
        publisher.shutdown()
        try await running.value
        print(
            try LoadReport(publisher.statistics, times, isFlushed: isFlushed, resident: Load.peakResidentBytes).json())
    }
}
