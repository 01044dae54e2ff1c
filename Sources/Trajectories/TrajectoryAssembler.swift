package import ATOF

/// Sorts the events of a partition into trajectories, and builds each document when its opener ends
/// (`atif-trajectories.md` 2).
///
/// A scope start opens a trajectory if it is an agent's, or a custom scope's with the role of a turn, and its parent is
/// no scope that is known here. Everything below it, by parent, belongs to it. No clock and no I/O: the same events
/// give the same documents.
package struct TrajectoryAssembler: Sendable {
    /// The agent of the documents, and the bounds of what is kept.
    package struct Configuration: Sendable {
        package var agent: AgentDescription
        /// When one more opens, the oldest is closed as partial.
        package var maximumOpen = 4096
        /// Further events of a trajectory are counted and left out, except its end.
        package var maximumEvents = 10_000
        /// How many scopes outside of trajectories are remembered.
        package var maximumOutsideScopes = 16_384

        package init(agent: AgentDescription) { self.agent = agent }
    }

    package let configuration: Configuration
    package private(set) var counts = AssemblerCounts()
    private var open: [EventUUID: OpenTrajectory] = [:]
    private var routes: [EventUUID: Route] = [:]
    private var outside: OutsideScopes

    /// A trajectory under construction. Payloads stay packed until the document is built.
    private struct OpenTrajectory: Sendable {
        let id: EventUUID
        let tenant: String?
        let name: String
        let firstReference: EventReference
        var events: [(packed: [UInt8], reference: EventReference)] = []
    }

    /// What is known about a scope or mark of an open trajectory. Entries stay until the trajectory closes.
    private struct Route: Sendable {
        struct Seen: OptionSet, Sendable {
            let rawValue: UInt8
            static let start = Seen(rawValue: 1)
            static let end = Seen(rawValue: 2)
            static let mark = Seen(rawValue: 4)
        }

        let trajectory: EventUUID
        var seen: Seen = []
        /// From its start to its end: only then do events find the trajectory by this scope.
        var isOpen = false
    }

    private enum Refusal {
        case duplicate, unowned, endedParent, late, overLimit
    }

    package init(configuration: Configuration) {
        self.configuration = configuration
        outside = OutsideScopes(limit: configuration.maximumOutsideScopes)
    }

    package var openCount: Int { open.count }

    /// The earliest event that an open trajectory still needs.
    package var oldestReference: EventReference? { open.values.map(\.firstReference).min() }

    /// - Parameter reference: ascending from call to call.
    /// - Returns: the trajectory that the event finished, or that had to make room for it.
    package mutating func receive(_ event: Event, at reference: EventReference, tenant: String? = nil)
        -> FinishedTrajectory?
    {
        if opensTrajectory(event) {
            let evicted = open.count >= configuration.maximumOpen ? closeOldest() : nil
            open[event.uuid] = OpenTrajectory(
                id: event.uuid, tenant: tenant, name: event.name, firstReference: reference)
            append(event, at: reference, to: event.uuid)
            counts.accepted += 1
            return evicted
        }
        switch owner(of: event, tenant: tenant) {
        case .failure(let refusal):
            refuse(event, refusal)
            return nil
        case .success(let owner):
            append(event, at: reference, to: owner)
            counts.accepted += 1
            return event.kind == .scopeEnd && event.uuid == owner ? close(owner, isComplete: true) : nil
        }
    }

    /// Closes what is open, in the order of opening.
    package mutating func finish() -> [FinishedTrajectory] {
        var finished: [FinishedTrajectory] = []
        while let trajectory = closeOldest() { finished.append(trajectory) }
        return finished
    }

    // MARK: Routing

    /// Metadata is parsed for custom scopes only, and only when nothing else decides.
    private func opensTrajectory(_ event: Event) -> Bool {
        guard event.kind == .scopeStart, let category = event.category?.known,
            category == .agent || category == .custom,
            routes[event.uuid] == nil, outside.state(of: event.uuid) == nil, !isKnown(event.parentUUID), !isLate(event)
        else { return false }
        return category == .agent || event.metadata?.value["nemo_relay_scope_role"] == "turn"
    }

    private func isKnown(_ scope: EventUUID?) -> Bool {
        guard let scope else { return false }
        return routes[scope]?.seen.contains(.start) == true || outside.state(of: scope) != nil
    }

    /// Whether the event belongs to a trajectory that was closed. Of its scopes only those are remembered that were open
    /// then; a scope below another one is recognised by the root that it propagates.
    private func isLate(_ event: Event) -> Bool {
        [event.uuid, event.parentUUID, event.propagationRootUUID].contains { outside.state(of: $0) == .closed }
    }

    private enum Ownership {
        case success(EventUUID)
        case failure(Refusal)
    }

    private func owner(of event: Event, tenant: String?) -> Ownership {
        let own = routes[event.uuid]
        let above = event.parentUUID.flatMap { routes[$0] }
        guard let route = [own, above].lazy.compactMap(\.self).first(where: \.isOpen) else {
            if let own, own.seen.contains(TrajectoryAssembler.trace(of: event)) { return .failure(.duplicate) }
            if own != nil || above != nil { return .failure(.endedParent) }
            return .failure(isLate(event) ? .late : .unowned)
        }
        guard let trajectory = open[route.trajectory], trajectory.tenant == tenant,
            own?.trajectory ?? trajectory.id == trajectory.id
        else { return .failure(.unowned) }
        if own?.seen.contains(TrajectoryAssembler.trace(of: event)) == true { return .failure(.duplicate) }
        let isClosing = event.kind == .scopeEnd && event.uuid == trajectory.id
        if trajectory.events.count >= configuration.maximumEvents, !isClosing { return .failure(.overLimit) }
        return .success(trajectory.id)
    }

    private static func trace(of event: Event) -> Route.Seen {
        switch event.kind {
        case .scopeStart: .start
        case .scopeEnd: .end
        case .mark: .mark
        }
    }

    private mutating func append(_ event: Event, at reference: EventReference, to trajectory: EventUUID) {
        open[trajectory]?.events.append((event.packed.array, reference))
        var route = routes[event.uuid] ?? Route(trajectory: trajectory)
        route.seen.insert(TrajectoryAssembler.trace(of: event))
        switch event.kind {
        case .scopeStart: route.isOpen = true
        case .scopeEnd: route.isOpen = false
        case .mark: break
        }
        routes[event.uuid] = route
    }

    /// Counts an event that goes nowhere, and keeps track of its scope so that agents below it open no trajectories.
    private mutating func refuse(_ event: Event, _ refusal: Refusal) {
        switch refusal {
        case .duplicate:
            counts.duplicate += 1
            return
        case .unowned: counts.unowned += 1
        case .endedParent: counts.endedParent += 1
        case .late: counts.late += 1
        case .overLimit: counts.overLimit += 1
        }
        switch event.kind {
        case .scopeStart: outside.insert(event.uuid, refusal == .late ? .closed : .unowned)
        case .scopeEnd: if outside.state(of: event.uuid) == .unowned { outside.remove(event.uuid) }
        case .mark: break
        }
    }

    // MARK: Closing

    private mutating func closeOldest() -> FinishedTrajectory? {
        let oldest = open.values.min { $0.firstReference < $1.firstReference }
        return oldest.flatMap { close($0.id, isComplete: false) }
    }

    private mutating func close(_ id: EventUUID, isComplete: Bool) -> FinishedTrajectory? {
        guard let trajectory = open.removeValue(forKey: id), let last = trajectory.events.last else { return nil }
        let events = TrajectoryAssembler.unpacked(trajectory.events.map(\.packed))
        outside.insert(id, .closed)
        for event in events {
            guard let route = routes.removeValue(forKey: event.uuid) else { continue }
            if route.isOpen { outside.insert(event.uuid, .closed) }
        }
        if isComplete { counts.completed += 1 } else { counts.partial += 1 }
        let builder = TrajectoryBuilder(origin: .dispatcher(opener: id), agent: configuration.agent)
        return FinishedTrajectory(
            id: id, tenant: trajectory.tenant, agentName: trajectory.name,
            openerMetadata: events.first?.metadata?.value,
            document: builder.document(of: events), eventCount: events.count, firstReference: trajectory.firstReference,
            lastReference: last.reference, isComplete: isComplete)
    }

    /// Events that were read once from these bytes can be read again, so nothing is lost here.
    private static func unpacked(_ packed: [[UInt8]]) -> [Event] {
        var writer = EventBatchWriter()
        for bytes in packed { writer.append(packed: bytes) }
        guard let batch = try? EventBatch(unpacking: writer.bytes) else { return [] }
        return (0..<batch.count).compactMap { try? batch.event(at: $0) }
    }
}

