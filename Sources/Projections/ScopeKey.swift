package import ATOF

/// A scope of a tenant, or the run that is named by its root scope. UUIDs are chosen by producers: two tenants may use the same one.
package struct ScopeKey: Sendable, Hashable {
    package let tenant: String
    package let uuid: EventUUID

    package init(tenant: String, uuid: EventUUID) {
        self.tenant = tenant
        self.uuid = uuid
    }

    /// UUIDs of two tenants are seldom the same, so the tenant need not be hashed.
    package func hash(into hasher: inout Hasher) { hasher.combine(uuid) }
}

extension ScopeKey: Comparable {
    package static func < (left: ScopeKey, right: ScopeKey) -> Bool {
        left.tenant == right.tenant ? left.uuid < right.uuid : left.tenant < right.tenant
    }
}
