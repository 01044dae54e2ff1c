internal import ATOF
internal import Middleware
internal import Stages

/// The policy over the events of a file, for outputs that repeat none of what `process` does beside it.
struct OfflinePolicy {
    private var policy: EventPolicy
    private let tenant: String
    /// Scopes whose start was dropped.
    private var dropped: Set<EventUUID> = []

    init(_ chain: MiddlewareChain, tenant: String) {
        policy = EventPolicy(chain)
        self.tenant = tenant
    }

    /// - Returns: the event as it goes on; nil when it does not.
    mutating func apply(_ event: Event) -> Event? {
        if event.kind == .scopeEnd, dropped.contains(event.uuid) { return nil }
        var notes = ChainNotes()
        switch policy.apply(event, tenant: tenant, &notes) {
        case .unchanged: return event
        case .changed(let packed):
            var writer = EventBatchWriter()
            writer.append(packed: packed)
            return try? EventBatch(unpacking: writer.bytes).event(at: 0)
        case .dropped:
            if event.kind == .scopeStart { dropped.insert(event.uuid) }
            return nil
        }
    }
}
