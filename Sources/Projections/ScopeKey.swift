package import ATOF

/// A scope of a tenant, or the run that is named by its root scope. UUIDs are chosen by producers: two tenants may use the same one.
package struct ScopeKey: Sendable, Hashable {
    package let tenant: String
    package let uuid: EventUUID

    package init(tenant: String, uuid: EventUUID) {
        self.tenant = tenant
        self.uuid = uuid
    }
}

extension ScopeKey: Comparable {
    package static func < (left: ScopeKey, right: ScopeKey) -> Bool {
        left.tenant == right.tenant ? left.uuid < right.uuid : left.tenant < right.tenant
    }
}
