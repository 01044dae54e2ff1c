internal import ATOF

/// What belongs to a tenant.
protocol OfTenant: Hashable, Sendable {
    var tenant: String { get }
}

/// Keys by age, of which the tenant that has the most gives the oldest first: no tenant can push out what others have.
struct FairAgeOrder<Key: OfTenant>: Sendable {
    private var orders: [String: AgeOrder<Key>] = [:]
    private(set) var count = 0

    /// Those of a tenant by age; which tenant is first means nothing.
    var inOrder: [Key] { orders.sorted { $0.key < $1.key }.flatMap(\.value.inOrder) }

    /// One that is there already is the youngest now.
    mutating func append(_ key: Key) {
        change(key.tenant) { $0.append(key) }
    }

    mutating func remove(_ key: Key) {
        if orders[key.tenant] == nil { return }
        change(key.tenant) { $0.remove(key) }
    }

    /// Of several tenants that have the most the one with the first name: who replays the same takes the same.
    mutating func removeFirst() -> Key? {
        let most = orders.min { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
        guard let tenant = most?.key else { return nil }
        return change(tenant) { $0.removeFirst() }
    }

    @discardableResult
    private mutating func change<Result>(_ tenant: String, _ body: (inout AgeOrder<Key>) -> Result) -> Result {
        let before = orders[tenant]?.count ?? 0
        let result = body(&orders[tenant, default: AgeOrder()])
        let after = orders[tenant]?.count ?? 0
        count += after - before
        if after == 0 { orders[tenant] = nil }
        return result
    }
}
