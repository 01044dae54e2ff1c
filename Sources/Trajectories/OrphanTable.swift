internal import ATOF

/// Events whose parent, or whose start, is not known yet. Only their references are held.
///
/// Bounded: those of one run cannot take more than a part of it, so that one run's orphans push out no other's; when it is full the oldest
/// go.
struct OrphanTable: Sendable {
    /// A scope or mark with what came of it.
    struct Orphan: Sendable {
        struct Item: Sendable {
            let kind: Event.Kind
            let reference: EventReference
        }

        var parent: EventUUID?
        let root: EventUUID
        let arrivedAt: UInt64
        /// At most one of each kind.
        var items: [Item]
        /// Its parent is unknown and may still belong to the run: only then is it taken in when the run's trajectory closes.
        var isTop: Bool

        func has(_ kind: Event.Kind) -> Bool { items.contains { $0.kind == kind } }
    }

    /// Who waits for a scope.
    struct Waiting: Sendable {
        /// With those that are gone meanwhile.
        var children: [(uuid: EventUUID, number: UInt64)] = []
        var liveChildren = 0
        /// Open trajectories whose opener has it as its parent.
        var trajectories: Set<UInt64> = []

        var isEmpty: Bool { liveChildren == 0 && trajectories.isEmpty }
    }

    private let limit: Int
    private let limitOfRun: Int
    private(set) var orphans: [ScopeKey: (orphan: Orphan, number: UInt64)] = [:]
    private var waiting: [ScopeKey: Waiting] = [:]
    /// In the order of arrival, with those that are gone meanwhile.
    private var queue: [(scope: ScopeKey, number: UInt64)] = []
    private var head = 0
    private var next: UInt64 = 0
    private var runs: [ScopeKey: Run] = [:]
    /// Events, of which an orphan has up to three.
    private(set) var count = 0

    private struct Run: Sendable {
        var count = 0
        /// Those that are tops, in the order of arrival, with those that no longer are.
        var tops: [(uuid: EventUUID, number: UInt64)] = []
        var liveTops = 0
    }

    init(limit: Int) {
        self.limit = limit
        limitOfRun = max(1, limit / 16)
    }

    var isFull: Bool { count >= limit }

    func isFull(root: ScopeKey) -> Bool { (runs[root]?.count ?? 0) >= limitOfRun }

    func orphan(_ scope: ScopeKey) -> Orphan? { orphans[scope]?.orphan }

    /// All orphans in the order of their arrival.
    var inOrder: [(scope: ScopeKey, orphan: Orphan)] {
        queue[head...].compactMap { item in
            guard let found = orphans[item.scope], found.number == item.number else { return nil }
            return (item.scope, found.orphan)
        }
    }

    // MARK: Orphans

    /// Adds a scope or mark that is not there.
    mutating func insert(_ orphan: Orphan, as scope: ScopeKey) {
        var orphan = orphan
        if let parent = orphan.parent {
            let parentKey = ScopeKey(tenant: scope.tenant, uuid: parent)
            waiting[parentKey, default: Waiting()].children.append((scope.uuid, next))
            waiting[parentKey]?.liveChildren += 1
            if orphans[parentKey] != nil { orphan.isTop = false }
        }
        orphans[scope] = (orphan, next)
        queue.append((scope, next))
        let root = ScopeKey(tenant: scope.tenant, uuid: orphan.root)
        runs[root, default: Run()].count += orphan.items.count
        count += orphan.items.count
        if orphan.isTop {
            runs[root]?.tops.append((scope.uuid, next))
            runs[root]?.liveTops += 1
        }
        next += 1
        // Its children have a known parent now.
        for child in waiting[scope]?.children ?? [] { lower(ScopeKey(tenant: scope.tenant, uuid: child.uuid)) }
        if queue.count > 64, queue.count > orphans.count * 2 {
            queue = queue[head...].filter { orphans[$0.scope]?.number == $0.number }
            head = 0
        }
    }

    /// Adds an event to a scope that is there.
    mutating func add(_ item: Orphan.Item, to scope: ScopeKey) {
        guard let orphan = orphans[scope]?.orphan else { return }
        orphans[scope]?.orphan.items.append(item)
        runs[ScopeKey(tenant: scope.tenant, uuid: orphan.root)]?.count += 1
        count += 1
    }

