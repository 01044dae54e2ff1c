internal import ATOF

/// The traces of scopes, open and ended, as far as log records need them (`otel-projections.md` 5.1).
///
/// Bounded, where the reference is not: of too many open scopes, and of those that stay open for too long, the oldest are forgotten.
struct ScopeLineage: Sendable {
    private struct Open: Sendable {
        var traceID: EventUUID
        /// Log time of the start, nanoseconds since 1970.
        let since: UInt64
        let ordinal: UInt64
        /// Its run's root, which is its parent, if that has not come.
        var awaited: EventUUID?
    }

    private let maximumOpen: Int
    private let maximumAge: UInt64?
    private let isStrict: Bool
    private var open: [ScopeKey: Open] = [:]
    /// By age; the slots of scopes that have ended are skipped, and cleared away in bulk.
    private var order: [(key: ScopeKey, ordinal: UInt64)] = []
    private var head = 0
    private var nextOrdinal: UInt64 = 0
    /// The open scopes that wait for their run's root.
    private var children: [ScopeKey: Set<EventUUID>] = [:]
    private var completed: TenantContexts
    /// Scopes that were forgotten while they were open.
    private(set) var forgotten: UInt64 = 0

    init(_ configuration: LogConfiguration) {
        maximumOpen = configuration.maximumOpenScopes
        maximumAge = configuration.maximumAge
        isStrict = configuration.compatibility == .strict
        completed = TenantContexts(lifetime: configuration.completedLifetime)
    }

    var openCount: Int { open.count }

    /// The time of an event of the tenant: what ended a lifetime before is remembered no longer.
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
        var awaited: EventUUID?
        switch parent(of: event, tenant, time: time) {
        case .found(let found): traceID = found
        case .remote(let found): traceID = found.traceID
        case .expired, .none:
            traceID = event.uuid.traceID
            if !isStrict, event.parentUUID == event.rootUUID { awaited = event.rootUUID }
        }
        insert(key, traceID: traceID, since: now, awaited: awaited)
        adopt(below: key, traceID)
        while open.count > maximumOpen { forgetOldest() }
    }

    /// What came before the root that it names as its parent moves to that one's trace, with what is below it (`SpanProjector`).
    private mutating func adopt(below root: ScopeKey, _ traceID: EventUUID) {
        guard let children = children.removeValue(forKey: root) else { return }
        let traces = Set(children.map(\.traceID))
        for (key, scope) in open where key.tenant == root.tenant && traces.contains(scope.traceID) {
            open[key]?.traceID = traceID
            open[key]?.awaited = nil
        }
        completed.move(traces, of: root.tenant, to: traceID)
    }

    private mutating func remove(_ key: ScopeKey) -> Open? {
        guard let scope = open.removeValue(forKey: key) else { return nil }
        if let awaited = scope.awaited {
            let root = ScopeKey(tenant: key.tenant, uuid: awaited)
            children[root]?.remove(key.uuid)
            if children[root]?.isEmpty == true { children[root] = nil }
        }
        return scope
    }

    mutating func ended(_ key: ScopeKey, time: UInt64) {
        guard let scope = remove(key) else { return }
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

    private mutating func insert(_ key: ScopeKey, traceID: EventUUID, since: UInt64, awaited: EventUUID?) {
        open[key] = Open(traceID: traceID, since: since, ordinal: nextOrdinal, awaited: awaited)
        if let awaited { children[ScopeKey(tenant: key.tenant, uuid: awaited), default: []].insert(key.uuid) }
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
        _ = remove(order[head].key)
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
            writer.write(scope.awaited) { $0.write($1) }
        }
    }

    mutating func restore(from reader: inout SnapshotReader) throws(SnapshotError) {
        completed = try TenantContexts(from: &reader, lifetime: completed.lifetime)
        for _ in 0..<(try reader.readCount()) {
            let key = ScopeKey(tenant: try reader.readText(), uuid: try reader.readUUID())
            let traceID = try reader.readUUID()
            let since = try reader.readNumber()
            insert(
                key, traceID: traceID, since: since,
                awaited: try reader.readOptional { reader throws(SnapshotError) in try reader.readUUID() })
        }
    }
}
