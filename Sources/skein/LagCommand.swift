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

            Members that have different policies are told on standard error.

            The figures are the server's own. A task's position is that of its last checkpoint: a busy one is always a little behind.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Only this stage: process, assemble, export-<name>, store-<name>.")
    var stage: String?

    @OptionGroup var report: ReportOptions

    func validate() throws { try check("--stage", name: stage) }

    func run() async throws {
        let (lags, policies) = try await connection.with { connected in
            let list = try await TaskList.open(JetStream(connected))
            return (try await list.lags(stage: stage), try await list.policies())
        }
        if let stage, lags.isEmpty {
            throw CommandFailure(
                "no task of the stage \(stage) has a record; skein lag without --stage shows those that have")
        }
        if policies.count > 1 {
            Terminal.error("warning: the members have different policies:")
            for (policy, members) in policies.sorted(by: { $0.key < $1.key }) {
                Terminal.error("  \(policy)  \(members.joined(separator: ", "))")
            }
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