    private mutating func lower(_ scope: ScopeKey) {
        guard let found = orphans[scope], found.orphan.isTop else { return }
        orphans[scope]?.orphan.isTop = false
        topGone(ScopeKey(tenant: scope.tenant, uuid: found.orphan.root))
    }

    private mutating func topGone(_ root: ScopeKey) {
        guard var run = runs.removeValue(forKey: root) else { return }
        run.liveTops -= 1
        if run.tops.count > 64, run.tops.count > run.liveTops * 2 {
            run.tops = run.tops.filter { isTop($0, root.tenant) }
        }
        runs[root] = run
    }

    private func isTop(_ top: (uuid: EventUUID, number: UInt64), _ tenant: String) -> Bool {
        guard let found = orphans[ScopeKey(tenant: tenant, uuid: top.uuid)] else { return false }
        return found.number == top.number && found.orphan.isTop
    }

    @discardableResult
    mutating func remove(_ scope: ScopeKey) -> Orphan? {
        guard let orphan = orphans.removeValue(forKey: scope)?.orphan else { return nil }
        count -= orphan.items.count
        let root = ScopeKey(tenant: scope.tenant, uuid: orphan.root)
        runs[root]?.count -= orphan.items.count
        if orphan.isTop { topGone(root) }
        if runs[root]?.count == 0 { runs[root] = nil }
        if let parent = orphan.parent {
            childGone(ScopeKey(tenant: scope.tenant, uuid: parent))
        }
        return orphan
    }

    private mutating func childGone(_ parent: ScopeKey) {
        guard var entry = waiting.removeValue(forKey: parent) else { return }
        // Its children may have been taken all at once.
        entry.liveChildren = max(0, entry.liveChildren - 1)
        if entry.isEmpty { return }
        if entry.children.count > 64, entry.children.count > entry.liveChildren * 2 {
            entry.children = entry.children.filter { isThere($0, parent.tenant) }
        }
        waiting[parent] = entry
    }

    private func isThere(_ child: (uuid: EventUUID, number: UInt64), _ tenant: String) -> Bool {
        orphans[ScopeKey(tenant: tenant, uuid: child.uuid)]?.number == child.number
    }

    /// The orphan that came first.
    mutating func first() -> (scope: ScopeKey, orphan: Orphan)? {
        while head < queue.count {
            if let found = orphans[queue[head].scope], found.number == queue[head].number {
                return (queue[head].scope, found.orphan)
            }
            head += 1
        }
        return nil
    }

    /// Of a run's tops the one that came last, if it came after the reference.
    mutating func lastTop(of root: ScopeKey, after reference: EventReference) -> ScopeKey? {
        while let top = runs[root]?.tops.last {
            if isTop(top, root.tenant) {
                let scope = ScopeKey(tenant: root.tenant, uuid: top.uuid)
                let first = orphans[scope]?.orphan.items.first?.reference
                return first.map { $0 > reference } == true ? scope : nil
            }
            runs[root]?.tops.removeLast()
        }
        return nil
    }

    // MARK: Who waits

    func isAwaited(_ scope: ScopeKey) -> Bool { waiting[scope] != nil || orphans[scope] != nil }

    /// Takes the children that wait for a scope.
    mutating func takeChildren(of scope: ScopeKey) -> [EventUUID] {
        guard var entry = waiting.removeValue(forKey: scope) else { return [] }
        let children = entry.children.filter { isThere($0, scope.tenant) }.map(\.uuid)
        (entry.children, entry.liveChildren) = ([], 0)
        if !entry.isEmpty { waiting[scope] = entry }
        return children
    }

    func trajectories(awaiting scope: ScopeKey) -> [UInt64] { waiting[scope]?.trajectories.sorted() ?? [] }

    mutating func await(_ parent: ScopeKey, _ slot: UInt64) {
        waiting[parent, default: Waiting()].trajectories.insert(slot)
    }

    mutating func forget(_ parent: ScopeKey, _ slot: UInt64) {
        waiting[parent]?.trajectories.remove(slot)
        if waiting[parent]?.isEmpty == true { waiting[parent] = nil }
    }
}
