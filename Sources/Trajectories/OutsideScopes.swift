internal import ATOF

/// Scopes of which only the identity is remembered, in the order of their arrival.
///
/// Bounded: when it is full, the one that ended first is forgotten, for little comes below it any more; when none has ended, the one that
/// came first. So a run of any number of scopes that come and go pushes out none that are open.
struct OutsideScopes: Sendable {
    private struct Entry: Sendable {
        let order: UInt64
        let hasEnded: Bool
    }

    private struct Queue: Sendable {
        /// Entries that are gone meanwhile are skipped.
        var items: [(scope: ScopeKey, order: UInt64)] = []
        var head = 0
    }

    private let limit: Int
    private var entries: [ScopeKey: Entry] = [:]
    private var open = Queue()
    private var ended = Queue()
    private var nextOrder: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    func contains(_ scope: ScopeKey) -> Bool { entries[scope] != nil }

    /// What is there already keeps its place.
    mutating func insert(_ scope: ScopeKey) {
        guard entries[scope] == nil else { return }
        enter(scope, hasEnded: false)
        while entries.count > limit, dropFirst(of: \.ended) || dropFirst(of: \.open) {}
    }

    /// A scope that is there has ended.
    mutating func end(_ scope: ScopeKey) {
        guard entries[scope]?.hasEnded == false else { return }
        enter(scope, hasEnded: true)
    }

    private mutating func enter(_ scope: ScopeKey, hasEnded: Bool) {
        entries[scope] = Entry(order: nextOrder, hasEnded: hasEnded)
        let queue = hasEnded ? \OutsideScopes.ended : \OutsideScopes.open
        self[keyPath: queue].items.append((scope, nextOrder))
        nextOrder += 1
        if self[keyPath: queue].items.count > 2 * limit + 64 {
            self[keyPath: queue] = Queue(items: current(self[keyPath: queue]))
        }
    }

    /// - Returns: false when there is none.
    private mutating func dropFirst(of queue: WritableKeyPath<OutsideScopes, Queue>) -> Bool {
        while self[keyPath: queue].head < self[keyPath: queue].items.count {
            let item = self[keyPath: queue].items[self[keyPath: queue].head]
            self[keyPath: queue].head += 1
            if entries[item.scope]?.order == item.order {
                entries[item.scope] = nil
                return true
            }
        }
        return false
    }

    private func current(_ queue: Queue) -> [(scope: ScopeKey, order: UInt64)] {
        queue.items[queue.head...].filter { entries[$0.scope]?.order == $0.order }
    }

    /// Those that have ended in the order of their ends, and the others in the order of their arrival.
    var lists: (ended: [ScopeKey], open: [ScopeKey]) { (current(ended).map(\.scope), current(open).map(\.scope)) }
}
