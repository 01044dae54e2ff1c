package import ATOF

/// What a stage's ledger calls the events that belong together: the routing key on EVENTS, the run's root behind it.
package protocol LedgerKey: Hashable, Sendable, CustomStringConvertible {
    func write(to writer: inout SnapshotWriter)
    static func read(from reader: inout SnapshotReader) throws(SnapshotError) -> Self
}

extension String: LedgerKey {
    package func write(to writer: inout SnapshotWriter) { writer.write(self) }
    package static func read(from reader: inout SnapshotReader) throws(SnapshotError) -> String {
        try reader.readText()
    }
}

extension EventUUID: LedgerKey {
    package func write(to writer: inout SnapshotWriter) { writer.write(self) }
    package static func read(from reader: inout SnapshotReader) throws(SnapshotError) -> EventUUID {
        try reader.readUUID()
    }
}

/// What became of events. Every stage counts what it received, and under exactly one other field what became of it; what is still under
/// way is the difference.
package struct LedgerCounts: Sendable, Hashable {
    package enum Field: UInt8, CaseIterable, Sendable {
        // What came in. `replayed` is a part of `received`.
        case received, injected, replayed
        // What `process` did.
        case processed, dropped, deduplicated, deadLettered
        // What producers' sequence numbers show to have never arrived.
        case missing
        // What `assemble` did.
        case assembled, unassembled
        // What an export did.
        case delivered, notProjected, rejected, expired
        // What a store did with a trajectory of which there is a newer revision.
        case superseded

        /// As reports name it.
        package var name: String {
            switch self {
            case .received: "received"
            case .injected: "injected"
            case .replayed: "replayed"
            case .processed: "processed"
            case .dropped: "dropped"
            case .deduplicated: "deduplicated"
            case .deadLettered: "dead_lettered"
            case .missing: "missing"
            case .assembled: "assembled"
            case .unassembled: "unassembled"
            case .delivered: "delivered"
            case .notProjected: "not_projected"
            case .rejected: "rejected"
            case .expired: "expired"
            case .superseded: "superseded"
            }
        }

        /// Whether it says what became of an event.
        var isOutcome: Bool {
            switch self {
            case .received, .injected, .replayed, .missing: false
            case .processed, .dropped, .deduplicated, .deadLettered, .assembled, .unassembled, .delivered,
                .notProjected,
                .rejected, .expired, .superseded:
                true
            }
        }
    }

    private var counts = [UInt64](repeating: 0, count: Field.allCases.count)

    package init() {}

    package subscript(field: Field) -> UInt64 {
        get { counts[Int(field.rawValue)] }
        set { counts[Int(field.rawValue)] = newValue }
    }

    /// Events that came in and of which nothing is decided yet; negative only if the ledger is wrong.
    package var pending: Int64 {
        var pending = Int64(clamping: self[.received]) + Int64(clamping: self[.injected])
        for field in Field.allCases where field.isOutcome { pending -= Int64(clamping: self[field]) }
        return pending
    }

    package static func += (left: inout LedgerCounts, right: LedgerCounts) {
        for index in left.counts.indices { left.counts[index] += right.counts[index] }
    }

    package func write(to writer: inout SnapshotWriter) {
        writer.write(counts.count)
        for count in counts { writer.write(count) }
    }

    package init(from reader: inout SnapshotReader) throws(SnapshotError) {
        for index in 0..<(try reader.readCount()) {
            let count = try reader.readTally()
            // A later version may count more; its downgrade loses that.
            if counts.indices.contains(index) { counts[index] = count }
        }
    }
}

