internal import ArgumentParser
internal import CMemory
internal import Collector
internal import Foundation
internal import NATSTransport
internal import Stages

@main
struct Skein: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skein",
        abstract: "A message-bus collector for AI-agent lifecycle events.",
        discussion: """
            Agents publish events to NATS JetStream; collectors turn them into ATIF trajectories and OTLP traces.

            Try it, everything embedded:       skein up --publish run.jsonl --exit
            Run a collector:                   skein collect --config skein.toml
            Send a recorded run to it:         skein publish run.jsonl
            Watch trajectories come out:       skein tail trajectories
            See what would be exported:        skein project run.jsonl --as openinference
            May an agent do this:              skein guard ask --tenant T --tool NAME
            Where did my events go:            skein ledger
            What was given up:                 skein dead list

            Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
            """,
        version: SkeinVersion.current,
        subcommands: [
            UpCommand.self, CollectCommand.self, PublishCommand.self, TailCommand.self, ProjectCommand.self,
            CodecCommand.self, DeadCommand.self, LedgerCommand.self, LagCommand.self, TasksCommand.self,
            GuardCommand.self, ValidateCommand.self,
            BenchCommand.self,
        ])

    static func main() async {
        // A reader that goes away ends in an error of the write, not in a signal.
        signal(SIGPIPE, SIG_IGN)
        skein_bound_heap()
        do {
            var command = try parseAsRoot()
            try requireSubcommand(of: type(of: command))
            // A level that is none is a mistake for every command, also for those that log nothing.
            _ = try Log.logger()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Foundation.exit(report(error))
        }
    }

    /// The parser would print the help and end well: a script that calls half a command would not notice.
    private static func requireSubcommand(of command: any ParsableCommand.Type) throws {
        let names = command.configuration.subcommands.compactMap { $0.configuration.commandName }
        if names.isEmpty { return }
        Terminal.error(helpMessage(for: command))
        throw UsageError("the command is missing: one of \(names.joined(separator: ", "))")
    }

    /// What prints the help of the subcommand that was called.
    private static var helpCommand: String {
        var (words, known) = (["skein"], configuration.subcommands)
        for word in CommandLine.arguments.dropFirst() {
            guard let command = known.first(where: { $0.configuration.commandName == word }) else { break }
            words.append(word)
            known = command.configuration.subcommands
        }
        return (words + ["--help"]).joined(separator: " ")
    }

    /// Prints what went wrong and returns the exit code.
    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as ConfigurationError:
            for diagnostic in error.diagnostics { Terminal.error("\(diagnostic)") }
            return 2
        case let error as UsageError:
            Terminal.error("error: \(error.description)")
            return 2
        case let error as NATSError where error.code == .configuration:
            Terminal.error("error: \(error)")
            return 2
        case is NATSError, is CollectorError, is CommandFailure:
            Terminal.error("error: \(error)")
            return 1
        case let code as ExitCode:
            return code.rawValue
        case is CancellationError:
            return 1
        default:
            // Help and version are errors of the parser with code 0.
            let code = exitCode(for: error)
            if code == .success {
                print(fullMessage(for: error))
                return 0
            }
            if code == .validationFailure {
                Terminal.error("error: \(message(for: error)); see \(helpCommand)")
                return 2
            }
            Terminal.error("error: \(message(for: error))")
            return 1
        }
    }
}

extension ParsableArguments {
    /// - Throws: `ValidationError` for a tenant that cannot stand in a subject.
    func check(tenant: String) throws {
        guard EventPublisher.isTenant(tenant) else {
            throw ValidationError("--tenant is \"\(tenant)\", must be made of a-z, 0-9, _ and -")
        }
    }

    /// - Throws: `ValidationError` for a name that is no single token of a subject; a wildcard would mean all.
    func check(_ option: String, name: String?) throws {
        guard let name, !SkeinSubjects.isName(name) else { return }
        throw ValidationError("\(option) is \"\(name)\", must be made of a-z, 0-9, _ and -")
    }
}

/// A mistake on the command line that the parser cannot see.
struct UsageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A command that ran and did not succeed.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
}
