internal import NATSTransport
internal import Stages
internal import Synchronization

/// Counts calls against budgets in this process: brings the machines of the tenants together with the bucket.
final class BudgetDesk: Sendable {
    private struct State: Sendable {
        var machines: [String: BudgetMachine] = [:]
        var waiting: [BudgetMachine.Token: CheckedContinuation<BudgetVerdict, Never>] = [:]
        var nextToken: BudgetMachine.Token = 0
        var isClosed = false
    }

    private struct Work: Sendable {
        let tenant: String
        let access: BudgetMachine.Actions.Access
    }

    /// Tenants whose counters are held; more are read again when they are asked for.
    private static let tenantLimit = 1024

    private let bucket: KeyValueBucket
    private let metrics: Metrics
    private let limits: BudgetCounters.Limits
    private let state = Mutex(State())
    /// One read or write for each tenant at the most.
    private let work = AsyncStream.makeStream(of: Work.self)

    /// - Parameter bucket: with a timeout that is shorter than what agents wait.
    init(_ bucket: KeyValueBucket, metrics: Metrics, limits: BudgetCounters.Limits = .init()) {
        self.bucket = bucket
        self.metrics = metrics
        self.limits = limits
    }

    /// Counts a call, or says why not. What was counted is in the bucket when this returns.
    func count(_ call: BudgetCall, tenant: String) async -> BudgetVerdict {
        await withCheckedContinuation { continuation in
            let actions: BudgetMachine.Actions? = state.withLock { state in
                if state.isClosed { return nil }
                state.nextToken += 1
                state.waiting[state.nextToken] = continuation
                if state.machines[tenant] == nil, state.machines.count >= BudgetDesk.tenantLimit {
                    state.machines = state.machines.filter { !$0.value.isIdle }
                }
                return state.machines[tenant, default: BudgetMachine(tenant: tenant, limits: limits)]
                    .asked(state.nextToken, call, now: Wall.nanoseconds())
            }
            if let actions { perform(actions, tenant) } else { continuation.resume(returning: BudgetDesk.closed) }
        }
    }

    private static let closed = BudgetVerdict.unavailable("the collector that counts ends now; ask again")

    /// Reads and writes until the task is cancelled; who waits then is answered.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await work in work.stream { group.addTask { await self.access(work) } }
        }
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in waiting { continuation.resume(returning: BudgetDesk.closed) }
    }

    private func access(_ work: Work) async {
        let key = SkeinSubjects.budgetKey(tenant: work.tenant)
        let actions: BudgetMachine.Actions
        switch work.access {
        case .load:
            do throws(NATSError) {
                let entry = try await bucket.get(key, fromLeader: true)
                actions = update(work.tenant) {
                    $0.loaded(entry?.value, revision: entry?.revision, now: Wall.nanoseconds())
                }
            } catch {
                metrics.add("skein_guard_budget_failures_total", 1, ["operation": "read"])
                actions = update(work.tenant) { $0.loadFailed("\(error)") }
            }
        case .write(let bytes, let revision):
            do throws(NATSError) {
                let written = try await write(key, bytes, revision)
                metrics.add("skein_guard_budget_writes_total")
                actions = update(work.tenant) { $0.written(revision: written, now: Wall.nanoseconds()) }
            } catch let error where error.code == .wrongLastRevision {
                metrics.add("skein_guard_budget_conflicts_total")
                actions = update(work.tenant) { $0.writeRefused() }
            } catch {
                metrics.add("skein_guard_budget_failures_total", 1, ["operation": "write"])
                actions = update(work.tenant) { $0.writeFailed("\(error)") }
            }
        }
        perform(actions, work.tenant)
    }

    private func write(_ key: String, _ bytes: [UInt8], _ revision: UInt64?) async throws(NATSError) -> UInt64 {
        if let revision { return try await bucket.update(key, bytes, revision: revision) }
        return try await bucket.create(key, bytes)
    }

    private func update(_ tenant: String, _ body: (inout BudgetMachine) -> BudgetMachine.Actions)
        -> BudgetMachine.Actions
    {
        state.withLock { body(&$0.machines[tenant, default: BudgetMachine(tenant: tenant, limits: limits)]) }
    }

    private func perform(_ actions: BudgetMachine.Actions, _ tenant: String) {
        if !actions.answers.isEmpty {
            let resumed = state.withLock { state in
                actions.answers.compactMap { answer in
                    state.waiting.removeValue(forKey: answer.token).map { ($0, answer.verdict) }
                }
            }
            for (continuation, verdict) in resumed { continuation.resume(returning: verdict) }
        }
        if let access = actions.access { work.continuation.yield(Work(tenant: tenant, access: access)) }
    }
}
