internal import ATOF

/// Scopes that belong to no open trajectory but are known: an agent below one of them opens none.
///
/// Bounded; when it is full the scope that came first is forgotten.
struct OutsideScopes: Sendable {
    enum State: UInt8, Sendable {
        /// Open, and never part of a trajectory.
        case unowned
        /// Was the opener or an open scope of a trajectory when that closed.
        case closed
    }

    private struct Entry: Sendable {
        var state: State
        let order: UInt64
    }

    private let limit: Int
    private var entries: [EventUUID: Entry] = [:]
    /// The order of arrival; entries that are gone meanwhile are skipped.
    private var queue: [(uuid: EventUUID, order: UInt64)] = []
    private var head = 0
    private var nextOrder: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    func state(of uuid: EventUUID?) -> State? { uuid.flatMap { entries[$0]?.state } }

    mutating func insert(_ uuid: EventUUID, _ state: State) {
        if entries[uuid] != nil {
            entries[uuid]?.state = state
            return
        }
        entries[uuid] = Entry(state: state, order: nextOrder)
        queue.append((uuid, nextOrder))
        nextOrder += 1
        while entries.count > limit {
            if isCurrent(queue[head]) { entries[queue[head].uuid] = nil }
            head += 1
        }
        if queue.count > 2 * limit + 64 {
            queue = queue[head...].filter(isCurrent)
            head = 0
        }
    }

    mutating func remove(_ uuid: EventUUID) { entries[uuid] = nil }

    /// All scopes in the order of their arrival.
    var list: [(uuid: EventUUID, state: State)] {
        queue[head...].compactMap { item in
            guard let entry = entries[item.uuid], entry.order == item.order else { return nil }
            return (item.uuid, entry.state)
        }
    }

    private func isCurrent(_ item: (uuid: EventUUID, order: UInt64)) -> Bool { entries[item.uuid]?.order == item.order }
}
