internal import ATOF

/// The ended scopes of every tenant. Each has its own, since producers' clocks decide how long a scope is remembered, and its number.
///
/// Bounded over all tenants: beyond it the contexts of the tenant that was silent for the longest time are forgotten.
struct TenantContexts: Sendable {
    private struct Tenant: Sendable {
        var contexts: CompletedContexts
        /// Counted up with every use.
        var lastUse: UInt64 = 0
    }

    static let maximumTenants = 256
    /// Entries over all tenants.
    static let maximumEntries = 32_768

    let lifetime: UInt64
    private var tenants: [String: Tenant] = [:]
    private var uses: UInt64 = 0
    private(set) var count = 0

    subscript(key: ScopeKey) -> CompletedContexts.Entry? { tenants[key.tenant]?.contexts[key.uuid] }

    func lookUp(_ key: ScopeKey, now: UInt64) -> CompletedContexts.Lookup {
        tenants[key.tenant]?.contexts.lookUp(key.uuid, now: now) ?? .unknown
    }

    mutating func advance(_ tenant: String, to now: UInt64) {
        guard let index = tenants.index(forKey: tenant) else { return }
        tenants.values[index].contexts.advance(to: now)
    }

    mutating func insert(_ key: ScopeKey, traceID: EventUUID, endTime: UInt64, isAbandoned: Bool) {
        update(key.tenant) { $0.insert(key.uuid, traceID: traceID, endTime: endTime, isAbandoned: isAbandoned) }
        if count > TenantContexts.maximumEntries || tenants.count > TenantContexts.maximumTenants { forgetTenant() }
    }

    mutating func remove(_ key: ScopeKey) {
        guard tenants[key.tenant]?.contexts[key.uuid] != nil else { return }
        update(key.tenant) { $0.remove(key.uuid) }
    }

    /// Moves what ended in one of some traces of a tenant to another trace.
    mutating func move(_ traces: Set<EventUUID>, of tenant: String, to traceID: EventUUID) {
        guard let index = tenants.index(forKey: tenant) else { return }
        tenants.values[index].contexts.move(traces, to: traceID)
    }

    private mutating func update(_ tenant: String, _ change: (inout CompletedContexts) -> Void) {
        uses += 1
        guard let index = tenants.index(forKey: tenant) else {
            var new = Tenant(contexts: CompletedContexts(lifetime: lifetime), lastUse: uses)
            change(&new.contexts)
            tenants[tenant] = new
            count += new.contexts.count
            return
        }
        let before = tenants.values[index].contexts.count
        change(&tenants.values[index].contexts)
        tenants.values[index].lastUse = uses
        count += tenants.values[index].contexts.count - before
    }

    private mutating func forgetTenant() {
        guard tenants.count > 1, let oldest = tenants.min(by: { $0.value.lastUse < $1.value.lastUse })?.key else {
            return
        }
        count -= tenants.removeValue(forKey: oldest)?.contexts.count ?? 0
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        writer.write(tenants.count)
        for (name, tenant) in tenants.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
            writer.write(name)
            let entries = tenant.contexts.snapshot
            writer.write(entries.count)
            for (uuid, entry, isExpired) in entries {
                writer.write(uuid)
                writer.write(entry.traceID)
                writer.write(entry.endTime)
                writer.write(UInt64((isExpired ? 1 : 0) | (entry.isAbandoned ? 2 : 0)))
            }
        }
    }

    /// - Parameter lifetime: nanoseconds of events' time.
    init(lifetime: UInt64) { self.lifetime = lifetime }

    init(from reader: inout SnapshotReader, lifetime: UInt64) throws(SnapshotError) {
        self.lifetime = lifetime
        for _ in 0..<(try reader.readCount()) {
            let name = try reader.readText()
            var tenant = Tenant(contexts: CompletedContexts(lifetime: lifetime))
            for _ in 0..<(try reader.readCount()) {
                let (uuid, traceID) = (try reader.readUUID(), try reader.readUUID())
                let endTime = try reader.readNumber()
                let flags = try reader.readNumber()
                tenant.contexts.restore(
                    uuid, traceID: traceID, endTime: endTime, isAbandoned: flags & 2 != 0, isExpired: flags & 1 != 0)
            }
            uses += 1
            tenant.lastUse = uses
            count += tenant.contexts.count
            tenants[name] = tenant
        }
    }
}
