internal import ATOF

/// Scopes of which only the identity is remembered, in the order of their arrival.
///
/// Bounded; when it is full the one that came first is forgotten.
struct OutsideScopes: Sendable {
    private let limit: Int
    private var entries: [ScopeKey: UInt64] = [:]
    /// The order of arrival; entries that are gone meanwhile are skipped.
    private var queue: [(scope: ScopeKey, order: UInt64)] = []
    private var head = 0
    private var nextOrder: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    func contains(_ scope: ScopeKey) -> Bool { entries[scope] != nil }

    /// What is there already keeps its place.
    mutating func insert(_ scope: ScopeKey) {
        guard entries[scope] == nil else { return }
        entries[scope] = nextOrder
        queue.append((scope, nextOrder))
        nextOrder += 1
        while entries.count > limit, head < queue.count {
            if isCurrent(queue[head]) { entries[queue[head].scope] = nil }
            head += 1
        }
        if queue.count > 2 * limit + 64 {
            queue = queue[head...].filter(isCurrent)
            head = 0
        }
    }

    mutating func remove(_ scope: ScopeKey) { entries[scope] = nil }

    /// All scopes in the order of their arrival.
    var list: [ScopeKey] { queue[head...].filter(isCurrent).map(\.scope) }

    private func isCurrent(_ item: (scope: ScopeKey, order: UInt64)) -> Bool { entries[item.scope] == item.order }
}
