package import ATOF

/// What a producer's numbers show to have never arrived.
package struct ProducerGap: Sendable, Hashable {
    package let tenant: String
    package let key: String
    package let producer: String
    package let missing: UInt64

    package init(tenant: String, key: String, producer: String, missing: UInt64) {
        self.tenant = tenant
        self.key = key
        self.producer = producer
        self.missing = missing
    }
}

/// Follows the numbers that producers give their events, for each producer and routing key: a gap shows what never arrived, and a late
/// batch that fills it takes that back.
///
/// Bounded: the producer of which nothing came for longest is forgotten when there are more than `limit`, and of each at most
/// `rangeLimit` missing ranges are known; what is missing beyond them is only counted, and can not be taken back.
package struct ProducerTable: Sendable {
    private struct Producer: Hashable, Sendable {
        let tenant: String
        let key: String
        let name: String
    }

    private struct Numbers: Sendable {
        /// The number that the next batch begins with when nothing is missing.
        var next: UInt64 = 1
        /// Missing numbers, in order.
        var ranges: [Range<UInt64>] = []
        var missing: UInt64 = 0
    }

    /// What a batch changed.
    package struct Change: Sendable, Hashable {
        /// Whether the batch shows a gap before it.
        package fileprivate(set) var isGap = false
        package fileprivate(set) var lost = 0
        package fileprivate(set) var found = 0
    }

    private let limit: Int
    private let rangeLimit: Int
    private var producers: [Producer: Numbers] = [:]
    private var order = AgeOrder<Producer>()
    /// Once a producer was forgotten, a number that does not begin at 1 says nothing any more.
    private var hasForgotten = false
    /// Events that are missing of all producers that are remembered.
    package private(set) var missing: UInt64 = 0

    /// A longer gap is another way of counting, not so many lost events.
    private static let longestGap: UInt64 = 1 << 32
    private static let longestName = 256

    package init(limit: Int = 4096, rangeLimit: Int = 64) {
        self.limit = limit
        self.rangeLimit = rangeLimit
    }

    package mutating func observe(tenant: String, key: String, producer name: String, sequence: UInt64, count: Int)
        -> Change
    {
        var change = Change()
        guard !name.isEmpty, name.utf8.count <= ProducerTable.longestName, sequence > 0, sequence < 1 << 62, count > 0
        else { return change }
        let producer = Producer(tenant: tenant, key: key, name: name)
        var numbers = producers[producer] ?? Numbers(next: hasForgotten ? sequence : 1)
        let end = sequence + UInt64(count)
        if sequence < numbers.next { fill(sequence..<min(end, numbers.next), &numbers, &change) }
        if end > numbers.next {
            if sequence > numbers.next { open(numbers.next..<sequence, &numbers, &change) }
            numbers.next = end
        }
        missing = missing &+ UInt64(change.lost) &- UInt64(change.found)
        producers[producer] = numbers
        order.append(producer)
        if order.count > limit, let oldest = order.removeFirst() {
            missing = missing &- (producers.removeValue(forKey: oldest)?.missing ?? 0)
            hasForgotten = true
        }
        return change
    }

    private func open(_ gap: Range<UInt64>, _ numbers: inout Numbers, _ change: inout Change) {
        let length = gap.upperBound - gap.lowerBound
        guard length <= ProducerTable.longestGap else { return }
        change.isGap = true
        change.lost = Int(length)
        numbers.missing += length
        if numbers.ranges.count < rangeLimit { numbers.ranges.append(gap) }
    }

    private func fill(_ arrived: Range<UInt64>, _ numbers: inout Numbers, _ change: inout Change) {
        guard numbers.ranges.contains(where: { $0.overlaps(arrived) }) else { return }
        var left: [Range<UInt64>] = []
        for range in numbers.ranges {
            let filled = range.clamped(to: arrived)
            change.found += filled.count
            if filled.isEmpty {
                left.append(range)
            } else {
                left += [range.lowerBound..<filled.lowerBound, filled.upperBound..<range.upperBound].filter {
                    !$0.isEmpty
                }
            }
        }
        numbers.missing -= UInt64(change.found)
        // One that is cut in two may be one too many: that one can not be filled any more.
        numbers.ranges = Array(left.prefix(rangeLimit))
    }

    /// Those of which something is missing.
    package var gaps: [ProducerGap] {
        order.inOrder.compactMap { producer in
            guard let missing = producers[producer]?.missing, missing > 0 else { return nil }
            return ProducerGap(tenant: producer.tenant, key: producer.key, producer: producer.name, missing: missing)
        }
    }

    // MARK: Snapshot

    private static let version: UInt8 = 1

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: ProducerTable.version)
        writer.write(hasForgotten ? 1 : 0)
        writer.write(order.count)
        for producer in order.inOrder {
            let numbers = producers[producer] ?? Numbers()
            writer.write(producer.tenant)
            writer.write(producer.key)
            writer.write(producer.name)
            writer.write(numbers.next)
            writer.write(numbers.missing)
            writer.write(numbers.ranges.count)
            for range in numbers.ranges {
                writer.write(range.lowerBound)
                writer.write(range.upperBound)
            }
        }
        return writer.bytes
    }

    package init(limit: Int = 4096, rangeLimit: Int = 64, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(limit: limit, rangeLimit: rangeLimit)
        var reader = try SnapshotReader(snapshot, version: ProducerTable.version)
        hasForgotten = try reader.readNumber() != 0
        for _ in 0..<(try reader.readCount()) {
            let producer = Producer(
                tenant: try reader.readText(), key: try reader.readText(), name: try reader.readText())
            var numbers = Numbers(next: try reader.readNumber())
            numbers.missing = try reader.readTally()
            for _ in 0..<(try reader.readCount()) {
                let (from, to) = (try reader.readNumber(), try reader.readNumber())
                guard from < to else { throw SnapshotError("a range of the snapshot is damaged") }
                numbers.ranges.append(from..<to)
            }
            let (open, overflow) = numbers.ranges.reduce((UInt64(0), false)) { sum, range in
                let (next, overflow) = sum.0.addingReportingOverflow(range.upperBound - range.lowerBound)
                return (next, sum.1 || overflow)
            }
            guard !overflow, open <= numbers.missing else {
                throw SnapshotError("more is open in the snapshot's ranges than is missing")
            }
            producers[producer] = numbers
            order.append(producer)
            missing = missing &+ numbers.missing
        }
        try reader.end()
    }
}
