internal import ATOF
internal import Middleware

/// The sums of an agent or a tenant, whose runs are in several partitions: what this partition has counted, and of the sums that are
/// this partition's to decide what all of them have.
///
/// A partition tells what it has counted as a sum of each part of the window that only grows, so that what is told twice, late or again
/// after a restart changes nothing.
struct WatchedSums: Sendable {
    struct Key: Sendable, Hashable {
        /// `WatchedRule.count`.
        let count: String
        let tenant: String
        /// Empty for a budget of the tenant.
        let agent: String
    }

    struct Decided: Sendable {
        var sources: [UInt64: WindowedSum] = [:]
        var firedAt: UInt64?
    }

    private let limit: Int
    private var counted: [Key: WindowedSum] = [:]
    private var countedOrder = AgeOrder<Key>()
    /// What was not told yet: which parts of which sums.
    private var untold: [Key: Set<UInt64>] = [:]
    private var decided: [Key: Decided] = [:]
    private var decidedOrder = AgeOrder<Key>()
    /// When the oldest of what was not told was counted.
    private(set) var untoldSince: UInt64?
    /// Sums that had to make room.
    private(set) var forgotten: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    mutating func count(_ amount: UInt64, for key: Key, window: UInt64, at time: UInt64) {
        var sum = counted.removeValue(forKey: key) ?? WindowedSum(window: window)
        sum.add(amount, at: time)
        _ = sum.sum(at: time)
        untold[key, default: []].insert(sum.part(of: time))
        counted[key] = sum
        countedOrder.append(key)
        if untoldSince == nil { untoldSince = time }
        while countedOrder.count > limit, let oldest = countedOrder.removeFirst() {
            counted[oldest] = nil
            untold[oldest] = nil
            forgotten += 1
        }
    }

    /// What was not told yet, by sum and part; it counts as told.
    mutating func takeUntold() -> [Share] {
        defer { (untold, untoldSince) = ([:], nil) }
        return untold.sorted { Share.precedes($0.key, $1.key) }.compactMap { key, parts in
            guard let sum = counted[key] else { return nil }
            let told = parts.sorted().compactMap { part in sum.parts[part].map { Share.Part(number: part, amount: $0) }
            }
            return told.isEmpty ? nil : Share(key: key, window: sum.window, parts: told)
        }
    }

    /// What could not be told after all.
    mutating func takeBack(_ shares: [Share], at time: UInt64) {
        for share in shares { untold[share.key, default: []].formUnion(share.parts.map(\.number)) }
        if !shares.isEmpty { untoldSince = time }
    }

    /// Takes in what a partition has told.
    ///
    /// - Returns: the sum and the part of its window, if the rule fires.
    mutating func receive(
        _ share: Share, from source: UInt64, budget: GuardrailRule.Budget, at time: UInt64
    ) -> (sum: UInt64, part: UInt64)? {
        guard share.window == budget.window else { return nil }
        var sums = decided.removeValue(forKey: share.key) ?? Decided()
        var own = sums.sources[source] ?? WindowedSum(window: share.window)
        for part in share.parts { own.raise(part: part.number, to: part.amount) }
        sums.sources[source] = own
        var total: UInt64 = 0
        for source in sums.sources.keys {
            total.addSaturating(sums.sources[source]?.sum(at: time) ?? 0)
        }
        let fires = total > budget.limit && WatchedRun.mayFire(budget.window, at: time, since: sums.firedAt)
        if fires { sums.firedAt = time }
        decided[share.key] = sums
        decidedOrder.append(share.key)
        while decidedOrder.count > limit, let oldest = decidedOrder.removeFirst() {
            decided[oldest] = nil
            forgotten += 1
        }
        return fires ? (total, own.part(of: time)) : nil
    }

