internal import ATOF

/// The traces of scopes, open and ended, as far as log records need them (`otel-projections.md` 5.1).
///
/// Bounded, where the reference is not: of too many open scopes, and of those that stay open for too long, the oldest are forgotten.
struct ScopeLineage: Sendable {
    private struct Open: Sendable {
        let traceID: EventUUID
        /// Log time of the start, nanoseconds since 1970.
        let since: UInt64
        let ordinal: UInt64
    }

    private let maximumOpen: Int
    private let maximumAge: UInt64?
    private let isStrict: Bool
    private var open: [ScopeKey: Open] = [:]
    /// By age; the slots of scopes that have ended are skipped, and cleared away in bulk.
    private var order: [(key: ScopeKey, ordinal: UInt64)] = []
    private var head = 0
    private var nextOrdinal: UInt64 = 0
    private var completed = TenantContexts()
    /// Scopes that were forgotten while they were open.
    private(set) var forgotten: UInt64 = 0

    init(_ configuration: LogConfiguration) {
        maximumOpen = configuration.maximumOpenScopes
        maximumAge = configuration.maximumAge
        isStrict = configuration.compatibility == .strict
    }

    var openCount: Int { open.count }

    /// The time of an event of the tenant: what ended a minute before is remembered no longer.
    mutating func advance(_ tenant: String, to eventTime: UInt64) { completed.advance(tenant, to: eventTime) }

    func parent(of event: Event, _ tenant: String, time: UInt64) -> ParentResolution {
        ParentResolution(
            of: event, tenant, now: time, completed: completed, joinsRoot: !isStrict
        ) {
            open[$0]?.traceID
        }
    }

    /// A scope began. What repeats the start of an open one changes nothing; strictly, it takes its place.
    mutating func started(_ event: Event, _ tenant: String, time: UInt64, now: UInt64) {
        let key = ScopeKey(tenant: tenant, uuid: event.uuid)
        guard isStrict || open[key] == nil else { return }
        completed.remove(key)
        let traceID: EventUUID
        switch parent(of: event, tenant, time: time) {
        case .found(let found), .remote(let found): traceID = found
        case .expired, .none: traceID = event.uuid
        }
        insert(key, traceID: traceID, since: now)
        while open.count > maximumOpen { forgetOldest() }
    }

    mutating func ended(_ key: ScopeKey, time: UInt64) {
        guard let scope = open.removeValue(forKey: key) else { return }
        completed.insert(key, traceID: scope.traceID, endTime: time, isAbandoned: false)
    }

    /// Forgets what has been open for too long.
    mutating func advance(now: UInt64) {
        guard let maximumAge else { return }
        while let oldest = oldest, now > oldest.since, now - oldest.since >= maximumAge { forgetOldest() }
    }

    /// When the oldest open scope is to be forgotten.
    var deadline: UInt64? {
        mutating get { maximumAge.flatMap { age in oldest.map { $0.since &+ age } } }
    }

    private mutating func insert(_ key: ScopeKey, traceID: EventUUID, since: UInt64) {
        open[key] = Open(traceID: traceID, since: since, ordinal: nextOrdinal)
        order.append((key, nextOrdinal))
        nextOrdinal += 1
        if order.count > 2 * open.count + 1024 {
            order = order[head...].filter { open[$0.key]?.ordinal == $0.ordinal }
            head = 0
        }
    }

    private var oldest: Open? {
        mutating get {
            while head < order.count {
                if let scope = open[order[head].key], scope.ordinal == order[head].ordinal { return scope }
                head += 1
            }
            return nil
        }
    }

    private mutating func forgetOldest() {
        guard oldest != nil else { return }
        open[order[head].key] = nil
        forgotten += 1
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        completed.write(to: &writer)
        writer.write(open.count)
        for slot in order[head...] {
            guard let scope = open[slot.key], scope.ordinal == slot.ordinal else { continue }
            writer.write(slot.key.tenant)
            writer.write(slot.key.uuid)
            writer.write(scope.traceID)
            writer.write(scope.since)
        }
    }

    mutating func restore(from reader: inout SnapshotReader) throws(SnapshotError) {
        completed = try TenantContexts(from: &reader)
        for _ in 0..<(try reader.readCount()) {
            let key = ScopeKey(tenant: try reader.readText(), uuid: try reader.readUUID())
            let traceID = try reader.readUUID()
            insert(key, traceID: traceID, since: try reader.readNumber())
        }
    }
}
