internal import ATOF

/// The traces of scopes that have ended, for children and marks that come later (`otel-projections.md` 1.2, 10).
///
/// First in, first out by completion. An entry expires when an event arrives that is stamped more than its lifetime after its end; one that
/// was given up does not, for its run may go on after any time. An expired entry keeps its place: a late child of a scope that was known
/// hangs below it as below a remote parent while its run is open, and then opens a trace of its own.
struct CompletedContexts: Sendable {
    enum Lookup: Equatable {
        case found(traceID: EventUUID)
        case expired
        case unknown
    }

    struct Entry: Sendable, Hashable {
        var traceID: EventUUID
        /// Nanoseconds since 1970.
        let endTime: UInt64
        let ordinal: UInt64
        /// It was given up: its end may still come.
        let isAbandoned: Bool
    }

    static let capacity = 4096
    /// How long a scope is remembered unless the endpoint says it, nanoseconds of events' time.
    static let usualLifetime: UInt64 = 60_000_000_000

    private let lifetime: UInt64

    private var entries: [EventUUID: Entry] = [:]
    /// Completion order; the slot of an entry that was replaced or removed stays until its turn.
    private var order: [(uuid: EventUUID, ordinal: UInt64)] = []
    private var head = 0
    /// The first slot that may not have expired.
    private var firstLive = 0
    private var nextOrdinal: UInt64 = 0
    private var expiredBelow: UInt64 = 0

    init(lifetime: UInt64 = CompletedContexts.usualLifetime) { self.lifetime = lifetime }

    var count: Int { entries.count }

    /// - Parameter now: time of the event that looks.
    func lookUp(_ uuid: EventUUID, now: UInt64) -> Lookup {
        guard let entry = entries[uuid] else { return .unknown }
        return isExpired(entry, now: now) ? .expired : .found(traceID: entry.traceID)
    }

    private func isExpired(_ entry: Entry, now: UInt64) -> Bool {
        if entry.isAbandoned { return false }
        return entry.ordinal < expiredBelow || (now > entry.endTime && now - entry.endTime > lifetime)
    }

    /// Expires what ended a lifetime before `now`, oldest completion first.
    mutating func advance(to now: UInt64) {
        while firstLive < order.count {
            let slot = order[firstLive]
            if let entry = current(slot), !entry.isAbandoned, !isExpired(entry, now: now) { return }
            expiredBelow = slot.ordinal + 1
            firstLive += 1
        }
    }

    subscript(uuid: EventUUID) -> Entry? { entries[uuid] }

    mutating func insert(_ uuid: EventUUID, traceID: EventUUID, endTime: UInt64, isAbandoned: Bool = false) {
        entries[uuid] = Entry(traceID: traceID, endTime: endTime, ordinal: nextOrdinal, isAbandoned: isAbandoned)
        order.append((uuid, nextOrdinal))
        nextOrdinal += 1
        while entries.count > CompletedContexts.capacity, head < order.count {
            if current(order[head]) != nil { entries[order[head].uuid] = nil }
            head += 1
        }
        if order.count > 4 * CompletedContexts.capacity { compact() }
    }

    mutating func remove(_ uuid: EventUUID) {
        entries[uuid] = nil
    }

    /// Moves what ended in one of some traces to another trace. Looks at everything.
    mutating func move(_ traces: Set<EventUUID>, to traceID: EventUUID) {
        for index in entries.indices where traces.contains(entries.values[index].traceID) {
            entries.values[index].traceID = traceID
        }
    }

    private func current(_ slot: (uuid: EventUUID, ordinal: UInt64)) -> Entry? {
        guard let entry = entries[slot.uuid], entry.ordinal == slot.ordinal else { return nil }
        return entry
    }

    private mutating func compact() {
        order = order[head...].filter { current($0) != nil }
        head = 0
        firstLive = order.firstIndex { $0.ordinal >= expiredBelow } ?? order.count
    }

    /// The entries in completion order.
    var snapshot: [(uuid: EventUUID, entry: Entry, isExpired: Bool)] {
        order[head...].compactMap { slot in
            current(slot).map { (slot.uuid, $0, $0.ordinal < expiredBelow) }
        }
    }

    /// Takes an entry of a snapshot; expired entries come first.
    mutating func restore(
        _ uuid: EventUUID, traceID: EventUUID, endTime: UInt64, isAbandoned: Bool, isExpired: Bool
    ) {
        insert(uuid, traceID: traceID, endTime: endTime, isAbandoned: isAbandoned)
        if isExpired {
            expiredBelow = nextOrdinal
            firstLive = order.count
        }
    }
}