    /// Drops the sums for which a condition holds.
    mutating func forget(where isForgotten: (Key) -> Bool) {
        for key in counted.keys.filter(isForgotten) {
            counted[key] = nil
            countedOrder.remove(key)
            untold[key] = nil
        }
        for key in decided.keys.filter(isForgotten) {
            decided[key] = nil
            decidedOrder.remove(key)
        }
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        writer.write(countedOrder.count)
        for key in countedOrder.inOrder {
            guard let sum = counted[key] else { preconditionFailure("what has an age is counted") }
            key.write(to: &writer)
            writer.write(sum.window)
            sum.write(to: &writer)
            let parts = untold[key] ?? []
            writer.write(parts.count)
            for part in parts.sorted() { writer.write(part) }
        }
        writer.write(untoldSince) { $0.write($1) }
        writer.write(decidedOrder.count)
        for key in decidedOrder.inOrder {
            guard let sums = decided[key] else { preconditionFailure("what has an age is decided") }
            key.write(to: &writer)
            writer.write(sums.firedAt) { $0.write($1) }
            writer.write(sums.sources.count)
            for (source, sum) in sums.sources.sorted(by: { $0.key < $1.key }) {
                writer.write(source)
                writer.write(sum.window)
                sum.write(to: &writer)
            }
        }
    }

    mutating func restore(from reader: inout SnapshotReader) throws(SnapshotError) {
        for _ in 0..<(try reader.readCount()) {
            let key = try Key(from: &reader)
            var sum = WindowedSum(window: try reader.readNumber())
            try sum.restore(from: &reader)
            counted[key] = sum
            countedOrder.append(key)
            for _ in 0..<(try reader.readCount()) { untold[key, default: []].insert(try reader.readNumber()) }
        }
        untoldSince = try reader.readOptional { (reader) throws(SnapshotError) in try reader.readNumber() }
        for _ in 0..<(try reader.readCount()) {
            let key = try Key(from: &reader)
            var sums = Decided()
            sums.firedAt = try reader.readOptional { (reader) throws(SnapshotError) in try reader.readNumber() }
            for _ in 0..<(try reader.readCount()) {
                let source = try reader.readNumber()
                var sum = WindowedSum(window: try reader.readNumber())
                try sum.restore(from: &reader)
                sums.sources[source] = sum
            }
            decided[key] = sums
            decidedOrder.append(key)
        }
    }
}

extension WatchedSums.Key {
    func write(to writer: inout SnapshotWriter) {
        writer.write(count)
        writer.write(tenant)
        writer.write(agent)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(count: try reader.readText(), tenant: try reader.readText(), agent: try reader.readText())
    }
}

/// What one partition has counted of a sum: of parts of its window, all that was counted in them.
struct Share: Sendable, Hashable {
    struct Part: Sendable, Hashable {
        let number: UInt64
        let amount: UInt64
    }

    let key: WatchedSums.Key
    let window: UInt64
    let parts: [Part]

    static func precedes(_ left: WatchedSums.Key, _ right: WatchedSums.Key) -> Bool {
        (left.tenant, left.count, left.agent) < (right.tenant, right.count, right.agent)
    }

    // MARK: Message

    private static let version: UInt8 = 1

    static func encode(_ shares: [Share], from source: UInt64) -> [UInt8] {
        var writer = SnapshotWriter(version: version)
        writer.write(source)
        writer.write(shares.count)
        for share in shares {
            share.key.write(to: &writer)
            writer.write(share.window)
            writer.write(share.parts.count)
            for part in share.parts {
                writer.write(part.number)
                writer.write(part.amount)
            }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(SnapshotError) -> (source: UInt64, shares: [Share]) {
        var reader = try SnapshotReader(bytes, version: version)
        let source = try reader.readNumber()
        var shares: [Share] = []
        for _ in 0..<(try reader.readCount()) {
            let key = try WatchedSums.Key(from: &reader)
            let window = try reader.readNumber()
            var parts: [Part] = []
            for _ in 0..<(try reader.readCount()) {
                parts.append(Part(number: try reader.readNumber(), amount: try reader.readNumber()))
            }
            shares.append(Share(key: key, window: window, parts: parts))
        }
        try reader.end()
        return (source, shares)
    }
}
