internal import ATOF
internal import NATSTransport
internal import Stages

/// Brings calls to the member that counts for their tenant, and counts for the others what is this one's.
///
/// That there is one is for speed: what is counted together is written at once. If it does not answer, this member counts itself, and the
/// bucket sees to it that nobody counts on what is out of date.
struct BudgetRouter: Sendable {
    private let connection: NATSConnection
    private let member: String
    private let lease: Lease
    private let partitioning: Partitioning
    private let desk: BudgetDesk
    private let metrics: Metrics
    /// How long the other member may take: it answers in milliseconds, or is gone.
    private static let patience = Duration.milliseconds(400)

    init(
        _ connection: NATSConnection, member: String, lease: Lease, partitioning: Partitioning, desk: BudgetDesk,
        metrics: Metrics
    ) {
        self.connection = connection
        self.member = member
        self.lease = lease
        self.partitioning = partitioning
        self.desk = desk
        self.metrics = metrics
    }

    /// Counts a call by the time the deadline is over.
    func count(
        _ demands: [BudgetDemand], id: UInt64, tenant: String, until deadline: ContinuousClock.Instant
    ) async -> BudgetVerdict {
        let remaining = ContinuousClock.now.duration(to: deadline)
        guard remaining > .zero else { return .expired }
        let call = BudgetCall(id: id, demands: demands, deadline: Wall.nanoseconds(after: remaining))
        let task = Assignment.Task(
            stage: StageName.guarding, partition: partitioning.partition(ofTenant: tenant, key: ""))
        if let owner = lease.owner(of: task), owner != member {
            do {
                let reply = try await connection.request(
                    subject: SkeinSubjects.budgets(member: owner),
                    payload: BudgetMessage(tenant: tenant, call: call).bytes(now: Wall.nanoseconds()),
                    timeout: min(BudgetRouter.patience, remaining / 2))
                let verdict = try BudgetVerdict(reply.payload)
                guard case .unavailable = verdict else { return verdict }
                // An owner that ends, or has too much to do: whoever holds the revision may count.
                metrics.add("skein_guard_budget_detours_total", 1, ["reason": "unavailable"])
            } catch let error as NATSError {
                metrics.add("skein_guard_budget_detours_total", 1, ["reason": BudgetRouter.reason(error)])
            } catch {
                // Another version.
                metrics.add("skein_guard_budget_detours_total", 1, ["reason": "unreadable"])
            }
        }
        return await desk.count(call, tenant: tenant)
    }

    private static func reason(_ error: NATSError) -> String {
        switch error.code {
        case .noResponders: "gone"
        case .timeout: "timeout"
        default: "unreachable"
        }
    }

    /// Answers what another member asks.
    func answer(_ request: ServiceRequest) async -> ServiceAnswer {
        do throws(SnapshotError) {
            let message = try BudgetMessage(request.message.payload, now: Wall.nanoseconds())
            return ServiceAnswer(payload: await desk.count(message.call, tenant: message.tenant).bytes)
        } catch {
            // The asker counts itself when it cannot read the answer.
            return ServiceAnswer(payload: [], failure: ServiceFailure(code: 400, description: "\(error)"))
        }
    }
}
