package import ATOF

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

        package init() {}
    }

    package struct Key: Sendable, Hashable {
        package let budget: String
        package let subject: BudgetSubject
        /// 0 without one.
        package let window: UInt64
    }

    package struct Counter: Sendable, Hashable {
        /// Nanoseconds since 1970 at which its window began.
        package var start: UInt64
        package var used: UInt64
        /// Of its last call.
        package var time: UInt64
    }

    private struct CountedCall {
        let id: UInt64
        let time: UInt64
    }

    package private(set) var counters: [Key: Counter] = [:]
    /// Subjects that were forgotten because there were too many.
    package private(set) var evicted = 0
    /// Calls counted since these counters were made or read.
    package private(set) var counted = 0
    private var calls: Deque<CountedCall> = Deque()
    private var known: Set<UInt64> = []
    private let limits: Limits

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Counts a call for all its demands, or for none.
    package mutating func count(_ call: BudgetCall, now: UInt64) -> BudgetVerdict {
        if known.contains(call.id) { return .counted }
        for demand in call.demands {
            let used = used(demand, now: now)
            let (sum, overflow) = used.addingReportingOverflow(demand.amount)
            if overflow || sum > demand.limit {
                // Who asks in vain uses the counter too: it must not be the first to be forgotten.
                counters[place(demand, now: now).0]?.time = now
                return .exhausted(demand, used: used)
            }
        }
        guard makeRoom(for: call, now: now) else {
            return .unavailable("\(limits.counters) counters of the tenant are in use until their windows end")
        }
        for demand in call.demands {
            let (key, start) = place(demand, now: now)
            let used = used(demand, now: now)
            counters[key] = Counter(start: start, used: used + demand.amount, time: now)
        }
        counted += 1
        known.insert(call.id)
        calls.append(CountedCall(id: call.id, time: now))
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
        let window = demand.window ?? 0
        let key = Key(budget: demand.budget, subject: demand.subject, window: window)
        let start = window == 0 ? 0 : now - now % window
        return (key, max(start, counters[key]?.start ?? 0))
    }

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
        let new = Set(call.demands.map { place($0, now: now).0 }).filter { counters[$0] == nil }.count
        guard new > 0, counters.count + new > limits.counters else { return true }
        expire(now: now)
        guard counters.count + new > limits.counters else { return true }
        // Some more than needed, so that not every new subject looks through all of them.
        let excess = counters.count + new - limits.counters + limits.counters / 16
        let oldest = counters.filter { $0.key.subject != .tenant && $0.key.window == 0 }
            .sorted { $0.value.time < $1.value.time }
        for (key, _) in oldest.prefix(excess) { counters[key] = nil }
        evicted += min(excess, oldest.count)
        return counters.count + new <= limits.counters
    }

    /// Drops what no call can use any more.
    package mutating func expire(now: UInt64) {
        counters = counters.filter { key, counter in
            if key.window > 0 { return counter.start + key.window > now }
            return key.subject == .tenant || counter.time + limits.subjectLife > now
        }
    }
}

// MARK: Snapshot

extension BudgetCounters {
    private static let version: UInt8 = 1

    package var snapshot: [UInt8] {
        var writer = SnapshotWriter(version: BudgetCounters.version)
        let budgets = Set(counters.keys.map(\.budget)).sorted()
        let numbers = Dictionary(uniqueKeysWithValues: zip(budgets, 0...))
        writer.write(budgets.count)
        for budget in budgets { writer.write(budget) }
        writer.write(counters.count)
        for (key, counter) in counters {
            writer.write(numbers[key.budget] ?? 0)
            writer.write(key.subject)
            writer.write(key.window)
            writer.write(counter.start)
            writer.write(counter.used)
            writer.write(counter.time)
        }
        writer.write(calls.count)
        for call in calls {
            writer.write(call.id)
            writer.write(call.time)
        }
        return writer.bytes
    }

    /// - Throws: `SnapshotError`.
    package init(snapshot bytes: [UInt8], limits: Limits = Limits()) throws(SnapshotError) {
        self.init(limits: limits)
        var reader = try SnapshotReader(bytes, version: BudgetCounters.version)
        var budgets: [String] = []
        for _ in 0..<(try reader.readCount()) { budgets.append(try reader.readText()) }
        for _ in 0..<(try reader.readCount()) {
            guard let number = Int(exactly: try reader.readNumber()), budgets.indices.contains(number) else {
                throw SnapshotError("a counter names a budget that is not there")
            }
            let subject = try reader.readSubject()
            let window = try reader.readTime()
            let counter = Counter(
                start: try reader.readTime(), used: try reader.readNumber(), time: try reader.readTime())
            counters[Key(budget: budgets[number], subject: subject, window: window)] = counter
        }
        for _ in 0..<(try reader.readCount()) {
            let call = CountedCall(id: try reader.readNumber(), time: try reader.readTime())
            if known.insert(call.id).inserted { calls.append(call) }
        }
        try reader.end()
    }
}

extension SnapshotWriter {
    mutating func write(_ subject: BudgetSubject) {
        switch subject {
        case .tenant: write(0)
        case .agent(let name):
            write(1)
            write(name)
        case .trajectory(let uuid):
            write(2)
            write(uuid)
        }
    }
}

extension SnapshotReader {
    mutating func readSubject() throws(SnapshotError) -> BudgetSubject {
        switch try readNumber() {
        case 0: .tenant
        case 1: .agent(try readText())
        case 2: .trajectory(try readUUID())
        case let other:
            throw SnapshotError("a budget counts for something of kind \(other), which this build does not know")
        }
    }

    /// Nanoseconds since 1970, or of a window, small enough to be added.
    mutating func readTime() throws(SnapshotError) -> UInt64 {
        let time = try readNumber()
        guard time < 1 << 62 else { throw SnapshotError("a time of the snapshot is out of range") }
        return time
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

    func makeIterator() -> ArraySlice<Element>.Iterator { elements[head...].makeIterator() }
}
