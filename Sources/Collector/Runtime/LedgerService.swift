internal import ATOF
internal import NATSTransport
internal import Stages

/// Answers questions for the ledger on `skein.v1.ledger`: a message for every task that runs here.
struct LedgerService: Sendable {
    private let jetStream: JetStream
    private let supervisor: TaskSupervisor
    private let member: String

    init(_ jetStream: JetStream, _ supervisor: TaskSupervisor, member: String) {
        self.jetStream = jetStream
        self.supervisor = supervisor
        self.member = member
    }

    func run() async throws {
        try await Task.sleep(for: .seconds(1_000_000))
    }
}
