internal import ATOF

/// Which trace an event's parent belongs to (`otel-projections.md` 1.2): only the direct parent counts, and the run's root when the parent
/// has not come yet.
enum ParentResolution: Sendable, Equatable {
    case found(traceID: EventUUID)
    /// The parent is in another process.
    case remote(traceID: EventUUID)
    /// It ended too long ago to be remembered, and no outermost scope of its producer is open.
    case expired
    /// There is none, or nobody knows it.
    case none

    /// - Parameters:
    ///   - now: the event's time, nanoseconds since 1970.
    ///   - joinsRoot: whether a child that comes before its parent joins the trace of its run's root.
    ///   - open: the trace of an open scope.
    init(
        of event: Event, _ tenant: String, now: UInt64, completed: TenantContexts, joinsRoot: Bool,
        open: (ScopeKey) -> EventUUID?
    ) {
        guard let parent = event.parentUUID else {
            self = .none
            return
        }
        let parentKey = ScopeKey(tenant: tenant, uuid: parent)
        if let traceID = open(parentKey) {
            self = .found(traceID: traceID)
            return
        }
        switch completed.lookUp(parentKey, now: now) {
        case .found(let traceID): self = .found(traceID: traceID)
        case .expired:
            // Then it counts as one of another process, while the outermost scope of the producer goes on.
            if let root = event.propagationRootUUID, root != event.uuid,
                let traceID = open(ScopeKey(tenant: tenant, uuid: root))
            {
                self = .remote(traceID: traceID)
            } else {
                self = .expired
            }
        case .unknown:
            let uuid = event.uuid
            // The implicit root of a producer's scope stack has no events and is the parent itself: not this.
            if joinsRoot, let runRoot = event.rootUUID, runRoot != uuid, runRoot != parent {
                let key = ScopeKey(tenant: tenant, uuid: runRoot)
                if let traceID = open(key) {
                    self = .found(traceID: traceID)
                    return
                }
                if case .found(let traceID) = completed.lookUp(key, now: now) {
                    self = .found(traceID: traceID)
                    return
                }
            }
            // A parent in another process: the producer names a root that is neither the event nor its parent. A root
            // that is the parent is the implicit one of the producer's scope stack, which has no span; but not an agent's:
            // the outermost agent of a stack is its own root.
            let isAgent = event.kind == .scopeStart && event.category?.known == .agent
            if let remoteRoot = event.propagationRootUUID, remoteRoot != uuid, isAgent || remoteRoot != parent {
                self = .remote(traceID: remoteRoot)
            } else {
                self = .none
            }
        }
    }
}
