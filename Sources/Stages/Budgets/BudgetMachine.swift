internal import ATOF

/// Counts the calls of one tenant against its budgets, and answers only what the bucket holds.
///
/// Whoever counts reads the tenant's counters once and writes them with compare-and-set before it answers; calls that come meanwhile are
/// counted together in the next write. So it does not matter who counts: of two who do at once one is refused by the bucket, reads again
/// and counts again, and its calls are recognised by their ids. Times are nanoseconds since 1970.
package struct BudgetMachine: Sendable {
    package typealias Token = UInt64

    package struct Answer: Sendable, Hashable {
        package let token: Token
        package let verdict: BudgetVerdict

        package init(_ token: Token, _ verdict: BudgetVerdict) {
            self.token = token
            self.verdict = verdict
        }
    }

    /// What the shell does next; answers first.
    package struct Actions: Sendable, Hashable {
        package enum Access: Sendable, Hashable {
            /// Read the counters; `loaded` or `loadFailed` follows.
            case load
            /// Write the counters if their revision is still this, nil for none; `written`, `writeRefused` or `writeFailed` follows.
            case write([UInt8], revision: UInt64?)
        }

        package var answers: [Answer] = []
        package var access: Access?

        package init(answers: [Answer] = [], access: Access? = nil) {
            self.answers = answers
            self.access = access
        }
    }

    private struct Waiting: Sendable {
        let token: Token
        let call: BudgetCall
    }

    private enum Phase: Sendable {
        /// What the bucket holds is not known.
        case unknown
        case loading
        case known(BudgetCounters, revision: UInt64?)
        /// The counters as they are written, and who waits for that.
        case writing(BudgetCounters, [(call: Waiting, verdict: BudgetVerdict)])
    }

    private let tenant: String
    private let limits: BudgetCounters.Limits
    private let waitingLimit: Int
    private var phase = Phase.unknown
    private var waiting: [Waiting] = []
    /// Writes in a row of which nobody knows what became of them.
    private var failedWrites = 0

    /// - Parameter waitingLimit: calls that wait at the most; more are answered at once.
    package init(tenant: String, limits: BudgetCounters.Limits = .init(), waitingLimit: Int = 4096) {
        self.tenant = tenant
        self.limits = limits
        self.waitingLimit = waitingLimit
    }

    /// Whether nobody waits for anything.
    package var isIdle: Bool {
        switch phase {
        case .unknown, .known: waiting.isEmpty
        case .loading, .writing: false
        }
    }

    package var counters: BudgetCounters? {
        switch phase {
        case .known(let counters, _), .writing(let counters, _): counters
        case .unknown, .loading: nil
        }
    }

    package mutating func asked(_ token: Token, _ call: BudgetCall, now: UInt64) -> Actions {
        if waiting.count >= waitingLimit {
            return Actions(answers: [
                Answer(token, .unavailable("\(waiting.count) calls of tenant \(tenant) wait to be counted already"))
            ])
        }
        waiting.append(Waiting(token: token, call: call))
        switch phase {
        case .loading, .writing: return Actions()
        case .unknown: return load()
        case .known(let counters, let revision): return settle(counters, revision, now: now)
        }
    }

    /// - Parameters:
    ///   - snapshot: what the bucket holds; nil when there is no such key.
    ///   - revision: its revision.
    package mutating func loaded(_ snapshot: [UInt8]?, revision: UInt64?, now: UInt64) -> Actions {
        guard case .loading = phase else { return Actions() }
        var counters = BudgetCounters(limits: limits)
        if let snapshot {
            do throws(SnapshotError) {
                counters = try BudgetCounters(snapshot: snapshot, limits: limits)
            } catch {
                return giveUp(
                    "the counters of tenant \(tenant) cannot be read (\(error)); delete the key "
                        + "\(SkeinSubjects.budgetKey(tenant: tenant)) to begin anew")
            }
            counters.expire(now: now)
        }
        return settle(counters, revision, now: now)
    }

    package mutating func loadFailed(_ reason: String) -> Actions {
        guard case .loading = phase else { return Actions() }
        return giveUp("the counters of tenant \(tenant) cannot be read: \(reason)")
    }

    package mutating func written(revision: UInt64, now: UInt64) -> Actions {
        guard case .writing(let counters, let batch) = phase else { return Actions() }
        failedWrites = 0
        var actions = settle(counters, revision, now: now)
        actions.answers = batch.map { Answer($0.call.token, $0.verdict) } + actions.answers
        return actions
    }

    /// Somebody else has written since: what was counted here does not count.
    package mutating func writeRefused() -> Actions {
        guard case .writing(_, let batch) = phase else { return Actions() }
        waiting = batch.map(\.call) + waiting
        return load()
    }

    /// No answer, or a refusal of another kind: whether the counters were written is unknown. They are read again, and the calls that they
    /// hold are recognised.
    package mutating func writeFailed(_ reason: String) -> Actions {
        guard case .writing(_, let batch) = phase else { return Actions() }
        failedWrites += 1
        waiting = batch.map(\.call) + waiting
        if failedWrites < BudgetMachine.tries { return load() }
        return giveUp("the counters of tenant \(tenant) cannot be written: \(reason)")
    }

    private static let tries = 3

    private mutating func load() -> Actions {
        phase = .loading
        return Actions(access: .load)
    }

    private mutating func giveUp(_ reason: String) -> Actions {
        failedWrites = 0
        phase = .unknown
        defer { waiting = [] }
        return Actions(answers: waiting.map { Answer($0.token, .unavailable(reason)) })
    }

    /// Counts all that wait. What is counted is answered when it is written; with nothing to write, at once: the counters that others may
    /// have written since only stand higher, and a call that is known stays so.
    private mutating func settle(_ counters: BudgetCounters, _ revision: UInt64?, now: UInt64) -> Actions {
        var counters = counters
        var batch: [(call: Waiting, verdict: BudgetVerdict)] = []
        batch.reserveCapacity(waiting.count)
        let before = counters.counted
        for call in waiting {
            let isLate = call.call.deadline <= now
            batch.append((call, isLate ? .expired : counters.count(call.call, now: now)))
        }
        waiting = []
        if counters.counted == before {
            phase = .known(counters, revision: revision)
            return Actions(answers: batch.map { Answer($0.call.token, $0.verdict) })
        }
        phase = .writing(counters, batch)
        return Actions(access: .write(counters.snapshot, revision: revision))
    }
}
