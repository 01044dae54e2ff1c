internal import ATOF

/// A scope or mark of a tenant. Every tenant's are its own: none can write into another one's trajectories.
struct ScopeKey: Sendable, Hashable {
    let tenant: String
    let uuid: EventUUID
}
