internal import ArgumentParser
internal import Collector
internal import Foundation
internal import NATSTransport
internal import Stages

struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "Where did my events go: what each stage received, and what became of it.",
        discussion: """
            Examples:
              skein ledger
              skein ledger --tenant acme --format json
              skein ledger --key 019b7711-9a74-7090-8d72-d297c1624d91

            A key is the routing key on EVENTS in process, and the run's root behind it. Exit code 1 when process has an event under no
            count or under two.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Only this tenant.")
    var tenant: String?

    @Option(help: "Only this key, while it is not folded into its tenant.")
    var key: String?

    @OptionGroup var report: ReportOptions

    @Option(parsing: .unconditional, help: "Seconds to wait for the members' answers.")
    var timeout = 2.0

    func validate() throws {
        try check("--tenant", name: tenant)
        guard timeout > 0, timeout <= 600 else {
            throw ValidationError("--timeout must be above 0 and at most 600, is \(timeout)")
        }
    }

    func run() async throws {
        let (summary, silent) = try await connection.with { connected in
            let tasks = Set(try await TaskList.open(JetStream(connected)).keys())
            let summary = try await LedgerClient(connected).ask(
                LedgerQuery(tenant: tenant, key: key), tasks: tasks, timeout: .milliseconds(Int(timeout * 1000)))
            let silent = tasks.subtracting(summary.tasks)
            return (summary, silent.sorted { ($0.stage, $0.partition) < ($1.stage, $1.partition) })
        }
        switch report.format {
        case .text: print(summary, silent)
        case .json: Terminal.out(try summary.json(silent: silent))
        }
        if summary.tasks.isEmpty { throw CommandFailure("no collector answers on \(SkeinSubjects.ledger); start one") }
        if tenant != nil || key != nil, summary.stageNames.allSatisfy({ summary.isEmpty($0) }) {
            Terminal.error(
                "nothing is counted there: no event came, or the key is folded into its tenant; skein ledger shows all")
        }
        guard summary.isBalanced("process") else {
            throw CommandFailure("the counts of process do not add up")
        }
    }

    private func print(_ summary: LedgerSummary, _ silent: [TaskKey]) {
        for stage in summary.stageNames { Terminal.out(summary.equation(stage)) }
        for gap in summary.producers {
            Terminal.out("missing \(gap.missing) of producer \(gap.producer), tenant \(gap.tenant), key \(gap.key)")
        }
        if !silent.isEmpty {
            Terminal.error("no answer for \(silent.map { "\($0.stage)/\($0.partition)" }.joined(separator: ", "))")
        }
    }
}

extension LedgerSummary {
    fileprivate func json(silent: [TaskKey]) throws -> String {
        struct Document: Encodable {
            struct Stage: Encodable {
                let counts: [String: UInt64]
                let pending: Int64
                let balanced: Bool
            }
            let stages: [String: Stage]
            let producers: [LedgerReport.Producer]
            let silent: [String]
        }
        var stages: [String: Document.Stage] = [:]
        for (name, counts) in self.stages {
            let named = LedgerCounts.Field.allCases.map { ($0.name, counts[$0]) }
            stages[name] = Document.Stage(
                counts: Dictionary(uniqueKeysWithValues: named), pending: counts.pending, balanced: isBalanced(name))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let document = Document(
            stages: stages, producers: producers, silent: silent.map { "\($0.stage)/\($0.partition)" })
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }
}
