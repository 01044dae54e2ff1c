package import ATOF

/// Where most of what is counted stands: one of two keys beside the head, which refers to it and says what was counted since.
///
/// So a write has the size of what was counted lately, and not of everything that is remembered of a tenant.
package struct BudgetBase: Sendable, Hashable {
    /// Which of the two keys.
    package let slot: Int
    /// The revision of the head that it was made of: nobody else makes another base of it.
    package let id: UInt64

    package static let slots = 2

    package init(slot: Int, id: UInt64) {
        self.slot = slot
        self.id = id
    }
}

extension BudgetCounters {
    private static let version: UInt8 = 2

    /// What the tenant's key holds: the base, and what was counted since.
    package func head(_ base: BudgetBase?) -> [UInt8] {
        var writer = SnapshotWriter(version: BudgetCounters.version)
        writer.write(base) {
            $0.write($1.slot)
            $0.write($1.id)
        }
        write(changes.keys, calls.suffix(changes.calls), into: &writer)
        return writer.bytes
    }

    /// Everything, as a key of bases holds it.
    package func base(id: UInt64) -> [UInt8] {
        var writer = SnapshotWriter(version: BudgetCounters.version)
        writer.write(id)
        write(counters.keys, calls.suffix(calls.count), into: &writer)
        return writer.bytes
    }

    private func write(
        _ keys: some Sequence<Key>, _ calls: ArraySlice<CountedCall>, into writer: inout SnapshotWriter
    ) {
        let written = keys.compactMap { key in counters[key].map { (key, $0) } }
        let budgets = Set(written.map(\.0.budget)).sorted()
        let numbers = Dictionary(uniqueKeysWithValues: zip(budgets, 0...))
        writer.write(budgets.count)
        for budget in budgets { writer.write(budget) }
        writer.write(written.count)
        for (key, counter) in written {
            writer.write(numbers[key.budget] ?? 0)
            writer.write(key.subject)
            writer.write(key.window)
            writer.write(counter.start)
            writer.write(counter.used)
            writer.write(counter.time)
        }
        writer.write(calls.count)
        var before: UInt64 = 0
        for call in calls {
            writer.write(call.id)
            // The clock of another owner may be behind.
            let step = Int64(bitPattern: call.time &- before)
            writer.write(UInt64(bitPattern: step << 1 ^ step >> 63))
            before = call.time
        }
    }

    /// The base that a head refers to.
    ///
    /// - Throws: `SnapshotError`.
    package static func base(ofHead head: [UInt8]) throws(SnapshotError) -> BudgetBase? {
        var reader = try SnapshotReader(head, version: version)
        return try reader.readBase()
    }

    /// Whether bytes that a key of bases holds are the base that a head refers to; another one has been written over it since.
    package static func holds(_ bytes: [UInt8]?, _ base: BudgetBase) -> Bool {
        guard let bytes, var reader = try? SnapshotReader(bytes, version: version) else { return false }
        return (try? reader.readNumber()) == base.id
    }

    /// - Parameter base: what the key holds to which the head refers; see `holds`.
    /// - Throws: `SnapshotError`.
    package init(head: [UInt8], base: [UInt8]? = nil, limits: Limits = Limits()) throws(SnapshotError) {
        self.init(limits: limits)
        if let base {
            var reader = try SnapshotReader(base, version: BudgetCounters.version)
            _ = try reader.readNumber()
            try read(&reader)
            isInBase()
        }
        var reader = try SnapshotReader(head, version: BudgetCounters.version)
        if try reader.readBase() != nil, base == nil {
            throw SnapshotError("the base that the counters refer to is missing")
        }
        try read(&reader)
    }

    private mutating func read(_ reader: inout SnapshotReader) throws(SnapshotError) {
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
            let key = Key(budget: budgets[number], subject: subject, window: window)
            set(key, counter)
            note(key)
        }
        var before: UInt64 = 0
        for _ in 0..<(try reader.readCount()) {
            let id = try reader.readNumber()
            let step = try reader.readNumber()
            before = before &+ UInt64(bitPattern: Int64(bitPattern: step >> 1) ^ -Int64(bitPattern: step & 1))
            guard before < 1 << 62 else { throw SnapshotError("a time of the snapshot is out of range") }
            remember(CountedCall(id: id, time: before))
        }
        try reader.end()
    }
}

extension SnapshotReader {
    fileprivate mutating func readBase() throws(SnapshotError) -> BudgetBase? {
        try readOptional { reader throws(SnapshotError) in
            guard let slot = Int(exactly: try reader.readNumber()), (0..<BudgetBase.slots).contains(slot) else {
                throw SnapshotError("the counters refer to a base that cannot be")
            }
            return BudgetBase(slot: slot, id: try reader.readNumber())
        }
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
