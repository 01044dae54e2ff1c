internal import ArgumentParser
internal import Collector
internal import NATSTransport

struct TasksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasks", abstract: "Tasks of collectors: forget how far they are.", subcommands: [Reset.self])

    struct Reset: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset", abstract: "Forget positions and state of a stage's tasks.",
            discussion: """
                Examples:
                  skein tasks reset --stage export-old --yes             an endpoint that does not come back holds PROCESSED no longer
                  skein tasks reset --stage process --partition 3 --yes  after the broker has lost messages

                Whoever runs the tasks begins with what their stream holds first. Process stores nothing twice all the same; an export sends
                again what is there; open trajectories and spans of before are forgotten, and so are
                the stage's counts of the ledger and, of process, the producers' numbers.
                """)

        @OptionGroup var connection: ConnectionOptions

        @Option(help: "The stage: process, assemble, export-<name>, store-<name>.")
        var stage: String

        @Option(parsing: .unconditional, help: "Only this partition.")
        var partition: Int?

        @OptionGroup var consent: ConsentOptions

        func validate() throws {
            try check("--stage", name: stage)
            if let partition, partition < 0 { throw ValidationError("--partition must be at least 0, is \(partition)") }
        }

        func run() async throws {
            try await connection.with { connected in
                let list = try await TaskList.open(JetStream(connected))
                let keys = try await list.keys(stage: stage).filter { partition == nil || $0.partition == partition }
                if keys.isEmpty {
                    throw CommandFailure(
                        "no task of the stage \(stage) has a record there; skein lag shows those that have")
                }
                if consent.yes { try await list.reset(keys) }
                let what = consent.yes ? "reset" : "would reset"
                for key in keys { Terminal.out("\(what) \(key.stage)/\(key.partition)") }
                if !consent.yes {
                    throw UsageError("nothing was done; say --yes to forget the positions of these tasks")
                }
            }
        }
    }
}
