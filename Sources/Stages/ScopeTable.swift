package import ATOF

/// What `process` remembers of the scopes and marks it has seen: the root of each, so that all events of a run meet in one partition,
/// and which phases came, so that an event that comes twice is recognised.
///
/// Open scopes stay; what has ended is forgotten in the order in which it ended once there are more than `closedLimit`. When more than
/// `openLimit` scopes are open, the one that was opened first counts as ended.
package struct ScopeTable: Sendable {
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

        var isClosed: Bool { !isDisjoint(with: [.end, .mark, .evicted]) }
    }

    private let closedLimit: Int
    private let openLimit: Int
    private var entries: [EventUUID: Entry] = [:]
    private var closed = AgeOrder()
    private var open = AgeOrder()

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
    package mutating func observe(_ event: Event) -> Outcome {
        let phase: Phases
        switch event.kind {
        case .scopeStart: phase = .start
        case .scopeEnd: phase = .end
        case .mark: phase = .mark
        }
        if var entry = entries[event.uuid] {
            if entry.seen.contains(phase) { return .duplicate }
            let wasClosed = entry.seen.isClosed
            entry.seen.insert(phase)
            entries[event.uuid] = entry
            if !wasClosed, entry.seen.isClosed { close(event.uuid) }
            return .new(root: entry.root)
        }
        let root =
            event.parentUUID.flatMap { entries[$0]?.root } ?? event.propagationRootUUID ?? event.parentUUID ?? event.uuid
        entries[event.uuid] = Entry(root: root, seen: phase)
        if phase == .start {
            open.append(event.uuid)
            if open.count > openLimit { evictOldestOpen() }
        } else {
            close(event.uuid)
        }
        return .new(root: root)
    }

    /// What an event's UUID resolved to, while it is remembered.
    package func root(of uuid: EventUUID) -> EventUUID? { entries[uuid]?.root }

    package var openCount: Int { open.count }

    private mutating func close(_ uuid: EventUUID) {
        open.remove(uuid)
        closed.append(uuid)
        if closed.count > closedLimit, let oldest = closed.removeFirst() { entries[oldest] = nil }
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
            let uuids = order.inOrder.filter { entries[$0] != nil }
            writer.write(uuids.count)
            for uuid in uuids {
                guard let entry = entries[uuid] else { continue }
                writer.write(uuid)
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
                let uuid = try reader.readUUID()
                let root = try reader.readUUID()
                let seen = Phases(rawValue: UInt8(truncatingIfNeeded: try reader.readNumber()))
                entries[uuid] = Entry(root: root, seen: seen)
                if isOpen { open.append(uuid) } else { closed.append(uuid) }
            }
        }
    }
}

/// UUIDs by age, with removal from anywhere.
struct AgeOrder: Sendable {
    private var numbers: [EventUUID: UInt64] = [:]
    /// Removed ones stay here until they come to the front or are more than the rest.
    private var queue: [(number: UInt64, uuid: EventUUID)] = []
    private var head = 0
    private var next: UInt64 = 0

    var count: Int { numbers.count }

    var inOrder: [EventUUID] { queue[head...].filter { numbers[$0.uuid] == $0.number }.map(\.uuid) }

    mutating func append(_ uuid: EventUUID) {
        numbers[uuid] = next
        queue.append((next, uuid))
        next += 1
        if queue.count > 64, queue.count > numbers.count * 2 {
            queue = queue[head...].filter { numbers[$0.uuid] == $0.number }
            head = 0
        }
    }

    mutating func remove(_ uuid: EventUUID) { numbers[uuid] = nil }

    mutating func removeFirst() -> EventUUID? {
        while head < queue.count {
            let (number, uuid) = queue[head]
            head += 1
            if numbers[uuid] == number {
                numbers[uuid] = nil
                return uuid
            }
        }
        return nil
    }
}
