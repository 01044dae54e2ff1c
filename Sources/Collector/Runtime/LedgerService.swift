internal import Logging
internal import NATSTransport
internal import Stages

/// Answers questions for the ledger on `skein.v1.ledger`: a message for every task that runs here.
struct LedgerService: Sendable {
    private let jetStream: JetStream
    private let supervisor: TaskSupervisor
    private let member: String
    private let logger: Logger

    init(_ jetStream: JetStream, _ supervisor: TaskSupervisor, member: String, logger: Logger) {
        self.jetStream = jetStream
        self.supervisor = supervisor
        self.member = member
        self.logger = logger
    }

    /// Answers until the connection is closed or the task is cancelled.
    func run() async throws {
        let questions = try await jetStream.connection.subscribe(subject: SkeinSubjects.ledger, capacity: 64)
        for await question in questions {
            guard let reply = question.reply else { continue }
            do {
                await answer(try LedgerQuery(json: question.payload), to: reply)
            } catch {
                notAnswered(error)
            }
        }
        try Task.checkCancellation()
    }

    /// Who asked gets no answer for some tasks, and says which are missing.
    private func notAnswered(_ error: any Error) {
        logger.warning("a question for the ledger was not answered", metadata: ["error": "\(error)"])
    }

    private func answer(_ query: LedgerQuery, to reply: String) async {
        var reports: [LedgerReport] = []
        for task in await supervisor.tasks() {
            guard let ledger = await task.ledger() else { continue }
            reports.append(
                LedgerReport(
                    member: member, key: task.key, epoch: ledger.epoch, rows: ledger.rows, producers: ledger.producers,
                    query: query))
        }
        for report in reports {
            do {
                try await jetStream.connection.publish(
                    subject: reply, headers: [SkeinHeaders.tasks: String(reports.count)], payload: try report.json)
            } catch {
                notAnswered(error)
            }
        }
    }
}