// MARK: Snapshot

extension TrajectoryAssembler {
    private static let snapshotVersion: UInt8 = 1

    /// The state without payloads: open trajectories as references to their events, known scopes, counts.
    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: TrajectoryAssembler.snapshotVersion)
        for field in AssemblerCounts.fields { writer.write(counts[keyPath: field]) }
        let scopes = outside.list
        writer.write(UInt64(scopes.count))
        for scope in scopes {
            writer.write(scope.uuid)
            writer.write(UInt64(scope.state.rawValue))
        }
        writer.write(UInt64(open.count))
        for trajectory in open.values.sorted(by: { $0.firstReference < $1.firstReference }) {
            writer.write(trajectory.tenant) { $0.write($1) }
            writer.write(UInt64(trajectory.events.count))
            for event in trajectory.events { writer.write(event.reference) }
        }
        return writer.bytes
    }

    /// Takes up where `snapshot` was taken.
    ///
    /// - Parameter event: reads the packed bytes of an event again; nil when it is gone. A trajectory without its
    /// opener's start is given
    ///   up, without other events it goes on; both count as unavailable.
    /// - Throws: `SnapshotError` when the bytes are no snapshot.
    package init(
        configuration: Configuration, snapshot: [UInt8], event read: (EventReference) -> [UInt8]?
    ) throws(SnapshotError) {
        self.init(configuration: configuration)
        var reader = try SnapshotReader(snapshot, version: TrajectoryAssembler.snapshotVersion)
        for field in AssemblerCounts.fields { counts[keyPath: field] = try reader.readNumber() }
        for _ in 0..<(try reader.readCount()) {
            let uuid = try reader.readUUID()
            guard let state = OutsideScopes.State(rawValue: UInt8(truncatingIfNeeded: try reader.readNumber())) else {
                throw SnapshotError("the snapshot has a scope of an unknown state")
            }
            outside.insert(uuid, state)
        }
        for _ in 0..<(try reader.readCount()) {
            let tenant = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
            var references: [EventReference] = []
            for _ in 0..<(try reader.readCount()) { references.append(try reader.readReference()) }
            restore(references, tenant: tenant, read)
        }
        try reader.end()
    }

    private mutating func restore(_ references: [EventReference], tenant: String?, _ read: (EventReference) -> [UInt8]?)
    {
        var id: EventUUID?
        for reference in references {
            guard let bytes = read(reference), let event = TrajectoryAssembler.unpacked([bytes]).first else {
                counts.unavailable += id == nil ? UInt64(references.count) : 1
                if id == nil { return }
                continue
            }
            if id == nil {
                open[event.uuid] = OpenTrajectory(
                    id: event.uuid, tenant: tenant, name: event.name, firstReference: reference)
            }
            let trajectory = id ?? event.uuid
            append(event, at: reference, to: trajectory)
            id = trajectory
        }
    }
}