/// The ledger of a task: what became of every event it received, by tenant and key. Part of the task's snapshot, so it is exact whatever
/// dies when.
///
/// Bounded: when there are more than `limit` keys, those that were counted first and have nothing pending fold into their tenant's total;
/// when those looked at all have something pending, they do. When there are more than `tenantLimit` tenants, what is folded of any other
/// counts for the tenant `_`: sums stay exact.
package struct Ledger<Key: LedgerKey>: Sendable {
    private struct Place: Hashable, Sendable {
        let tenant: String
        let key: Key
    }

    /// A row of a report.
    package struct Entry: Sendable {
        package let tenant: String
        /// Nil for what is folded into the tenant.
        package let key: Key?
        package let counts: LedgerCounts
    }

    private let limit: Int
    private let tenantLimit: Int
    private var keys: [Place: LedgerCounts] = [:]
    private var folded: [String: LedgerCounts] = [:]
    private var order = AgeOrder<Place>()

    package init(limit: Int = 2048, tenantLimit: Int = 4096) {
        self.limit = limit
        self.tenantLimit = tenantLimit
    }

    package mutating func add(_ count: Int, _ field: LedgerCounts.Field, tenant: String, key: Key) {
        guard count > 0 else { return }
        let place = Place(tenant: tenant, key: key)
        if keys[place] == nil {
            if keys.count >= limit { makeRoom() }
            order.append(place)
        }
        keys[place, default: LedgerCounts()][field] += UInt64(count)
    }

    /// Takes back what `add` counted, as far as it is counted.
    package mutating func remove(_ count: Int, _ field: LedgerCounts.Field, tenant: String, key: Key) {
        var left = UInt64(clamping: count)
        let place = Place(tenant: tenant, key: key)
        if let counted = keys[place]?[field] {
            let taken = min(counted, left)
            keys[place]?[field] -= taken
            left -= taken
        }
        let total = foldedTenant(of: tenant)
        if left > 0, let counted = folded[total]?[field] { folded[total]?[field] -= min(counted, left) }
    }

    /// Looks at a few of the oldest only: the work for one event stays bounded. When all of them have something pending all of them go, so
    /// that the next ones find room: with many open runs every event would look in vain.
    private mutating func makeRoom() {
        var pending: [Place] = []
        while pending.count < 16, let oldest = order.removeFirst() {
            if keys[oldest]?.pending == 0 {
                for place in pending { order.append(place) }
                return fold(oldest)
            }
            pending.append(oldest)
        }
        for place in pending { fold(place) }
    }

    private mutating func fold(_ place: Place) {
        guard let counts = keys.removeValue(forKey: place) else { return }
        folded[foldedTenant(of: place.tenant), default: LedgerCounts()] += counts
    }

    private func foldedTenant(of tenant: String) -> String {
        folded[tenant] != nil || folded.count < tenantLimit ? tenant : SkeinSubjects.ownTenant
    }

    /// What is counted for a key that is not folded yet.
    package subscript(tenant tenant: String, key key: Key) -> LedgerCounts? { keys[Place(tenant: tenant, key: key)] }

    /// The sum over everything of a tenant, or of all tenants.
    package func total(tenant: String? = nil) -> LedgerCounts {
        var total = LedgerCounts()
        for (owner, counts) in folded where tenant == nil || owner == tenant { total += counts }
        for (place, counts) in keys where tenant == nil || place.tenant == tenant { total += counts }
        return total
    }

    /// All rows, those of a tenant, or those of a key as it is written.
    package func entries(tenant: String? = nil, key: String? = nil) -> [Entry] {
        var entries: [Entry] = []
        if key == nil {
            for (owner, counts) in folded where tenant == nil || owner == tenant {
                entries.append(Entry(tenant: owner, key: nil, counts: counts))
            }
        }
        for (place, counts) in keys where tenant == nil || place.tenant == tenant {
            if key == nil || place.key.description == key {
                entries.append(Entry(tenant: place.tenant, key: place.key, counts: counts))
            }
        }
        return entries
    }

    // MARK: Snapshot

    private static var version: UInt8 { 1 }

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: Self.version)
        writer.write(folded.count)
        for (tenant, counts) in folded.sorted(by: { $0.key < $1.key }) {
            writer.write(tenant)
            counts.write(to: &writer)
        }
        let places = order.inOrder
        writer.write(places.count)
        for place in places {
            writer.write(place.tenant)
            place.key.write(to: &writer)
            (keys[place] ?? LedgerCounts()).write(to: &writer)
        }
        return writer.bytes
    }

    package init(limit: Int = 2048, tenantLimit: Int = 4096, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(limit: limit, tenantLimit: tenantLimit)
        var reader = try SnapshotReader(snapshot, version: Self.version)
        for _ in 0..<(try reader.readCount()) {
            let tenant = try reader.readText()
            folded[tenant] = try LedgerCounts(from: &reader)
        }
        for _ in 0..<(try reader.readCount()) {
            let place = Place(tenant: try reader.readText(), key: try Key.read(from: &reader))
            keys[place] = try LedgerCounts(from: &reader)
            order.append(place)
        }
        try reader.end()
    }
}
