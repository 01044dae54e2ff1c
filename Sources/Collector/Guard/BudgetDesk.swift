internal import NATSTransport
internal import Stages
internal import Synchronization

/// Counts calls against budgets in this process: brings the machines of the tenants together with the bucket.
final class BudgetDesk: Sendable {
    private struct State: Sendable {
        var machines: [String: BudgetMachine] = [:]
        var waiters: [BudgetMachine.Token: CheckedContinuation<BudgetVerdict, Never>] = [:]
        var nextToken: BudgetMachine.Token = 0
        var isClosed = false
    }

    /// What a task does, because it takes several requests or nobody waits for it.
    private struct Work: Sendable {
        enum Access: Sendable {
            case load
            /// The first head of a tenant.
            case create([UInt8])
            case base(BudgetMachine.Actions.BaseWrite)
        }

        let tenant: String
        let access: Access
    }

    /// Tenants whose counters are held; more are read again when they are asked for.
    private static let tenantLimit = 1024

    private let bucket: KeyValueBucket
    private let metrics: Metrics
    private let limits: BudgetCounters.Limits
    private let state = Mutex(State())
    /// One for each tenant at the most, and a base beside it.
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
                state.waiters[state.nextToken] = continuation
                if state.machines[tenant] == nil, state.machines.count >= BudgetDesk.tenantLimit {
                    state.machines = state.machines.filter { !$0.value.isIdle }
                }
                return state.machines[tenant, default: BudgetMachine(tenant: tenant, limits: limits)]
                    .asked(state.nextToken, call, now: Wall.nanoseconds())
            }
            guard let actions else { return continuation.resume(returning: BudgetDesk.closed) }
            perform(actions, tenant)
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
            return Array(state.waiters.keys)
        }
        answer(waiting.map { .init($0, BudgetDesk.closed) })
    }

    /// The next write begins before the answers go out: it is what everybody waits for.
    private func perform(_ actions: BudgetMachine.Actions, _ tenant: String) {
        metrics.add("skein_guard_budget_subjects_forgotten_total", actions.forgotten)
        switch actions.access {
        case .write(let bytes, let revision?): write(bytes, revision, tenant)
        case .write(let bytes, nil): work.continuation.yield(Work(tenant: tenant, access: .create(bytes)))
        case .load: work.continuation.yield(Work(tenant: tenant, access: .load))
        case nil: break
        }
        answer(actions.answers)
        if let base = actions.base { work.continuation.yield(Work(tenant: tenant, access: .base(base))) }
    }

    private func answer(_ answers: [BudgetMachine.Answer]) {
        if answers.isEmpty { return }
        let resumed = state.withLock { state in
            answers.compactMap { answer in state.waiters.removeValue(forKey: answer.token).map { ($0, answer.verdict) }
            }
        }
        for (continuation, verdict) in resumed { continuation.resume(returning: verdict) }
    }

    // MARK: Heads

    /// What follows is done where the broker's answer arrives: no task has to be woken between two writes.
    private func write(_ bytes: [UInt8], _ revision: UInt64, _ tenant: String) {
        do throws(NATSError) {
            try bucket.update(SkeinSubjects.budgetKey(tenant: tenant), bytes, revision: revision) {
                self.wrote($0, tenant)
            }
        } catch {
            wrote(.failure(error), tenant)
        }
    }

    private func wrote(_ result: Result<UInt64, NATSError>, _ tenant: String) {
        switch result {
        case .success(let revision):
            metrics.add("skein_guard_budget_writes_total")
            perform(update(tenant) { $0.written(revision: revision, now: Wall.nanoseconds()) }, tenant)
        case .failure(let error) where error.code == .wrongLastRevision:
            metrics.add("skein_guard_budget_conflicts_total")
            perform(update(tenant) { $0.writeRefused() }, tenant)
        case .failure(let error):
            metrics.add("skein_guard_budget_failures_total", 1, ["operation": "write"])
            perform(update(tenant) { $0.writeFailed("\(error)") }, tenant)
        }
    }

    private func access(_ work: Work) async {
        switch work.access {
        case .load: await load(work.tenant)
        case .create(let bytes):
            let key = SkeinSubjects.budgetKey(tenant: work.tenant)
            do throws(NATSError) {
                wrote(.success(try await bucket.create(key, bytes)), work.tenant)
            } catch {
                wrote(.failure(error), work.tenant)
            }
        case .base(let write): await self.write(write, work.tenant)
        }
    }

    private func load(_ tenant: String) async {
        let actions: BudgetMachine.Actions
        do throws(NATSError) {
            let entry = try await bucket.get(SkeinSubjects.budgetKey(tenant: tenant), fromLeader: true)
            // Behind the head: whoever writes another base writes a head that refers to it afterwards.
            var bases: [BudgetMachine.Stored?] = []
            for slot in 0..<BudgetBase.slots {
                let base = try await bucket.get(
                    SkeinSubjects.budgetBaseKey(tenant: tenant, slot: slot), fromLeader: true)
                bases.append(base.map { .init($0.value, revision: $0.revision) })
            }
            actions = update(tenant) {
                $0.loaded(entry?.value, revision: entry?.revision, bases: bases, now: Wall.nanoseconds())
            }
        } catch {
            metrics.add("skein_guard_budget_failures_total", 1, ["operation": "read"])
            actions = update(tenant) { $0.loadFailed("\(error)") }
        }
        perform(actions, tenant)
    }

    // MARK: Bases

    private func write(_ new: BudgetMachine.Actions.BaseWrite, _ tenant: String) async {
        let key = SkeinSubjects.budgetBaseKey(tenant: tenant, slot: new.base.slot)
        do throws(NATSError) {
            let written =
                if let revision = new.revision {
                    try await bucket.update(key, new.bytes, revision: revision)
                } else {
                    try await bucket.create(key, new.bytes)
                }
            metrics.add("skein_guard_budget_bases_total")
            update(tenant) { $0.baseWritten(new.base, revision: written) }
        } catch {
            // Refused: somebody else counts too. Whatever it is, calls are counted without the base.
            let operation = error.code == .wrongLastRevision ? nil : "base"
            if let operation {
                metrics.add("skein_guard_budget_failures_total", 1, ["operation": operation])
            } else {
                metrics.add("skein_guard_budget_conflicts_total")
            }
            update(tenant) { $0.baseFailed(new.base) }
        }
    }

    private func update<Result>(_ tenant: String, _ body: (inout BudgetMachine) -> Result) -> Result {
        state.withLock { body(&$0.machines[tenant, default: BudgetMachine(tenant: tenant, limits: limits)]) }
    }
}
