internal import ATOF
internal import ArgumentParser
internal import Collector
internal import Foundation
internal import NATSTransport
internal import Stages

struct GuardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard", abstract: "Ask the guardrails as an agent does, and see what budgets stand at.",
        subcommands: [GuardAskCommand.self, GuardBudgetsCommand.self])
}

struct GuardAskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "May this call begin?",
        discussion: """
            Examples:
              skein guard ask --tenant acme --tool delete_file --arguments '{"path":"/etc"}'
              skein guard ask --tenant acme --llm chat --request '{"headers":{},"content":{"model":"m","messages":[]}}'

            The question counts against budgets as an agent's does. Exit codes: 0 allowed, as it is or changed; 1 rejected, or nothing was
            decided; 2 wrong usage.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Whose rules and budgets count.")
    var tenant: String

    @Option(help: "Name of the tool to call.")
    var tool: String?

    @Option(help: "Arguments of the tool, as JSON.")
    var arguments = "{}"

    @Option(help: "Name of the model call.")
    var llm: String?

    @Option(help: "The model's request: a JSON object with headers and content.")
    var request: String?

    @Option(help: "Name of the agent.")
    var agent: String?

    @Option(help: "UUID of the run's root.")
    var trajectory: String?

    @Option(help: "UUID of the scope that the call would be a child of.")
    var parent: String?

    @Option(help: "One for each call; asked again with the same, it is counted once.")
    var callID: String?

    @Option(help: "Seconds to wait for the answer.")
    var timeout = 2.0

    @OptionGroup var report: ReportOptions

    func validate() throws {
        try check(tenant: tenant)
        guard (tool == nil) != (llm == nil) else {
            throw ValidationError("give either --tool with --arguments, or --llm with --request")
        }
        guard timeout > 0, timeout <= 60 else {
            throw ValidationError("--timeout must be above 0 and at most 60, is \(timeout)")
        }
        _ = try question()
    }

    func run() async throws {
        let question = try question()
        let reply = try await connection.with { connected in
            do {
                return try await GuardClient(connected).ask(
                    question, tenant: tenant, timeout: .milliseconds(Int(timeout * 1000)))
            } catch let error as NATSError where error.code == .noResponders {
                throw CommandFailure(
                    "no collector answers agents: start one with a guardrails component in its configuration")
            } catch let error as GuardMessageError {
                throw CommandFailure("the answer cannot be read: \(error)")
            }
        }
        switch report.format {
        case .json: Terminal.out(String(decoding: reply.json, as: UTF8.self))
        case .text: print(reply)
        }
        switch reply.decision {
        case .allow, .transform: break
        case .reject: throw ExitCode(1)
        case .error(let failure): throw CommandFailure("nothing was decided (\(failure.code.rawValue)): \(failure)")
        }
    }

    private func print(_ reply: GuardReply) {
        switch reply.decision {
        case .allow: Terminal.out("allow")
        case .reject(let rule, let reason): Terminal.out("reject: \(reason) (rule \(rule))")
        case .transform(.tool(let arguments)): Terminal.out("allow with arguments \(arguments.compactText)")
        case .transform(.llm(let headers, let content)):
            Terminal.out("allow with headers \(headers.compactText) and content \(content.compactText)")
        case .error: break
        }
    }

    private func question() throws -> GuardQuestion {
        let call: GuardQuestion.Call
        if tool != nil {
            call = .tool(arguments: try json("--arguments", arguments))
        } else {
            let value = try json("--request", request ?? "{}")
            guard let headers = value["headers"]?.objectValue, let content = value["content"] else {
                throw ValidationError("--request must be a JSON object with headers, an object, and content")
            }
            call = .llm(headers: headers, content: content)
        }
        var question = GuardQuestion(name: tool ?? llm ?? "", call: call)
        if question.name.isEmpty { throw ValidationError("the name of the call is empty") }
        question.agent = agent
        question.callID = callID
        question.trajectory = try uuid("--trajectory", trajectory)
        question.parent = try uuid("--parent", parent)
        return question
    }

    private func json(_ option: String, _ text: String) throws -> JSONValue {
        do {
            return try JSONParser.parse(text)
        } catch {
            throw ValidationError("\(option) is no JSON that can be read (\(error))")
        }
    }

    private func uuid(_ option: String, _ text: String?) throws -> EventUUID? {
        guard let text else { return nil }
        guard let uuid = EventUUID(text) else { throw ValidationError("\(option) is \"\(text)\", must be a UUID") }
        return uuid
    }
}

struct GuardBudgetsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budgets", abstract: "What agents have used of their budgets.",
        discussion: """
            Examples:
              skein guard budgets
              skein guard budgets --tenant acme --format json
              skein guard budgets --tenant acme --reset --yes     its budgets begin anew, within a second
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Only this tenant.")
    var tenant: String?

    @OptionGroup var report: ReportOptions

    @Flag(help: "Forget what the tenant's agents have used.")
    var reset = false

    @OptionGroup var consent: ConsentOptions

    func validate() throws {
        try check("--tenant", name: tenant)
        if reset, tenant == nil { throw ValidationError("--reset goes with --tenant: say whose budgets begin anew") }
        if consent.yes, !reset { throw ValidationError("--yes goes with --reset only") }
    }

    func run() async throws {
        if reset, let tenant { return try await reset(tenant) }
        let states = try await connection.with { try await BudgetList.read(JetStream($0), tenant: tenant) }
        let rows = states.flatMap { state in
            state.counters.counters.map { Row(tenant: state.tenant, key: $0.key, counter: $0.value) }
        }.sorted { ($0.tenant, $0.budget, $0.of, $0.subject) < ($1.tenant, $1.budget, $1.of, $1.subject) }
        switch report.format {
        case .text:
            if rows.isEmpty { Terminal.out("no budget has been used") }
            for row in rows { Terminal.out(row.text) }
        case .json:
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Terminal.out(Array(try encoder.encode(rows)))
        }
    }

    private func reset(_ tenant: String) async throws {
        guard consent.yes else {
            throw UsageError(
                "this forgets what the agents of tenant \(tenant) have used of all its budgets; say --yes to do it")
        }
        let hadAny = try await connection.with { try await BudgetList.reset(JetStream($0), tenant: tenant) }
        switch report.format {
        case .text:
            Terminal.out(hadAny ? "the budgets of \(tenant) begin anew" : "no budget of \(tenant) has been used")
        case .json: Terminal.out("{\"reset\":\(hadAny)}")
        }
    }

    /// One counter.
    private struct Row: Encodable {
        let tenant: String
        let budget: String
        /// tenant, agent or trajectory.
        let of: String
        let subject: String
        /// Nil without one.
        let windowSeconds: Double?
        let windowBegan: String?
        let used: UInt64
        let lastCall: String

        init(tenant: String, key: BudgetCounters.Key, counter: BudgetCounters.Counter) {
            self.tenant = tenant
            budget = key.budget
            switch key.subject {
            case .tenant: (of, subject) = ("tenant", tenant)
            case .agent(let name): (of, subject) = ("agent", name)
            case .trajectory(let uuid): (of, subject) = ("trajectory", "\(uuid)")
            }
            windowSeconds = key.window == 0 ? nil : Double(key.window) / 1e9
            windowBegan = key.window == 0 ? nil : EventTime(epochNanoseconds: counter.start).rfc3339
            used = counter.used
            lastCall = EventTime(epochNanoseconds: counter.time / 1_000_000 * 1_000_000).rfc3339
        }

        var text: String {
            var text = "\(tenant)  \(budget)  \(of) \(subject): \(used)"
            if let windowBegan { text += " since \(windowBegan)" }
            return text + ", last \(lastCall)"
        }
    }
}
