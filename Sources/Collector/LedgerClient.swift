internal import Foundation
package import NATSTransport
internal import Stages

/// Asks all members for their tasks' ledgers.
package struct LedgerClient: Sendable {
    private let connection: NATSConnection

    package init(_ connection: NATSConnection) { self.connection = connection }

    /// Sums up what comes until all tasks have answered, or the time is over.
    package func ask(_ query: LedgerQuery, tasks: Set<TaskKey>, timeout: Duration) async throws -> LedgerSummary {
        let inbox = "_INBOX.skein-ledger.\(UUID().uuidString)"
        let answers = try await connection.subscribe(subject: inbox)
        try await connection.publish(subject: SkeinSubjects.ledger, payload: try query.json, reply: inbox)
        let alarm = Task {
            try await Task.sleep(for: timeout)
            answers.cancel()
        }
        defer {
            alarm.cancel()
            answers.cancel()
        }
        var summary = LedgerSummary()
        // What cannot be read, such as a member that has no task, leaves the others to answer.
        for await message in answers {
            if let report = try? LedgerReport(json: message.payload) { summary.add(report) }
            if tasks.isSubset(of: summary.tasks) { break }
        }
        return summary
    }
}
