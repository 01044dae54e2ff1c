package import ATOF

/// What `process` remembers of the scopes and marks it has seen: the root of each, so that all events of a run meet in one partition,
/// and which phases came, so that an event that comes twice is recognised.
///
/// Every tenant's scopes are its own: no tenant can make another one's events duplicates, or move them to another run.
///
/// Open scopes stay; what has ended is forgotten in the order in which it ended once there are more than `closedLimit`. When more than
/// `openLimit` scopes are open, the one that was opened first counts as ended.
package struct ScopeTable: Sendable {
    private struct Scope: Sendable, Hashable {
        let tenant: String
        let uuid: EventUUID
    }

    private struct Entry: Sendable {
        var root: EventUUID
        var seen: Phases
    }

    private struct Phases: OptionSet, Sendable {
        let rawValue: UInt8
        static let start = Phases(rawValue: 1)
        static let end = Phases(rawValue: 2)
        static let mark = Phases(rawValue: 4)
        /// Closed by the bound, not by an end.
        static let evicted = Phases(rawValue: 8)
        /// The start was taken out of the stream: the end goes the same way.
        static let dropped = Phases(rawValue: 16)

        /// A mark, and an end whose start has not come, have nothing open. A mark that carries a scope's UUID does not close it.
        var isClosed: Bool { !contains(.start) || !isDisjoint(with: [.end, .evicted]) }
    }

    private let closedLimit: Int
    private let openLimit: Int
    private var entries: [Scope: Entry] = [:]
    private var closed = AgeOrder<Scope>()
    private var open = AgeOrder<Scope>()
    /// Whether any start was ever dropped: seldom, and then no end is looked up for it.
    private var dropsStarts = false

    package init(closedLimit: Int = 8192, openLimit: Int = 65536) {
        self.closedLimit = closedLimit
        self.openLimit = openLimit
    }

    package enum Outcome: Sendable, Hashable {
        case new(root: EventUUID)
        case duplicate
    }

    /// Takes note of an event.
    ///
    /// The root is what the event's own UUID resolved to before (an end goes where its start went), else its parent's root, else the
    /// propagated root, else its parent, else itself.
    package mutating func observe(_ event: Event, tenant: String) -> Outcome {
        let scope = Scope(tenant: tenant, uuid: event.uuid)
        let phase: Phases
        switch event.kind {
        case .scopeStart: phase = .start
        case .scopeEnd: phase = .end
        case .mark: phase = .mark
        }
        if var entry = entries[scope] {
            if entry.seen.contains(phase) { return .duplicate }
            let wasClosed = entry.seen.isClosed
            entry.seen.insert(phase)
            entries[scope] = entry
            if !wasClosed, entry.seen.isClosed { close(scope) }
            return .new(root: entry.root)
        }
        let root =
            event.parentUUID.flatMap { entries[Scope(tenant: tenant, uuid: $0)]?.root } ?? event.propagationRootUUID
            ?? event.parentUUID ?? event.uuid
        entries[scope] = Entry(root: root, seen: phase)
        if phase == .start {
            open.append(scope)
            if open.count > openLimit { evictOldestOpen() }
        } else {
            close(scope)
        }
        return .new(root: root)
    }

    /// What an event's UUID resolved to, while it is remembered.
    package func root(of uuid: EventUUID, tenant: String) -> EventUUID? {
        entries[Scope(tenant: tenant, uuid: uuid)]?.root
    }

    /// Takes note that the start that was observed just now goes no further.
    package mutating func dropStart(of uuid: EventUUID, tenant: String) {
        dropsStarts = true
        entries[Scope(tenant: tenant, uuid: uuid)]?.seen.insert(.dropped)
    }

    /// Whether the scope's start went no further, while the scope is remembered.
    package func isStartDropped(of uuid: EventUUID, tenant: String) -> Bool {
        dropsStarts && entries[Scope(tenant: tenant, uuid: uuid)]?.seen.contains(.dropped) ?? false
    }

    package var openCount: Int { open.count }

    private mutating func close(_ scope: Scope) {
        open.remove(scope)
        closed.append(scope)
        while closed.count > closedLimit, let oldest = closed.removeFirst() { entries[oldest] = nil }
    }

    private mutating func evictOldestOpen() {
        guard let oldest = open.removeFirst() else { return }
        entries[oldest]?.seen.insert(.evicted)
        close(oldest)
    }

    // MARK: Snapshot

    private static let version: UInt8 = 1

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: ScopeTable.version)
        for order in [open, closed] {
            writer.write(order.count)
            for scope in order.inOrder {
                guard let entry = entries[scope] else { preconditionFailure("what has an age has an entry") }
                writer.write(scope.tenant)
                writer.write(scope.uuid)
                writer.write(entry.root)
                writer.write(UInt64(entry.seen.rawValue))
            }
        }
        return writer.bytes
    }

    package init(closedLimit: Int = 8192, openLimit: Int = 65536, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(closedLimit: closedLimit, openLimit: openLimit)
        var reader = try SnapshotReader(snapshot, version: ScopeTable.version)
        for isOpen in [true, false] {
            for _ in 0..<(try reader.readCount()) {
                let scope = Scope(tenant: try reader.readText(), uuid: try reader.readUUID())
                let root = try reader.readUUID()
                let seen = Phases(rawValue: UInt8(truncatingIfNeeded: try reader.readNumber()))
                guard entries.updateValue(Entry(root: root, seen: seen), forKey: scope) == nil else {
                    throw SnapshotError("scope \(scope.uuid) is in the snapshot twice")
                }
                if seen.contains(.dropped) { dropsStarts = true }
                if isOpen { open.append(scope) } else { closed.append(scope) }
            }
        }
        try reader.end()
    }
}
