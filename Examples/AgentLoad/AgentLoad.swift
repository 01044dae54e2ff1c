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
        if options.stays { tellProgress(of: publisher) }
        let times = await measure(load, publisher, tasks: options.tasks)
        // Until it is killed.
        while options.stays { try await Task.sleep(for: .seconds(3600)) }
        let isFlushed = await publisher.flush(timeout: .seconds(120))
        publisher.shutdown()
        try await running.value
        print(
            try LoadReport(publisher.statistics, times, isFlushed: isFlushed, resident: Load.peakResidentBytes).json())
    }

    private static func measure(_ load: Load, _ publisher: SkeinPublisher, tasks: Int) async -> Load.Times {
        if tasks == 0 {
            return await withCheckedContinuation { continuation in
                // A thread of its own, so that what is measured is the publisher and not the scheduling of tasks.
                Thread { continuation.resume(returning: load.run(publisher)) }.start()
            }
        }
        return await withTaskGroup(of: Load.Times.self) { group in
            for task in 0..<tasks { group.addTask { load.run(publisher, share: (task, tasks)) } }
            return await group.reduce(into: Load.Times()) { $0 = $0 + $1 }
        }
    }

    /// On a thread of its own: tasks may be blocked.
    private static func tellProgress(of publisher: SkeinPublisher) {
        Thread {
            while true {
                let statistics = publisher.statistics
                let line = "state appended=\(statistics.appended) memory=\(statistics.memoryEvents) "
                let rest = "disk=\(statistics.diskBytes) acknowledged=\(statistics.acknowledged)\n"
                // Not buffered: it may be killed at any time.
                FileHandle.standardOutput.write(Data((line + rest).utf8))
                usleep(50_000)
            }
        }.start()
    }
}
