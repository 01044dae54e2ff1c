internal import ATOF
internal import Middleware

/// What the rules on runs have counted of one trajectory.
struct WatchedRun: Sendable {
    let openedAt: UInt64
    let root: EventUUID
    /// The opening scope's.
    let name: String
    let agent: String?
    /// Whether a scope opened it, whose end will be its end.
    let isTrajectory: Bool
    var hasEnded = false
    /// By `WatchedRule.count`; a rule that has counted nothing has none.
    var tallies: [String: Tally] = [:]

    init(openedAt: UInt64, root: EventUUID, name: String, agent: String?, isTrajectory: Bool) {
        self.openedAt = openedAt
        self.root = root
        self.name = name
        self.agent = agent
        self.isTrajectory = isTrajectory
    }

    /// One rule's count.
    struct Tally: Sendable {
        var total: UInt64 = 0
        var windowed: WindowedSum?
        /// When it fired last; with a window it fires again no earlier than a window later. Of a loop without one, for the calls in a row
        /// that there are now.
        var firedAt: UInt64?
        /// Of a loop: the last call, and how often it came in a row.
        var last: Fingerprint?
        var streak: UInt64 = 0
        /// Of a loop with a window: calls with their times, the oldest first.
        var recent: [(call: Fingerprint, time: UInt64)] = []
        /// Of a loop with a window: for which of them it fired, and when.
        var fired: [Fingerprint: UInt64] = [:]

        /// Adds to a budget.
        ///
        /// - Returns: the sum, if the budget was exceeded just now.
        mutating func add(_ amount: UInt64, to budget: GuardrailRule.Budget, at time: UInt64) -> UInt64? {
            if let window = budget.window {
                var sum = windowed ?? WindowedSum(window: window)
                sum.add(amount, at: time)
                total = sum.sum(at: time)
                windowed = sum
            } else {
                total.addSaturating(amount)
            }
            return exceeds(budget, at: time)
        }

        /// Takes a measure that is no sum: the highest counts.
        mutating func raise(to amount: UInt64, of budget: GuardrailRule.Budget, at time: UInt64) -> UInt64? {
            total = max(total, amount)
            return exceeds(budget, at: time)
        }

        private mutating func exceeds(_ budget: GuardrailRule.Budget, at time: UInt64) -> UInt64? {
            guard total > budget.limit, WatchedRun.mayFire(budget.window, at: time, since: firedAt) else { return nil }
            firedAt = time
            return total
        }

        /// Takes note of a call.
        ///
        /// - Returns: how often it came, if that is for the first time as often as must not be.
        mutating func note(_ call: Fingerprint, for loop: GuardrailRule.Loop, at time: UInt64) -> UInt64? {
            guard let window = loop.window else {
                (streak, firedAt) = call == last ? (streak + 1, firedAt) : (1, nil)
                last = call
                // It may be beyond already when a stricter rule has come.
                guard streak >= UInt64(loop.repeats), firedAt == nil else { return nil }
                firedAt = time
                return streak
            }
            recent.removeAll { time > $0.time && time - $0.time > window }
            fired = fired.filter { !WatchedRun.mayFire(window, at: time, since: $0.value) }
            recent.append((call, time))
            if recent.count > GuardrailRule.Loop.maximumRepeats { recent.removeFirst() }
            let count = recent.count { $0.call == call }
            guard count >= loop.repeats, fired[call] == nil else { return nil }
            fired[call] = time
            return UInt64(count)
        }
    }

    /// Whether a rule that has fired may do so again: without a window never.
    static func mayFire(_ window: UInt64?, at time: UInt64, since firedAt: UInt64?) -> Bool {
        guard let firedAt else { return true }
        return window.map { time >= firedAt && time - firedAt >= $0 } ?? false
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        writer.write(openedAt)
        writer.write(root)
        writer.write(name)
        writer.write(agent) { $0.write($1) }
        writer.write(UInt64(isTrajectory ? 1 : 0))
        writer.write(UInt64(hasEnded ? 1 : 0))
        writer.write(tallies.count)
        for (rule, tally) in tallies.sorted(by: { $0.key < $1.key }) {
            writer.write(rule)
            tally.write(to: &writer)
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(
            openedAt: try reader.readNumber(), root: try reader.readUUID(), name: try reader.readText(),
            agent: try reader.readOptional { (reader) throws(SnapshotError) in try reader.readText() },
            isTrajectory: try reader.readNumber() != 0)
        hasEnded = try reader.readNumber() != 0
        for _ in 0..<(try reader.readCount()) {
            let rule = try reader.readText()
            tallies[rule] = try Tally(from: &reader)
        }
    }
}

extension WatchedRun.Tally {
    func write(to writer: inout SnapshotWriter) {
        writer.write(total)
        writer.write(windowed) { writer, sum in
            writer.write(sum.window)
            sum.write(to: &writer)
        }
        writer.write(firedAt) { $0.write($1) }
        writer.write(last) { $0.write($1) }
        writer.write(streak)
        writer.write(recent.count)
        for (call, time) in recent {
            writer.write(call)
            writer.write(time)
        }
        writer.write(fired.count)
        for (call, time) in fired.sorted(by: { ($0.value, $0.key.high) < ($1.value, $1.key.high) }) {
            writer.write(call)
            writer.write(time)
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        total = try reader.readNumber()
        windowed = try reader.readOptional { (reader) throws(SnapshotError) in
            var sum = WindowedSum(window: try reader.readNumber())
            try sum.restore(from: &reader)
            return sum
        }
        firedAt = try reader.readOptional { (reader) throws(SnapshotError) in try reader.readNumber() }
        last = try reader.readOptional { (reader) throws(SnapshotError) in try reader.readFingerprint() }
        streak = try reader.readTally()
        for _ in 0..<(try reader.readCount()) {
            recent.append((try reader.readFingerprint(), try reader.readNumber()))
        }
        for _ in 0..<(try reader.readCount()) { fired[try reader.readFingerprint()] = try reader.readNumber() }
    }
}

extension SnapshotWriter {
    mutating func write(_ fingerprint: Fingerprint) {
        write(EventUUID(high: fingerprint.high, low: fingerprint.low))
    }
}

extension SnapshotReader {
    mutating func readFingerprint() throws(SnapshotError) -> Fingerprint {
        let words = try readUUID()
        return Fingerprint(high: words.high, low: words.low)
    }
}
