internal import ATOF

/// The scopes of a partition that `watch` knows: to which trajectory each belongs, how deep it is, and what is directly below it.
///
/// Open scopes stay; what has ended is forgotten in the order in which it ended once there are more than `closedLimit`. When more than
/// `openLimit` scopes are open, the one that was opened first counts as ended. Of several tenants the one that has the most gives first.
struct WatchedScopes: Sendable {
    struct Key: OfTenant {
        let tenant: String
        let uuid: EventUUID
    }

    struct Scope: Sendable, Hashable {
        /// The UUID of the scope that opened it, or of the run's root.
        var trajectory: EventUUID
        /// The name of the nearest agent around it, which may be itself.
        var agent: String?
        /// 1 for the scope that opened the trajectory.
        var depth: UInt64
        var children: UInt64 = 0
        var hasStarted: Bool
        var hasEnded = false
    }

    private let openLimit: Int
    private let closedLimit: Int
    private var scopes: [Key: Scope] = [:]
    private var open = FairAgeOrder<Key>()
    private var closed = FairAgeOrder<Key>()

    init(openLimit: Int, closedLimit: Int) {
        self.openLimit = openLimit
        self.closedLimit = closedLimit
    }

    subscript(key: Key) -> Scope? { scopes[key] }

    mutating func insert(_ scope: Scope, as key: Key) {
        scopes[key] = scope
        if scope.hasEnded {
            open.remove(key)
            closed.append(key)
            while closed.count > closedLimit, let oldest = closed.removeFirst() { scopes[oldest] = nil }
        } else {
            open.append(key)
            if open.count > openLimit, let oldest = open.removeFirst() {
                closed.append(oldest)
                while closed.count > closedLimit, let last = closed.removeFirst() { scopes[last] = nil }
            }
        }
    }

    /// - Returns: how many scopes are directly below it now; nil when it is not known.
    mutating func addChild(of key: Key) -> UInt64? {
        guard scopes[key] != nil else { return nil }
        scopes[key]?.children += 1
        return scopes[key]?.children
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        for order in [open, closed] {
            writer.write(order.count)
            for key in order.inOrder {
                guard let scope = scopes[key] else { preconditionFailure("what has an age is known") }
                writer.write(key.tenant)
                writer.write(key.uuid)
                writer.write(scope.trajectory)
                writer.write(scope.agent) { $0.write($1) }
                writer.write(scope.depth)
                writer.write(scope.children)
                writer.write(UInt64((scope.hasStarted ? 1 : 0) | (scope.hasEnded ? 2 : 0)))
            }
        }
    }

    mutating func restore(from reader: inout SnapshotReader) throws(SnapshotError) {
        for isOpen in [true, false] {
            for _ in 0..<(try reader.readCount()) {
                let key = Key(tenant: try reader.readText(), uuid: try reader.readUUID())
                var scope = Scope(
                    trajectory: try reader.readUUID(),
                    agent: try reader.readOptional { (reader) throws(SnapshotError) in try reader.readText() },
                    depth: try reader.readTally(), hasStarted: false)
                scope.children = try reader.readTally()
                let flags = try reader.readNumber()
                (scope.hasStarted, scope.hasEnded) = (flags & 1 != 0, flags & 2 != 0)
                guard scopes.updateValue(scope, forKey: key) == nil else {
                    throw SnapshotError("scope \(key.uuid) is in the snapshot twice")
                }
                if isOpen { open.append(key) } else { closed.append(key) }
            }
        }
    }
}
