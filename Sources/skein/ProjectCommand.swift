internal import ATOF
internal import ArgumentParser
internal import Collector
internal import Foundation

struct ProjectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "project",
        abstract: "Show offline what events become: the code of the live stages, JSON on standard output.",
        discussion: """
            Examples:
              skein project run.jsonl --as trajectories
              skein project run.jsonl --as openinference --config skein.toml
              skein project run.jsonl --as processed --config skein.toml --tenant acme

            The file is the whole stream: its end is the end of everything that is still open.
            """)

    @Argument(help: "File with one ATOF event a line; - is standard input.")
    var file: String

    @Option(
        name: .customLong("as"),
        help: "atof, processed, atif, trajectories, full, gen_ai, openinference, logs or metrics.")
    var output: OfflineProjection.Output

    @OptionGroup var files: ConfigurationOptions

    @Option(help: "Session id of the atif document.")
    var sessionId: String?

    @Option(help: "Whose events they are: for rules of the policy that hold for some tenants only.")
    var tenant = OfflineProjection.tenant

    @Option(help: "inherit, event or tool: wins over the endpoint's mark_projection.")
    var markProjection: String?

    func validate() throws {
        try check(tenant: tenant)
        if sessionId != nil, output != .atif { throw ValidationError("--session-id goes with --as atif only") }
        if let markProjection, !["inherit", "event", "tool"].contains(markProjection) {
            throw ValidationError("--mark-projection is \"\(markProjection)\", must be inherit, event or tool")
        }
        if markProjection != nil, output != .full, output != .openinference {
            throw ValidationError("--mark-projection goes with --as full or openinference only")
        }
    }

    func run() async throws {
        let reader = try LineReader(path: file)
        let configuration = try files.read(needsSecrets: false)
        var projection = try OfflineProjection(
            output, configuration: configuration, sessionID: sessionId, markProjection: markProjection, tenant: tenant)
        var refused = 0
        while let line = try reader.next() {
            do throws(EventError) {
                try projection.add(line: line)
            } catch {
                refused += 1
                Terminal.error("\(file):\(reader.number): \("\(error)".printable)")
            }
        }
        for line in try projection.finish() { Terminal.out(line) }
        for warning in projection.warnings { Terminal.error("warning: \(warning.printable)") }
        if refused > 0 { throw CommandFailure("\(refused) of \(reader.number) lines are not events and were left out") }
    }
}

extension OfflineProjection.Output: ExpressibleByArgument {}
