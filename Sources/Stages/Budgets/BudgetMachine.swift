internal import ATOF

/// Counts the calls of one tenant against its budgets, and answers only what the bucket holds.
///
/// Whoever counts reads the tenant's counters once and writes them with compare-and-set before it answers; calls that come meanwhile are
/// counted together in the next write. So it does not matter who counts: of two who do at once one is refused by the bucket, reads again
/// and counts again, and its calls are recognised by their ids. Times are nanoseconds since 1970.
///
/// What is written for every batch is the head: a base, and what was counted since. Beside heads, and in nobody's way, a new base is
/// written now and then, to the one of two keys that no head refers to, with compare-and-set too. Heads refer to it once it is stored.
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

    /// What the shell does next.
    package struct Actions: Sendable, Hashable {
        package enum Access: Sendable, Hashable {
            /// Read the counters; `loaded` or `loadFailed` follows.
            case load
            /// Write the counters if their revision is still this, nil for none; `written`, `writeRefused` or `writeFailed` follows.
            case write([UInt8], revision: UInt64?)
        }

        /// A base to write beside all that, if its key still has this revision, nil for none; `baseWritten` or `baseFailed` follows.
        package struct BaseWrite: Sendable, Hashable {
            package let base: BudgetBase
            package let bytes: [UInt8]
            package let revision: UInt64?
        }

        package var answers: [Answer] = []
        /// Subjects that were forgotten because there were too many.
        package var forgotten = 0
        package var access: Access?
        package var base: BaseWrite?

        package init(answers: [Answer] = [], access: Access? = nil) {
            self.answers = answers
            self.access = access
        }
    }

    /// What the bucket holds of a key that is there.
    package struct Stored: Sendable {
        package let bytes: [UInt8]
        package let revision: UInt64

        package init(_ bytes: [UInt8], revision: UInt64) {
            self.bytes = bytes
            self.revision = revision
        }
    }

    private struct Waiting: Sendable {
        let token: Token
        let call: BudgetCall
    }

    /// What the bucket holds, and what is counted beyond that while a head is written.
    private struct Held: Sendable {
        var counters: BudgetCounters
        var revision: UInt64?
        /// When the bucket was seen to hold it.
        var seen: UInt64
        /// What heads refer to.
        var base: BudgetBase?
        /// What the head in the bucket refers to: it is not written over.
        var headBase: BudgetBase?
        /// Revisions of the keys of bases.
        var slots: [UInt64?]
        /// Under way.
        var newBase: BudgetBase?
        /// Nobody knows what became of a base: everything is read again.
        var isDoubtful = false
    }

    private enum Phase: Sendable {
        /// What the bucket holds is not known.
        case unknown
        case loading
        case known(Held)
        /// What is written, and who waits for that.
        case writing(Held, [(call: Waiting, verdict: BudgetVerdict)])
    }

    private let tenant: String
    private let limits: BudgetCounters.Limits
    private let waitingLimit: Int
    private var phase = Phase.unknown
    private var waiting: [Waiting] = []
    /// Writes in a row of which nobody knows what became of them.
    private var failedWrites = 0
    /// Reads in a row that found a head and not its base.
    private var torn = 0
    /// Bytes of a head beyond which a new base is made.
    private var headLimit = BudgetMachine.smallestHeadLimit
    private var headSize = 0

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
        case .known(let held), .writing(let held, _): held.counters
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
        case .known(var held):
            if held.isDoubtful { return load() }
            // Held twice it would be copied when it changes.
            phase = .unknown
            return settle(&held, now: now)
        }
    }

    // MARK: Heads

    /// - Parameters:
    ///   - snapshot: what the tenant's key holds; nil when there is no such key.
    ///   - revision: its revision.
    ///   - bases: what the keys of bases hold, read behind the head.
    package mutating func loaded(
        _ snapshot: [UInt8]?, revision: UInt64?, bases: [Stored?] = [nil, nil], now: UInt64
    ) -> Actions {
        guard case .loading = phase else { return Actions() }
        var held = Held(
            counters: BudgetCounters(limits: limits), revision: revision, seen: now, slots: bases.map { $0?.revision })
        if let snapshot {
            do throws(SnapshotError) {
                held.base = try BudgetCounters.base(ofHead: snapshot)
                let bytes = held.base.flatMap { bases[$0.slot]?.bytes }
                if let base = held.base, !BudgetCounters.holds(bytes, base) {
                    // Somebody has written heads and another base between the two reads.
                    torn += 1
                    if torn < BudgetMachine.tries { return load() }
                    throw SnapshotError("the base that they refer to is not there")
                }
                held.counters = try BudgetCounters(head: snapshot, base: bytes, limits: limits)
            } catch {
                return giveUp(
                    "the counters of tenant \(tenant) cannot be read (\(error)); delete the key "
                        + "\(SkeinSubjects.budgetKey(tenant: tenant)) with skein guard budgets --reset to begin anew")
            }
            held.counters.expire(now: now)
        }
        torn = 0
        held.headBase = held.base
        return settle(&held, now: now)
    }

    package mutating func loadFailed(_ reason: String) -> Actions {
        guard case .loading = phase else { return Actions() }
        return giveUp("the counters of tenant \(tenant) cannot be read: \(reason)")
    }

    package mutating func written(revision: UInt64, now: UInt64) -> Actions {
        guard case .writing(var held, let batch) = phase else { return Actions() }
        phase = .unknown
        failedWrites = 0
        held.revision = revision
        held.seen = now
        let answers = batch.map { Answer($0.call.token, $0.verdict) }
        if held.isDoubtful {
            var actions = waiting.isEmpty ? Actions() : load()
            actions.answers = answers
            return actions
        }
        let base = newBase(&held, of: revision)
        var actions = settle(&held, now: now)
        actions.answers = answers + actions.answers
        actions.base = base
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
        torn = 0
        phase = .unknown
        defer { waiting = [] }
        return Actions(answers: waiting.map { Answer($0.token, .unavailable(reason)) })
    }

    /// Counts all that wait. What is counted is answered when it is written; with nothing to write, at once: the counters that others may
    /// have written since only stand higher, and a call that is known stays so. Unless somebody has deleted the key: that is looked for
    /// before a call is turned away, once a second.
    private mutating func settle(_ held: inout Held, now: UInt64) -> Actions {
        var batch: [(call: Waiting, verdict: BudgetVerdict)] = []
        batch.reserveCapacity(waiting.count)
        let (before, evicted) = (held.counters.counted, held.counters.evicted)
        var isTurnedAway = false
        for call in waiting {
            let verdict = call.call.deadline <= now ? .expired : held.counters.count(call.call, now: now)
            switch verdict {
            case .exhausted, .unavailable: isTurnedAway = true
            case .counted, .expired: break
            }
            batch.append((call, verdict))
        }
        if held.counters.counted != before {
            waiting = []
            let head = held.counters.head(held.base)
            headSize = head.count
            held.headBase = held.base
            let revision = held.revision
            var actions = Actions(access: .write(head, revision: revision))
            actions.forgotten = held.counters.evicted - evicted
            phase = .writing(held, batch)
            return actions
        }
        if isTurnedAway, now >= held.seen + BudgetMachine.sight { return load() }
        waiting = []
        phase = .known(held)
        return Actions(answers: batch.map { Answer($0.call.token, $0.verdict) })
    }

    /// How long what was read or written is taken for what is there, before a call is turned away by it: a second.
    private static let sight: UInt64 = 1_000_000_000

    // MARK: Bases

    /// The size of a write at which it begins to take longer.
    private static let smallestHeadLimit = 4096

    private mutating func newBase(_ held: inout Held, of revision: UInt64) -> Actions.BaseWrite? {
        // The key that the head does not refer to is free once the head refers to the other one.
        guard headSize > headLimit, held.newBase == nil, held.headBase == held.base else { return nil }
        let base = BudgetBase(slot: held.base.map { 1 - $0.slot } ?? 0, id: revision)
        let bytes = held.counters.base(id: base.id)
        held.counters.baseBegun()
        held.newBase = base
        // Of much that is remembered, not all is written again for a little.
        headLimit = max(BudgetMachine.smallestHeadLimit, bytes.count / 16)
        return Actions.BaseWrite(base: base, bytes: bytes, revision: held.slots[base.slot])
    }

    package mutating func baseWritten(_ base: BudgetBase, revision: UInt64) {
        update(base) { held in
            held.base = base
            held.slots[base.slot] = revision
            held.counters.baseTaken()
        }
    }

    /// Refused, or nobody knows: everything is read again before the next call is counted, and it is tried again with a larger head.
    package mutating func baseFailed(_ base: BudgetBase) {
        var isMine = false
        update(base) { held in
            isMine = true
            held.counters.baseAbandoned()
            held.isDoubtful = true
        }
        if isMine { headLimit = headSize * 2 }
    }

    /// What was read again since knows nothing of the base.
    private mutating func update(_ base: BudgetBase, _ body: (inout Held) -> Void) {
        switch phase {
        case .known(var held) where held.newBase == base:
            phase = .unknown
            held.newBase = nil
            body(&held)
            phase = .known(held)
        case .writing(var held, let batch) where held.newBase == base:
            phase = .unknown
            held.newBase = nil
            body(&held)
            phase = .writing(held, batch)
        case .unknown, .loading, .known, .writing: break
        }
    }
}
