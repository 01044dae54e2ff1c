internal import ATOF

/// Ends that came before their starts, in the order in which they came: producers of one run are not in step with each other.
struct EarlyEnds: Sendable {
    struct Entry: Sendable {
        let key: ScopeKey
        let run: ScopeKey
        let reference: EventReference
        /// Log time of its arrival, nanoseconds since 1970.
        let since: UInt64
        let isExpired: Bool
    }

    private var entries: [ScopeKey: Entry] = [:]
    /// Slots of ends that were taken are skipped, and cleared away in bulk.
    private var order: [Entry] = []
    private var head = 0

    var count: Int { entries.count }

    var inOrder: [Entry] { order[head...].filter(isHeld) }

    var firstReference: EventReference? { entries.values.lazy.map(\.reference).min() }

    /// When the one that waits for the longest time came.
    var oldest: UInt64? {
        mutating get {
            skipTaken()
            return head < order.count ? order[head].since : nil
        }
    }

    subscript(key: ScopeKey) -> Entry? { entries.isEmpty ? nil : entries[key] }

    mutating func insert(_ entry: Entry) {
        entries[entry.key] = entry
        order.append(entry)
        if order.count > 2 * entries.count + 256 {
            order = order[head...].filter(isHeld)
            head = 0
        }
    }

    mutating func remove(_ key: ScopeKey) -> Entry? { entries.isEmpty ? nil : entries.removeValue(forKey: key) }

    mutating func removeOldest() -> Entry? {
        skipTaken()
        guard head < order.count else { return nil }
        return entries.removeValue(forKey: order[head].key)
    }

    private mutating func skipTaken() {
        while head < order.count, !isHeld(order[head]) { head += 1 }
    }

    private func isHeld(_ slot: Entry) -> Bool { entries[slot.key]?.reference == slot.reference }
}
