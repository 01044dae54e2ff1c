package import ATOF

/// The state without payloads: trajectories and orphans as identities and references.
extension TrajectoryAssembler {
    private static let version: UInt8 = 3

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: TrajectoryAssembler.version)
        for field in AssemblerCounts.fields { writer.write(counts[keyPath: field]) }
        writer.write(now)
        writer.write(progressAt)
        writer.write(nextSlot)
        for scopes in [outside.lists.ended, outside.lists.open, forgotten.lists.open] {
            writer.write(scopes.count)
            for scope in scopes {
                writer.write(scope.tenant)
                writer.write(scope.uuid)
            }
        }
        writer.write(trajectories.count)
        for slot in trajectories.keys.sorted() {
            guard let trajectory = trajectories[slot] else { continue }
            writer.write(slot)
            TrajectoryAssembler.write(trajectory, to: &writer)
        }
        for order in [closedOrder.inOrder, changed.inOrder] {
            writer.write(order.count)
            for slot in order { writer.write(slot) }
        }
        writer.write(fullRuns.count)
        for slot in fullRuns.values.sorted() { writer.write(slot) }
        let orphans = orphans.inOrder
        writer.write(orphans.count)
        for (scope, orphan) in orphans {
            writer.write(scope.tenant)
            writer.write(scope.uuid)
            writer.write(orphan.parent) { $0.write($1) }
            writer.write(orphan.root)
            writer.write(orphan.arrivedAt)
            writer.write(orphan.isTop ? 1 : 0)
            writer.write(orphan.items.count)
            for item in orphan.items {
                writer.write(TrajectoryAssembler.code(of: item.kind))
                writer.write(item.reference)
            }
        }
        return writer.bytes
    }

    private static func code(of kind: Event.Kind) -> UInt64 {
        switch kind {
        case .scopeStart: 0
        case .scopeEnd: 1
        case .mark: 2
        }
    }

    private static func kind(_ code: UInt64) throws(SnapshotError) -> Event.Kind {
        switch code {
        case 0: return .scopeStart
        case 1: return .scopeEnd
        case 2: return .mark
        default: throw SnapshotError("the snapshot has an event of an unknown kind")
        }
    }

    private static func write(_ trajectory: TrackedTrajectory, to writer: inout SnapshotWriter) {
        writer.write(trajectory.tenant)
        writer.write(trajectory.id)
        writer.write(trajectory.name)
        writer.write(trajectory.root)
        writer.write(trajectory.parent) { $0.write($1) }
        writer.write(UInt64(trajectory.hold.rawValue))
        writer.write(UInt64(trajectory.phase.rawValue))
        writer.write(trajectory.revision)
        writer.write(trajectory.openedAt)
        writer.write(trajectory.openedReference)
        writer.write(trajectory.since)
        writer.write(trajectory.lastEventAt)
        writer.write(trajectory.endedAt) { $0.write($1) }
        writer.write(trajectory.hadProgress ? 1 : 0)
        writer.write(trajectory.bytes)
        for count in [
            trajectory.counts.duplicate, trajectory.counts.late, trajectory.counts.overLimit,
            trajectory.counts.orphaned,
        ] { writer.write(count) }
        writer.write(trajectory.entries.count)
        var sequence: UInt64 = 0
        for (index, entry) in trajectory.entries.enumerated() {
            // Most events follow on the one before: a difference takes a byte or two. It may go back, so its sign is its lowest bit.
            let isBack = entry.reference.sequence < sequence
            let step = isBack ? sequence - entry.reference.sequence : entry.reference.sequence - sequence
            let isNew = Int(entry.first) == index
            writer.write(
                TrajectoryAssembler.code(of: entry.kind) | (entry.isOrphan ? 4 : 0) | (isNew ? 8 : 0)
                    | (isBack ? 16 : 0))
            if isNew { writer.write(entry.uuid) } else { writer.write(index - Int(entry.first)) }
            writer.write(step)
            writer.write(entry.reference.index)
            sequence = entry.reference.sequence
        }
    }

    // MARK: Restore

    /// Takes up where `snapshot` was taken. Payloads are not read: what comes out later names those that have to be.
    ///
    /// - Throws: `SnapshotError` when the bytes are no snapshot of this version.
    package init(configuration: Configuration, snapshot: [UInt8]) throws(SnapshotError) {
        self.init(configuration: configuration)
        var reader = try SnapshotReader(snapshot, version: TrajectoryAssembler.version)
        for field in AssemblerCounts.fields { counts[keyPath: field] = try reader.readTally() }
        now = try reader.readNumber()
        progressAt = try reader.readNumber()
        nextSlot = try reader.readTally()
        for _ in 0..<(try reader.readCount()) {
            let scope = try TrajectoryAssembler.readScope(&reader)
            outside.insert(scope)
            outside.end(scope)
        }
        for _ in 0..<(try reader.readCount()) { outside.insert(try TrajectoryAssembler.readScope(&reader)) }
        for _ in 0..<(try reader.readCount()) { forgotten.insert(try TrajectoryAssembler.readScope(&reader)) }
        for _ in 0..<(try reader.readCount()) { try restoreTrajectory(&reader) }
        for _ in 0..<(try reader.readCount()) { closedOrder.append(try readSlot(&reader)) }
        for _ in 0..<(try reader.readCount()) { changed.append(try readSlot(&reader)) }
        for _ in 0..<(try reader.readCount()) { noteFull(try readSlot(&reader)) }
        for _ in 0..<(try reader.readCount()) { try restoreOrphan(&reader) }
        try reader.end()
    }

    private static func readScope(_ reader: inout SnapshotReader) throws(SnapshotError) -> ScopeKey {
        ScopeKey(tenant: try reader.readText(), uuid: try reader.readUUID())
    }

    private func readSlot(_ reader: inout SnapshotReader) throws(SnapshotError) -> UInt64 {
        let slot = try reader.readNumber()
        guard trajectories[slot] != nil else { throw SnapshotError("the snapshot names a trajectory that it lacks") }
        return slot
    }

    private mutating func restoreTrajectory(_ reader: inout SnapshotReader) throws(SnapshotError) {
        let slot = try reader.readNumber()
        guard slot < nextSlot, trajectories[slot] == nil else {
            throw SnapshotError("the snapshot has a trajectory out of place")
        }
        var trajectory = try TrajectoryAssembler.readTrajectory(&reader)
        let count = try reader.readCount()
        trajectory.entries.reserveCapacity(count)
        var sequence: UInt64 = 0
        for index in 0..<count {
            let entry = try TrajectoryAssembler.readEntry(&reader, index, trajectory.entries, &sequence)
            trajectory.entries.append(entry)
            let scope = ScopeKey(tenant: trajectory.tenant, uuid: entry.uuid)
            var route = routes[scope] ?? Route(slot: slot, first: entry.first)
            route.seen.insert(Route.Seen(entry.kind))
            switch entry.kind {
            case .scopeStart: route.isOpen = true
            case .scopeEnd: route.isOpen = false
            case .mark: break
            }
            routes[scope] = route
        }
        trajectories[slot] = trajectory
        if trajectory.phase == .open {
            openOrder.append(slot)
            openEvents += count
            if configuration.order == .tolerant, let parent = trajectory.parent {
                orphans.await(ScopeKey(tenant: trajectory.tenant, uuid: parent), slot)
            }
        } else {
            closedEvents += count
        }
        if trajectory.phase != .closed {
            runs[ScopeKey(tenant: trajectory.tenant, uuid: trajectory.root), default: 0] += 1
        }
        schedule(slot)
    }

    private static func readTrajectory(_ reader: inout SnapshotReader) throws(SnapshotError) -> TrackedTrajectory {
        let tenant = try reader.readText()
        let id = try reader.readUUID()
        let name = try reader.readText()
        let root = try reader.readUUID()
        let parent = try reader.readOptional { reader throws(SnapshotError) in try reader.readUUID() }
        guard let hold = TrackedTrajectory.Hold(rawValue: UInt8(truncatingIfNeeded: try reader.readNumber())),
            let phase = TrackedTrajectory.Phase(rawValue: UInt8(truncatingIfNeeded: try reader.readNumber()))
        else { throw SnapshotError("the snapshot has a trajectory of an unknown state") }
        let revision = try reader.readTally()
        let openedAt = try reader.readNumber()
        let openedReference = try reader.readReference()
        let since = try reader.readNumber()
        let lastEventAt = try reader.readNumber()
        var trajectory = TrackedTrajectory(
            id: id, tenant: tenant, name: name, root: root, parent: parent, openedAt: openedAt,
            openedReference: openedReference, since: since, lastEventAt: lastEventAt)
        trajectory.hold = hold
        trajectory.phase = phase
        trajectory.revision = revision
        trajectory.endedAt = try reader.readOptional { reader throws(SnapshotError) in try reader.readNumber() }
        trajectory.hadProgress = try reader.readNumber() != 0
        trajectory.bytes = Int(try reader.readTally())
        trajectory.counts.duplicate = try reader.readTally()
        trajectory.counts.late = try reader.readTally()
        trajectory.counts.overLimit = try reader.readTally()
        trajectory.counts.orphaned = try reader.readTally()
        return trajectory
    }

    private static func readEntry(
        _ reader: inout SnapshotReader, _ index: Int, _ entries: [TrackedTrajectory.Entry], _ sequence: inout UInt64
    ) throws(SnapshotError) -> TrackedTrajectory.Entry {
        let flags = try reader.readNumber()
        let kind = try kind(flags & 3)
        let uuid: EventUUID
        var first = index
        if flags & 8 != 0 {
            uuid = try reader.readUUID()
        } else {
            let back = try reader.readNumber()
            guard back > 0, back <= UInt64(index) else {
                throw SnapshotError("an event of the snapshot refers to none before it")
            }
            first = index - Int(back)
            uuid = entries[first].uuid
        }
        let step = try reader.readNumber()
        let (next, overflow) =
            flags & 16 != 0
            ? sequence.subtractingReportingOverflow(step) : sequence.addingReportingOverflow(step)
        guard !overflow, let place = Int(exactly: try reader.readNumber()) else {
            throw SnapshotError("a reference of the snapshot is out of range")
        }
        sequence = next
        return TrackedTrajectory.Entry(
            uuid: uuid, kind: kind, reference: EventReference(sequence: next, index: place),
            isOrphan: flags & 4 != 0, first: Int32(clamping: first), packed: nil)
    }

    private mutating func restoreOrphan(_ reader: inout SnapshotReader) throws(SnapshotError) {
        let scope = try TrajectoryAssembler.readScope(&reader)
        let parent = try reader.readOptional { reader throws(SnapshotError) in try reader.readUUID() }
        let root = try reader.readUUID()
        let arrivedAt = try reader.readNumber()
        let isTop = try reader.readNumber() != 0
        var items: [OrphanTable.Orphan.Item] = []
        for _ in 0..<(try reader.readCount()) {
            items.append(
                .init(
                    kind: try TrajectoryAssembler.kind(try reader.readNumber()), reference: try reader.readReference()))
        }
        guard orphans.orphan(scope) == nil, !items.isEmpty else {
            throw SnapshotError("the snapshot has an orphan twice, or one without events")
        }
        orphans.insert(
            .init(parent: parent, root: root, arrivedAt: arrivedAt, items: items, isTop: isTop), as: scope)
    }
}
