package import ATOF

/// Sorts the events of a partition into trajectories (`atif-trajectories.md` 2).
///
/// A scope start opens a trajectory if it is an agent's, or a custom scope's with the role of a turn, and its parent is no scope that is
/// known here. Everything below it, by parent, belongs to it, in whatever order it comes. Time is the log's: no clock and no I/O, so the
/// same events and times give the same trajectories. All tenants share the bounds; nothing else.
package struct TrajectoryAssembler: Sendable {
    /// When trajectories close, and the bounds of what is kept. Times are nanoseconds.
    package struct Configuration: Sendable {
        package enum Order: Sendable {
            /// As the reference does: what comes before its parent, or after its parent's end, is dropped.
            case reference
            /// Events may come in any order.
            case tolerant
        }

        package var order: Order
        /// `strict` opens nothing for an agent without any parent, and once more for an opener that starts again.
        package var compatibility = Compatibility.skein
        /// How long a trajectory waits for stragglers after its opener's end.
        package var linger: UInt64 = 0
        /// A trajectory of which nothing comes for so long is abandoned; an orphan that waits for so long is given up.
        package var idle: UInt64 = .max
        package var maximumAge: UInt64 = .max
        /// For how long a closed trajectory is revised when something late comes.
        package var revise: UInt64 = 0
        /// How long an agent whose run is not known at all is held back after its end for its parent to come.
        package var parentWait: UInt64 = 0
        /// Of a task; when one more opens, the oldest is closed as abandoned.
        package var maximumOpen = 4096
        /// Events of all open trajectories of a task; beyond it the oldest is closed as abandoned.
        package var maximumOpenEvents = 1_000_000
        /// Further events of a trajectory are counted and left out, except ends of scopes that are in it.
        package var maximumEvents = 10_000
        /// Packed bytes of a trajectory beyond which further events are left out alike: its document is built as a whole.
        package var maximumBytes = Int.max
        /// Closed trajectories that can still be revised; beyond it the first that was closed is forgotten.
        package var maximumClosed = 1024
        /// Events of all of those.
        package var maximumClosedEvents = 65_536
        /// Events that wait for their parent; beyond it the first that came is given up. A run may have a sixteenth of it.
        package var maximumOrphans = 65_536
        /// How many scopes outside of trajectories are remembered.
        package var maximumOutsideScopes = 16_384
        /// Payload bytes of a trajectory; one that has more is read again when it is closed.
        package var maximumHeldBytes = Int.max
        /// Of all trajectories; beyond it the largest are read again.
        package var maximumTotalHeldBytes = Int.max

        package init(order: Order) { self.order = order }
    }

    /// What became of events of a run, decided since it was asked for the last time.
    package struct Settlement: Sendable, Hashable {
        package let tenant: String
        package let root: EventUUID
        package internal(set) var assembled = 0
        package internal(set) var unassembled = 0
    }

    package let configuration: Configuration
    package internal(set) var counts = AssemblerCounts()
    /// Trajectories whose payloads were dropped from memory; not part of the state.
    package internal(set) var spilled: UInt64 = 0

    /// Log time, nanoseconds.
    var now: UInt64 = 0
    var nextSlot: UInt64 = 0
    var trajectories: [UInt64: TrackedTrajectory] = [:]
    var routes: [ScopeKey: Route] = [:]
    /// When open trajectories close.
    var closing = DeadlineQueue()
    /// When closed ones are forgotten.
    var forgetting = DeadlineQueue()
    /// Trajectories that were never put out, by opening.
    var openOrder = AgeOrder<UInt64>()
    /// Those that were, by their last closing.
    var closedOrder = AgeOrder<UInt64>()
    /// Trajectories of each run that are open or revised.
    var runs: [ScopeKey: Int] = [:]
    /// Runs with a trajectory that is at its maximum: what comes of them is recognised without being remembered.
    var fullRuns: [ScopeKey: UInt64] = [:]
    var orphans: OrphanTable
    /// Scopes of no trajectory.
    var outside: OutsideScopes
    /// Openers, and scopes open at the closing, of trajectories that are forgotten.
    var forgotten: OutsideScopes
    /// Open trajectories that have changed since their progress was told, the first to change first.
    var changed = AgeOrder<UInt64>()
    var openEvents = 0
    var closedEvents = 0
    var heldBytes = 0
    var settlements: [Settlement] = []
    /// When progress was told last.
    var progressAt: UInt64 = 0
    /// Trajectories whose progress was told and that became part of another one.
    var retired: [(tenant: String, id: EventUUID)] = []

    /// Where a scope or mark of a trajectory is. Entries stay until the trajectory is forgotten.
    struct Route: Sendable {
        struct Seen: OptionSet, Sendable {
            let rawValue: UInt8
            static let start = Seen(rawValue: 1)
            static let end = Seen(rawValue: 2)
            static let mark = Seen(rawValue: 4)

            init(rawValue: UInt8) { self.rawValue = rawValue }

            init(_ kind: Event.Kind) {
                switch kind {
                case .scopeStart: self = .start
                case .scopeEnd: self = .end
                case .mark: self = .mark
                }
            }
        }

        var slot: UInt64
        var seen: Seen = []
        /// From its start to its end.
        var isOpen = false
        /// Its first event among the trajectory's.
        var first: Int32
    }

    package init(configuration: Configuration) {
        self.configuration = configuration
        orphans = OrphanTable(limit: configuration.maximumOrphans)
        outside = OutsideScopes(limit: configuration.maximumOutsideScopes)
        forgotten = OutsideScopes(limit: configuration.maximumOutsideScopes)
    }

    /// Trajectories that were not put out yet.
    package var openCount: Int { openOrder.count }
    /// Trajectories that can still be revised.
    package var closedCount: Int { closedOrder.count }
    /// Events that wait for their parents.
    package var orphanCount: Int { orphans.count }
    /// Bytes of the payloads that are held.
    package var heldPayloadBytes: Int { heldBytes }

    /// The earliest event of a trajectory that is not closed: what the stream must keep. Orphans, and closed trajectories, hold nothing
    /// back. Looks at everything; for snapshots.
    package var oldestReference: EventReference? {
        trajectories.values.lazy.filter { $0.phase != .closed }.compactMap(\.firstReference).min()
    }

    /// The run that an event belongs to: what `process` found, else what the event itself says.
    package static func root(of event: Event) -> EventUUID {
        event.rootUUID ?? event.propagationRootUUID ?? event.parentUUID ?? event.uuid
    }

    /// What became of events since the last call.
    package mutating func takeSettlements() -> [Settlement] {
        defer { settlements = [] }
        return settlements
    }

    // MARK: Input

    /// Takes note of the time of the log; it never goes back.
    ///
    /// - Returns: the trajectories that are closed by it, in the order in which they were due.
    package mutating func timeAdvanced(to time: UInt64) -> [FinishedTrajectory] {
        now = max(now, time)
        if progressAt == 0 { progressAt = now }
        var finished: [FinishedTrajectory] = []
        closeDue(&finished)
        return finished
    }

    /// Takes an event in, at the time that was told last.
    ///
    /// - Parameter reference: ascending from call to call.
    /// - Returns: the trajectories that it closed, or that had to make room.
    package mutating func receive(_ event: Event, at reference: EventReference, tenant: String = "")
        -> [FinishedTrajectory]
    {
        var finished: [FinishedTrajectory] = []
        let arrival = Arrival(event, reference, tenant)
        let own = routes[arrival.key]
        let above = arrival.parent.flatMap { routes[$0] }
        if let route = configuration.order == .tolerant ? own ?? above : openRoute(own, above) {
            join(arrival, own: own, at: route.slot)
        } else if configuration.order == .reference {
            receiveAsReference(arrival, own: own, above: above, &finished)
        } else {
            receiveUnknown(arrival, &finished)
        }
        makeRoomForOpen(&finished)
        closeDue(&finished)
        return finished
    }

    /// An event on its way in.
    struct Arrival {
        let event: Event
        let reference: EventReference
        let key: ScopeKey
        let parent: ScopeKey?
        let root: ScopeKey

        init(_ event: Event, _ reference: EventReference, _ tenant: String) {
            self.event = event
            self.reference = reference
            key = ScopeKey(tenant: tenant, uuid: event.uuid)
            parent = event.parentUUID.map { ScopeKey(tenant: tenant, uuid: $0) }
            root = ScopeKey(tenant: tenant, uuid: TrajectoryAssembler.root(of: event))
        }
    }

    // MARK: Routing

    private func openRoute(_ own: Route?, _ above: Route?) -> Route? {
        if let own, own.isOpen { return own }
        if let above, above.isOpen { return above }
        return nil
    }

    private mutating func receiveAsReference(
        _ arrival: Arrival, own: Route?, above: Route?, _ finished: inout [FinishedTrajectory]
    ) {
        let event = arrival.event
        let isAgain = startsAgain(arrival)
        let isKnown =
            above?.seen.contains(.start) == true || arrival.parent.map(isRemembered) == true
            || !isAgain && isRemembered(arrival.key)
        let hasParent = arrival.parent != nil || !configuration.compatibility.isStrict
        if own == nil, !isKnown, hasParent, opens(event), isAgain || !isLate(arrival) {
            return open(arrival, hold: .none, &finished)
        }
        if let own, own.seen.contains(Route.Seen(event.kind)) {
            counts.duplicate += 1
            return settle(arrival.root, unassembled: 1)
        }
        settle(arrival.root, unassembled: 1)
        let late = own == nil && above == nil && isLate(arrival)
        if own != nil || above != nil {
            counts.endedParent += 1
        } else if late {
            counts.late += 1
        } else {
            counts.unowned += 1
        }
        switch event.kind {
        case .scopeStart: if late { forgotten.insert(arrival.key) } else { outside.insert(arrival.key) }
        case .scopeEnd: outside.end(arrival.key)
        case .mark: break
        }
    }

    /// An event of no scope that belongs to a trajectory, and below none.
    private mutating func receiveUnknown(_ arrival: Arrival, _ finished: inout [FinishedTrajectory]) {
        let event = arrival.event
        if let orphan = orphans.orphan(arrival.key) {
            if orphan.has(event.kind) { return refuse(arrival, \.duplicate) }
            // Its opener's end came first: the start opens it, and takes the end in.
            if !mayOpen(arrival) { return waitForParent(arrival) }
        }
        if isLate(arrival) {
            if event.kind == .scopeStart, !forgotten.contains(arrival.root) { forgotten.insert(arrival.key) }
            return refuse(arrival, \.late)
        }
        if outside.contains(arrival.root) || outside.contains(arrival.key)
            || arrival.parent.map(outside.contains) == true
        {
            return receiveOutside(arrival)
        }
        let isTopOfRun = arrival.parent == nil || arrival.parent == arrival.root
        if !isTopOfRun, arrival.root != arrival.key, let full = fullRuns[arrival.root] {
            trajectories[full]?.counts.overLimit += 1
            return refuse(arrival, \.overLimit)
        }
        if mayOpen(arrival) {
            // A parent that is the run's root never comes as a rule: it is the implicit root of a producer's stack.
            let hold: TrackedTrajectory.Hold =
                isBelowAgent(event)
                ? .parent
                : isTopOfRun || arrival.root == arrival.key
                    ? .none : runs[arrival.root] == nil && routes[arrival.root] == nil ? .parent : .run
            return open(arrival, hold: hold, &finished)
        }
        // Nothing can come that this belongs to; but an end may belong to an opener whose start comes later.
        if arrival.parent == nil, event.kind != .scopeEnd { return receiveOutside(arrival) }
        waitForParent(arrival)
    }

    /// Metadata is parsed for custom scopes only, and only when nothing else decides.
    private func opens(_ event: Event) -> Bool {
        guard event.kind == .scopeStart, let category = event.category?.known else { return false }
        return category == .agent
            || category == .custom && event.metadata?.value["nemo_relay_scope_role"] == "turn"
    }

    /// Whether an agent says that its parent is an agent: the outermost one of a producer's stack names itself as the root.
    private func isBelowAgent(_ event: Event) -> Bool {
        event.category?.known == .agent && event.parentUUID != nil && event.propagationRootUUID == event.parentUUID
    }

    /// Whether the reference would open a closed trajectory anew: it forgets all about it.
    private func startsAgain(_ arrival: Arrival) -> Bool {
        configuration.compatibility.isStrict && forgotten.contains(arrival.key)
            && arrival.event.propagationRootUUID.map { $0 == arrival.key.uuid } != false
    }

    private func mayOpen(_ arrival: Arrival) -> Bool {
        arrival.parent.map { orphans.orphan($0) == nil } != false && opens(arrival.event)
    }

    private func isRemembered(_ scope: ScopeKey) -> Bool { outside.contains(scope) || forgotten.contains(scope) }

    /// Whether the event belongs to a trajectory that is forgotten. Of its scopes only those are remembered that were open then; a scope
    /// below another one is recognised by its root.
    private func isLate(_ arrival: Arrival) -> Bool {
        if forgotten.contains(arrival.key) || arrival.parent.map(forgotten.contains) == true { return true }
        guard configuration.order == .tolerant else {
            return arrival.event.propagationRootUUID.map {
                forgotten.contains(ScopeKey(tenant: arrival.key.tenant, uuid: $0))
            } == true
        }
        return arrival.root != arrival.key && forgotten.contains(arrival.root)
    }

    private mutating func receiveOutside(_ arrival: Arrival) {
        refuse(arrival, \.unowned)
        if arrival.event.kind == .scopeEnd { outside.end(arrival.key) }
        guard arrival.event.kind == .scopeStart else { return }
        // What is below it is recognised by its root where that is outside.
        if arrival.root == arrival.key || !outside.contains(arrival.root) { outside.insert(arrival.key) }
        giveUp(below: arrival.key)
    }

    private mutating func refuse(_ arrival: Arrival, _ reason: WritableKeyPath<AssemblerCounts, UInt64>) {
        counts[keyPath: reason] += 1
        settle(arrival.root, unassembled: 1)
    }

    mutating func settle(_ root: ScopeKey, assembled: Int = 0, unassembled: Int = 0) {
        var index = settlements.count - 1
        if index < 0 || settlements[index].root != root.uuid || settlements[index].tenant != root.tenant {
            index += 1
            settlements.append(Settlement(tenant: root.tenant, root: root.uuid))
        }
        settlements[index].assembled += assembled
        settlements[index].unassembled += unassembled
    }

    // MARK: Joining

    private mutating func open(_ arrival: Arrival, hold: TrackedTrajectory.Hold, _ finished: inout [FinishedTrajectory])
    {
        while openOrder.count >= configuration.maximumOpen, let oldest = openOrder.first {
            close(oldest, .abandoned(.maximumOpen), at: now, &finished)
        }
        let slot = nextSlot
        nextSlot += 1
        var trajectory = TrackedTrajectory(
            id: arrival.key.uuid, tenant: arrival.key.tenant, name: String(arrival.event.name.prefix(200)),
            root: arrival.root.uuid, parent: arrival.parent?.uuid, openedAt: now, openedReference: arrival.reference,
            since: now, lastEventAt: now)
        trajectory.hold = hold
        trajectories[slot] = trajectory
        openOrder.append(slot)
        runs[arrival.root, default: 0] += 1
        if configuration.order == .tolerant, let parent = arrival.parent { orphans.await(parent, slot) }
        append(arrival, to: slot)
    }

    /// Closes the oldest while all of them have too many events, whichever of them has grown.
    private mutating func makeRoomForOpen(_ finished: inout [FinishedTrajectory]) {
        while openEvents > configuration.maximumOpenEvents, openOrder.count > 1, let oldest = openOrder.first {
            close(oldest, .abandoned(.maximumOpen), at: now, &finished)
        }
    }

    private mutating func join(_ arrival: Arrival, own: Route?, at slot: UInt64) {
        if let own, own.slot != slot { return refuse(arrival, \.unowned) }
        if own?.seen.contains(Route.Seen(arrival.event.kind)) == true {
            trajectories[slot]?.counts.duplicate += 1
            return refuse(arrival, \.duplicate)
        }
        if isFull(slot), !(arrival.event.kind == .scopeEnd && own?.seen.contains(.start) == true) {
            return leaveOut(arrival, at: slot)
        }
        append(arrival, to: slot)
    }

    func isFull(_ slot: UInt64) -> Bool {
        guard let trajectory = trajectories[slot] else { return false }
        return trajectory.entries.count >= configuration.maximumEvents || trajectory.bytes >= configuration.maximumBytes
    }

    private mutating func leaveOut(_ arrival: Arrival, at slot: UInt64) {
        trajectories[slot]?.counts.overLimit += 1
        refuse(arrival, \.overLimit)
        guard configuration.order == .reference else { return }
        switch arrival.event.kind {
        case .scopeStart: outside.insert(arrival.key)
        case .scopeEnd: outside.end(arrival.key)
        case .mark: break
        }
    }

    mutating func noteFull(_ slot: UInt64) {
        guard configuration.order == .tolerant, let trajectory = trajectories[slot] else { return }
        fullRuns[ScopeKey(tenant: trajectory.tenant, uuid: trajectory.root)] = slot
    }

    /// Puts an event into a trajectory, and after it whatever waited for it.
    private mutating func append(_ arrival: Arrival, to slot: UInt64) {
        let holds = trajectories[slot]?.isSpilled == false && trajectories[slot]?.phase == .open
        append(
            arrival.key, arrival.event.kind, arrival.reference, packed: holds ? arrival.event.packed.array : nil,
            isOrphan: false, to: slot)
        weigh(arrival.event, in: slot)
        settle(arrival.root, assembled: 1)
        var slot = slot
        if configuration.order == .tolerant, orphans.isAwaited(arrival.key) { slot = adopt(arrival.key, into: slot) }
        spillIfNeeded(slot)
        schedule(slot)
    }

    /// Counts the bytes of an event that has joined. What waited for its parent is not weighed: it is bounded by number.
    private mutating func weigh(_ event: Event, in slot: UInt64) {
        guard let before = trajectories[slot]?.bytes else { return }
        let after = before + event.packed.count
        trajectories[slot]?.bytes = after
        if before < configuration.maximumBytes, after >= configuration.maximumBytes { noteFull(slot) }
    }

    /// Puts an event into a trajectory.
    mutating func append(
        _ key: ScopeKey, _ kind: Event.Kind, _ reference: EventReference, packed: [UInt8]?, isOrphan: Bool,
        to slot: UInt64
    ) {
        // Not taken as a whole: a second owner of its entries would make the append copy them all.
        guard let id = trajectories[slot]?.id, let count = trajectories[slot]?.entries.count else { return }
        if trajectories[slot]?.phase == .closed { reopen(slot) }
        let index = Int32(clamping: count)
        var route = routes[key] ?? Route(slot: slot, first: index)
        route.seen.insert(Route.Seen(kind))
        switch kind {
        case .scopeStart: route.isOpen = true
        case .scopeEnd: route.isOpen = false
        case .mark: break
        }
        routes[key] = route
        note(
            TrackedTrajectory.Entry(
                uuid: key.uuid, kind: kind, reference: reference, isOrphan: isOrphan, first: route.first, packed: packed
            ), in: slot, isOpener: key.uuid == id)
        if count + 1 == configuration.maximumEvents { noteFull(slot) }
    }
}
