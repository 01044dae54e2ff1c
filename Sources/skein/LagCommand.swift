internal import ArgumentParser
internal import Collector
internal import Foundation
internal import NATSTransport

struct LagCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lag", abstract: "Show where every task is in its stream, and how much waits behind that.",
        discussion: """
            Examples:
              skein lag
              skein lag --stage export-phoenix --format json

            The figures are the server's own. A task's position is that of its last checkpoint: a busy one is always a little behind.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Only this stage: process, assemble, export-<name>, store-<name>.")
    var stage: String?

    @OptionGroup var report: ReportOptions

    func validate() throws { try check("--stage", name: stage) }

    func run() async throws {
        let lags = try await connection.with { try await TaskList.open(JetStream($0)).lags(stage: stage) }
        if let stage, lags.isEmpty {
            throw CommandFailure(
                "no task of the stage \(stage) has a record; skein lag without --stage shows those that have")
        }
        switch report.format {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            Terminal.out(Array(try encoder.encode(lags)))
        case .text:
            Terminal.out(Self.row("TASK", "OWNER", "EPOCH", "POSITION", "MESSAGES", "SECONDS") + "  HOST")
            for lag in lags {
                Terminal.out(
                    Self.row(
                        "\(lag.stage)/\(lag.partition)", lag.owner.isEmpty ? "–" : String(lag.owner.prefix(8)),
                        String(lag.epoch), String(lag.position), String(lag.messages),
                        String(format: "%.1f", lag.seconds)) + "  \(lag.host)")
            }
        }
    }

    private static func row(_ task: String, _ cells: String...) -> String {
        task.padding(toLength: 28, withPad: " ", startingAt: 0)
            + cells.map { String(repeating: " ", count: max(2, 12 - $0.count)) + $0 }.joined()
    }
}
