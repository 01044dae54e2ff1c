internal import NATSTransport
internal import Stages
internal import Synchronization

/// Counts calls against budgets in this process: brings the machines of the tenants together with the bucket.
final class BudgetDesk: Sendable {
    private enum Waiter: Sendable {
        /// It has not come to wait yet.
        case asked
        case waiting(CheckedContinuation<BudgetVerdict, Never>)
        case answered(BudgetVerdict)
    }

    private struct State: Sendable {
        var machines: [String: BudgetMachine] = [:]
        var waiters: [BudgetMachine.Token: Waiter] = [:]
        var nextToken: BudgetMachine.Token = 0
        var isClosed = false
    }

    private struct Work: Sendable {
        enum Access: Sendable {
            case head(BudgetMachine.Actions.Access)
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
    /// One read or write for each tenant at the most, and that of a base beside it.
    private let work = AsyncStream.makeStream(of: Work.self)

    /// - Parameter bucket: with a timeout that is shorter than what agents wait.
    init(_ bucket: KeyValueBucket, metrics: Metrics, limits: BudgetCounters.Limits = .init()) {
        self.bucket = bucket
        self.metrics = metrics
        self.limits = limits
    }

    /// Counts a call, or says why not. What was counted is in the bucket when this returns.
    ///
    /// Whoever asks when nothing is under way reads and writes himself, for all that come meanwhile: nobody has to be woken for it.
    func count(_ call: BudgetCall, tenant: String) async -> BudgetVerdict {
        let asked: (token: BudgetMachine.Token, actions: BudgetMachine.Actions)? = state.withLock { state in
            if state.isClosed { return nil }
            state.nextToken += 1
            state.waiters[state.nextToken] = .asked
            if state.machines[tenant] == nil, state.machines.count >= BudgetDesk.tenantLimit {
                state.machines = state.machines.filter { !$0.value.isIdle }
            }
            let actions = state.machines[tenant, default: BudgetMachine(tenant: tenant, limits: limits)]
                .asked(state.nextToken, call, now: Wall.nanoseconds())
            return (state.nextToken, actions)
        }
        guard let asked else { return BudgetDesk.closed }
        var actions = asked.actions
        while !isAnswered(asked.token, after: actions), let access = actions.access {
            perform(actions.withoutAccess, tenant)
            actions = await self.access(access, tenant)
        }
        perform(actions, tenant)
        return await withCheckedContinuation { continuation in
            let verdict: BudgetVerdict? = state.withLock { state in
                if case .answered(let verdict)? = state.waiters[asked.token] {
                    state.waiters[asked.token] = nil
                    return verdict
                }
                state.waiters[asked.token] = .waiting(continuation)
                return nil
            }
            if let verdict { continuation.resume(returning: verdict) }
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
        perform(.init(answers: waiting.map { .init($0, BudgetDesk.closed) }), "")
    }

    private func access(_ work: Work) async {
        switch work.access {
        case .head(let access):
            let actions = await self.access(access, work.tenant)
            perform(actions, work.tenant)
        case .base(let write): await self.write(write, work.tenant)
        }
    }

    private func access(_ access: BudgetMachine.Actions.Access, _ tenant: String) async -> BudgetMachine.Actions {
        let key = SkeinSubjects.budgetKey(tenant: tenant)
        switch access {
        case .load:
            do throws(NATSError) {
                let entry = try await bucket.get(key, fromLeader: true)
                // Behind the head: whoever writes another base writes a head that refers to it afterwards.
                var bases: [BudgetMachine.Stored?] = []
                for slot in 0..<BudgetBase.slots {
                    let base = try await bucket.get(
                        SkeinSubjects.budgetBaseKey(tenant: tenant, slot: slot), fromLeader: true)
                    bases.append(base.map { .init($0.value, revision: $0.revision) })
                }
                return update(tenant) {
                    $0.loaded(entry?.value, revision: entry?.revision, bases: bases, now: Wall.nanoseconds())
                }
            } catch {
                metrics.add("skein_guard_budget_failures_total", 1, ["operation": "read"])
                return update(tenant) { $0.loadFailed("\(error)") }
            }
        case .write(let bytes, let revision):
            do throws(NATSError) {
                let written = try await write(key, bytes, revision)
                metrics.add("skein_guard_budget_writes_total")
                return update(tenant) { $0.written(revision: written, now: Wall.nanoseconds()) }
            } catch let error where error.code == .wrongLastRevision {
                metrics.add("skein_guard_budget_conflicts_total")
                return update(tenant) { $0.writeRefused() }
            } catch {
                metrics.add("skein_guard_budget_failures_total", 1, ["operation": "write"])
                return update(tenant) { $0.writeFailed("\(error)") }
            }
        }
    }

    private func write(_ new: BudgetMachine.Actions.BaseWrite, _ tenant: String) async {
        let key = SkeinSubjects.budgetBaseKey(tenant: tenant, slot: new.base.slot)
        do throws(NATSError) {
            let written = try await write(key, new.bytes, new.revision)
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

    private func write(_ key: String, _ bytes: [UInt8], _ revision: UInt64?) async throws(NATSError) -> UInt64 {
        if let revision { return try await bucket.update(key, bytes, revision: revision) }
        return try await bucket.create(key, bytes)
    }

    private func update<Result>(_ tenant: String, _ body: (inout BudgetMachine) -> Result) -> Result {
        state.withLock { body(&$0.machines[tenant, default: BudgetMachine(tenant: tenant, limits: limits)]) }
    }

    /// Whether what is to be done next is not for the asker's sake.
    private func isAnswered(_ token: BudgetMachine.Token, after actions: BudgetMachine.Actions) -> Bool {
        if actions.answers.contains(where: { $0.token == token }) { return true }
        return state.withLock { state in
            if case .answered? = state.waiters[token] { true } else { false }
        }
    }

    private func perform(_ actions: BudgetMachine.Actions, _ tenant: String) {
        if !actions.answers.isEmpty {
            let resumed = state.withLock { state in
                actions.answers.compactMap { answer -> (CheckedContinuation<BudgetVerdict, Never>, BudgetVerdict)? in
                    switch state.waiters[answer.token] {
                    case .waiting(let continuation)?:
                        state.waiters[answer.token] = nil
                        return (continuation, answer.verdict)
                    case .asked?:
                        state.waiters[answer.token] = .answered(answer.verdict)
                        return nil
                    case .answered?, nil: return nil
                    }
                }
            }
            for (continuation, verdict) in resumed { continuation.resume(returning: verdict) }
        }
        if let access = actions.access { work.continuation.yield(Work(tenant: tenant, access: .head(access))) }
        if let base = actions.base { work.continuation.yield(Work(tenant: tenant, access: .base(base))) }
    }
}
