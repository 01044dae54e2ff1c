internal import ATOF
internal import Middleware
internal import Stages

/// The policy over the events of a file, for outputs that repeat none of what `process` does beside it.
struct OfflinePolicy {
    private var chain: MiddlewareChain
    /// Scopes whose start was dropped.
    private var dropped: Set<EventUUID> = []

    init(_ chain: MiddlewareChain) { self.chain = chain }

    /// - Returns: the event as it goes on; nil when it does not.
    mutating func apply(_ event: Event) -> Event? {
        if event.kind == .scopeEnd, dropped.contains(event.uuid) { return nil }
        var notes = ChainNotes()
        switch chain.apply(event, tenant: "offline", &notes) {
        case .unchanged: return event
        case .changed(let packed): return OfflinePolicy.unpack(packed)
        case .dropped:
            // An end stays, without what it says: as `process` does it.
            guard event.kind == .scopeEnd else {
                if event.kind == .scopeStart { dropped.insert(event.uuid) }
                return nil
            }
            return chain.withoutPayloads(event, tenant: "offline").flatMap(OfflinePolicy.unpack) ?? event
        }
    }

    private static func unpack(_ packed: [UInt8]) -> Event? {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try? EventBatch(unpacking: writer.bytes).event(at: 0)
    }
}
