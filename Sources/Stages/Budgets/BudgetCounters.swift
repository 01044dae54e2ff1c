/// What the calls of one tenant have used of its budgets, and which calls those were.
///
/// Bounded: counters whose window is over go, so do subjects that were not used for long; of too many the ones that were used longest ago
/// go first, the tenant's own never. A subject that was forgotten begins anew.
package struct BudgetCounters: Sendable {
    package struct Limits: Sendable, Hashable {
        package var counters = 4096
        package var calls = 2048
        /// Nanoseconds for which a call is known as counted.
        package var callLife: UInt64 = 300 * 1_000_000_000
        /// Nanoseconds after which an agent or a trajectory that does nothing is forgotten.
        package var subjectLife: UInt64 = 24 * 3600 * 1_000_000_000
        /// Of all counters together, as they are stored: names of agents may be long. With the calls it fits into a message of 1 MiB.
        package var bytes = 384 << 10

        package init() {}
    }

    package struct Key: Sendable, Hashable {
        package let budget: String
        package let subject: BudgetSubject
        /// 0 without one.
        package let window: UInt64

        init(budget: String, subject: BudgetSubject, window: UInt64) {
            self.budget = budget
            self.subject = subject
            self.window = window
        }

        init(_ demand: BudgetDemand) {
            self.init(budget: demand.budget, subject: demand.subject, window: demand.window ?? 0)
        }
    }

    package struct Counter: Sendable, Hashable {
        /// Nanoseconds since 1970 at which its window began.
        package var start: UInt64
        package var used: UInt64
        /// Of its last call.
        package var time: UInt64
    }

    struct CountedCall: Sendable {
        let id: UInt64
        let time: UInt64
    }

    /// What was counted since a base was made.
    struct Changes: Sendable {
        var keys: Set<Key> = []
        /// How many of the last calls.
        var calls = 0
    }

    package private(set) var counters: [Key: Counter] = [:]
    /// The most that the counters take when they are stored.
    package private(set) var bytes = 0
    /// Subjects that were forgotten because there were too many.
    package private(set) var evicted = 0
    /// Calls counted since these counters were made or read.
    package private(set) var counted = 0
    private(set) var calls: Deque<CountedCall> = Deque()
    private var known: Set<UInt64> = []
    private let limits: Limits
    /// Since the base that heads refer to; everything when there is none.
    private(set) var changes = Changes()
    /// Since the base that is being written.
    private var pending: Changes?

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Counts a call for all its demands, or for none.
    package mutating func count(_ call: BudgetCall, now: UInt64) -> BudgetVerdict {
        if known.contains(call.id) { return .counted }
        for demand in call.demands {
            let used = used(demand, now: now)
            let (sum, overflow) = used.addingReportingOverflow(demand.amount)
            if overflow || sum > demand.limit {
                // Who asks in vain uses the counter too: it must not be the first to be forgotten.
                let key = place(demand, now: now).0
                if counters[key] != nil {
                    counters[key]?.time = now
                    note(key)
                }
                return .exhausted(demand, used: used)
            }
        }
        guard makeRoom(for: call, now: now) else {
            return .unavailable(
                "\(counters.count) counters of the tenant are in use until their windows end, and take \(bytes) bytes")
        }
        for demand in call.demands {
            let (key, start) = place(demand, now: now)
            // Of demands on different counters it is what was looked at above; those of a stranger must not end the collector.
            let (sum, overflow) = used(demand, now: now).addingReportingOverflow(demand.amount)
            set(key, Counter(start: start, used: overflow ? .max : sum, time: now))
            note(key)
        }
        counted += 1
        remember(CountedCall(id: call.id, time: now))
        forget(now: now)
        return .counted
    }

    /// What a demand's counter stands at in the window of now.
    package func used(_ demand: BudgetDemand, now: UInt64) -> UInt64 {
        let (key, start) = place(demand, now: now)
        guard let counter = counters[key], counter.start >= start else { return 0 }
        return counter.used
    }

    /// The clock of a new owner may be a little behind its predecessor's: a window that has begun is not left again.
    private func place(_ demand: BudgetDemand, now: UInt64) -> (Key, start: UInt64) {
        let key = Key(demand)
        let start = key.window == 0 ? 0 : now - now % key.window
        return (key, max(start, counters[key]?.start ?? 0))
    }

    mutating func set(_ key: Key, _ counter: Counter) {
        if counters.updateValue(counter, forKey: key) == nil { bytes += BudgetCounters.bytes(of: key) }
    }

    mutating func note(_ key: Key) {
        changes.keys.insert(key)
        pending?.keys.insert(key)
    }

    /// - Returns: false for a call that is known already.
    @discardableResult
    mutating func remember(_ call: CountedCall) -> Bool {
        guard known.insert(call.id).inserted else { return false }
        calls.append(call)
        changes.calls += 1
        pending?.calls += 1
        return true
    }

    /// What a counter takes at the most: its budget's number, kind of subject, window, start, use and time, and the name.
    private static func bytes(of key: Key) -> Int {
        switch key.subject {
        case .tenant: 40
        case .agent(let name): 44 + name.utf8.count
        case .trajectory: 56
        }
    }

    // MARK: Bases

    /// A base is made of what is counted now; heads refer to the one before until `baseTaken`.
    mutating func baseBegun() { pending = Changes() }

    /// From now on heads say what was counted since the base that was begun.
    mutating func baseTaken() {
        if let pending { changes = pending }
        pending = nil
    }

    mutating func baseAbandoned() { pending = nil }

    /// What is counted now is in the base of which it was read.
    mutating func isInBase() { changes = Changes() }

    // MARK: Forgetting

    private mutating func forget(now: UInt64) {
        while let oldest = calls.first,
            calls.count > limits.calls || oldest.time + limits.callLife < now
        {
            calls.removeFirst()
            known.remove(oldest.id)
        }
    }

    /// Whether the call's new counters fit. One whose window runs is never forgotten: its subject would begin anew.
    private mutating func makeRoom(for call: BudgetCall, now: UInt64) -> Bool {
        let new = Set(call.demands.map { place($0, now: now).0 }).filter { counters[$0] == nil }
        let newBytes = new.reduce(0) { $0 + BudgetCounters.bytes(of: $1) }
        if new.isEmpty || hasRoom(new.count, newBytes) { return true }
        expire(now: now)
        if hasRoom(new.count, newBytes) { return true }
        // Some more than needed, so that not every new subject looks through all of them.
        let oldest = counters.filter { $0.key.subject != .tenant && $0.key.window == 0 }
            .sorted { $0.value.time < $1.value.time }
        for (key, _) in oldest {
            if hasRoom(new.count + limits.counters / 16, newBytes + limits.bytes / 16) { break }
            remove(key)
            evicted += 1
        }
        return hasRoom(new.count, newBytes)
    }

    private func hasRoom(_ count: Int, _ newBytes: Int) -> Bool {
        counters.count + count <= limits.counters && bytes + newBytes <= limits.bytes
    }

    private mutating func remove(_ key: Key) {
        guard counters.removeValue(forKey: key) != nil else { return }
        bytes -= BudgetCounters.bytes(of: key)
        changes.keys.remove(key)
        pending?.keys.remove(key)
    }

    /// Drops what no call can use any more.
    package mutating func expire(now: UInt64) {
        let old = counters.filter { key, counter in
            if key.window > 0 { return counter.start + key.window <= now }
            return key.subject != .tenant && counter.time + limits.subjectLife <= now
        }
        for key in old.keys { remove(key) }
    }
}

/// A queue that gives back what left it now and then.
struct Deque<Element: Sendable>: Sendable, Sequence {
    private var elements: [Element] = []
    private var head = 0

    var count: Int { elements.count - head }
    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() {
        head += 1
        guard head > 64, head * 2 > elements.count else { return }
        elements.removeFirst(head)
        head = 0
    }

    /// The last so many, or all.
    func suffix(_ count: Int) -> ArraySlice<Element> { elements[head...].suffix(count) }

    func makeIterator() -> ArraySlice<Element>.Iterator { elements[head...].makeIterator() }
}
