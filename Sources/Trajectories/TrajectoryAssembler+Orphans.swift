internal import ATOF

/// Events that came before what they belong to.
extension TrajectoryAssembler {
    mutating func waitForParent(_ arrival: Arrival) {
        if orphans.isFull(root: arrival.root) {
            counts.orphanLimit += 1
            return settle(arrival.root, unassembled: 1)
        }
        while orphans.isFull, let oldest = orphans.first() { giveUp(oldest.scope, \.orphanLimit) }
        let item = OrphanTable.Orphan.Item(kind: arrival.event.kind, reference: arrival.reference)
        if let orphan = orphans.orphan(arrival.key) {
            if orphan.parent != nil || arrival.parent == nil { return orphans.add(item, to: arrival.key) }
            // An end without a parent came first.
            orphans.remove(arrival.key)
            insert(arrival, orphan.items + [item])
        } else {
            insert(arrival, [item])
        }
        reviseRun(of: arrival)
    }

    private mutating func insert(_ arrival: Arrival, _ items: [OrphanTable.Orphan.Item]) {
        orphans.insert(
            OrphanTable.Orphan(
                parent: arrival.parent?.uuid, root: arrival.root.uuid, arrivedAt: now, items: items,
                isTop: arrival.parent != nil && arrival.parent != arrival.root), as: arrival.key)
    }

    /// An event whose run is a closed trajectory's own belongs to it, whatever its parent is.
    private mutating func reviseRun(of arrival: Arrival) {
        guard arrival.parent != arrival.root, let slot = routes[arrival.root]?.slot,
            let trajectory = trajectories[slot], trajectory.phase == .closed, trajectory.root == arrival.root.uuid,
            trajectory.id == trajectory.root
        else { return }
        reopen(slot)
        schedule(slot)
    }

    /// Gives up an orphan whose parent will not come, or for which there is no room.
    mutating func giveUp(_ scope: ScopeKey, _ reason: WritableKeyPath<AssemblerCounts, UInt64>) {
        guard let orphan = orphans.remove(scope) else { return }
        count(orphan, of: scope.tenant, reason)
        let root = ScopeKey(tenant: scope.tenant, uuid: orphan.root)
        // So that agents below it open no trajectories.
        if orphan.has(.scopeStart), !outside.contains(root) { outside.insert(scope) }
    }

    /// Gives up what waits for a scope that belongs to no trajectory.
    mutating func giveUp(below scope: ScopeKey) {
        var scopes = [scope]
        while let scope = scopes.popLast() {
            for child in orphans.takeChildren(of: scope) { scopes.append(ScopeKey(tenant: scope.tenant, uuid: child)) }
            giveUp(scope, \.unowned)
        }
    }

    private mutating func count(
        _ orphan: OrphanTable.Orphan, of tenant: String, _ reason: WritableKeyPath<AssemblerCounts, UInt64>
    ) {
        counts[keyPath: reason] += UInt64(orphan.items.count)
        settle(ScopeKey(tenant: tenant, uuid: orphan.root), unassembled: orphan.items.count)
    }

    // MARK: Adoption

    /// Takes what waited for a scope of a trajectory into it: its own events, everything below, and trajectories whose opener is below.
    ///
    /// - Parameter isOrphan: the scope's own parent has not come.
    /// - Returns: where the trajectory is now.
    mutating func adopt(_ scope: ScopeKey, into slot: UInt64, isOrphan: Bool = false) -> UInt64 {
        var slot = slot
        var scopes = [scope]
        while let scope = scopes.popLast() {
            if let orphan = orphans.remove(scope) { put(orphan, scope, into: slot, isOrphan: isOrphan) }
            for child in orphans.takeChildren(of: scope) { scopes.append(ScopeKey(tenant: scope.tenant, uuid: child)) }
            for child in orphans.trajectories(awaiting: scope) where child != slot {
                slot = merge(child, into: slot) ?? slot
            }
        }
        return slot
    }

    private mutating func put(_ orphan: OrphanTable.Orphan, _ scope: ScopeKey, into slot: UInt64, isOrphan: Bool) {
        let root = ScopeKey(tenant: scope.tenant, uuid: orphan.root)
        for item in orphan.items {
            if isFull(slot), !(item.kind == .scopeEnd && routes[scope]?.seen.contains(.start) == true) {
                trajectories[slot]?.counts.overLimit += 1
                counts.overLimit += 1
                settle(root, unassembled: 1)
            } else {
                append(scope, item.kind, item.reference, packed: nil, isOrphan: isOrphan, to: slot)
                settle(root, assembled: 1)
            }
        }
    }

    /// What came of the run while its only trajectory was open, and whose parents never came, is part of it.
    ///
    /// - Returns: where the trajectory is now.
    mutating func adoptRun(of slot: UInt64) -> UInt64 {
        guard let root = trajectories[slot].map({ ScopeKey(tenant: $0.tenant, uuid: $0.root) }) else { return slot }
        var slot = slot
        while runs[root] == 1, let first = trajectories[slot]?.openedReference,
            let top = orphans.lastTop(of: root, after: first)
        {
            slot = adopt(top, into: slot, isOrphan: true)
        }
        return slot
    }

    /// Makes a trajectory whose opener's parent turned out to belong to another one a part of that.
    ///
    /// - Returns: where the two are now; nil when they stay apart, because one was put out before or they are too large together.
    private mutating func merge(_ child: UInt64, into parent: UInt64) -> UInt64? {
        guard let upperCount = trajectories[parent]?.entries.count, trajectories[child]?.phase == .open,
            let lowerCount = trajectories[child]?.entries.count,
            lowerCount + upperCount <= configuration.maximumEvents,
            (trajectories[child]?.bytes ?? 0) <= configuration.maximumBytes - (trajectories[parent]?.bytes ?? 0),
            var lower = trajectories.removeValue(forKey: child), var upper = trajectories.removeValue(forKey: parent)
        else { return nil }
        // The smaller one moves, so that a chain of agents that comes backwards costs no more than its length.
        let keepsChild = upper.phase == .open && lowerCount > upperCount
        let (keep, drop) = keepsChild ? (child, parent) : (parent, child)
        if keepsChild { swap(&lower.entries, &upper.entries) }
        var entries: [TrackedTrajectory.Entry] = []
        swap(&entries, &upper.entries)
        let offset = Int32(clamping: entries.count)
        for var entry in lower.entries {
            entry.first += offset
            let scope = ScopeKey(tenant: upper.tenant, uuid: entry.uuid)
            routes[scope]?.slot = keep
            routes[scope]?.first = entry.first
            entries.append(entry)
        }
        var merged = upper
        merged.entries = entries
        merged.openedAt = min(upper.openedAt, lower.openedAt)
        merged.openedReference = min(upper.openedReference, lower.openedReference)
        merged.since = min(upper.since, lower.since)
        merged.lastEventAt = max(upper.lastEventAt, lower.lastEventAt)
        merged.counts.duplicate += lower.counts.duplicate
        merged.counts.overLimit += lower.counts.overLimit
        merged.bytes += lower.bytes
        merged.heldBytes += lower.heldBytes
        merged.isSpilled = upper.isSpilled || lower.isSpilled
        merged.scheduled = nil
        trajectories[keep] = merged
        if upper.phase != .open {
            openEvents -= lowerCount
            closedEvents += lowerCount
        }
        if lower.hadProgress { retired.append((lower.tenant, lower.id)) }
        counts.merged += 1
        openOrder.remove(drop)
        if changed.contains(drop), upper.phase == .open { changed.append(keep) }
        changed.remove(drop)
        leaveRun(lower, child)
        if let uuid = lower.parent { orphans.forget(ScopeKey(tenant: lower.tenant, uuid: uuid), child) }
        if keepsChild {
            if let uuid = upper.parent {
                let awaited = ScopeKey(tenant: upper.tenant, uuid: uuid)
                orphans.forget(awaited, parent)
                orphans.await(awaited, keep)
            }
            let root = ScopeKey(tenant: upper.tenant, uuid: upper.root)
            if fullRuns[root] == parent { fullRuns[root] = keep }
        }
        if isFull(keep) { noteFull(keep) }
        schedule(keep)
        return keep
    }

    /// Takes note that a trajectory is none of its run's open ones any more.
    private mutating func leaveRun(_ trajectory: TrackedTrajectory, _ slot: UInt64) {
        let root = ScopeKey(tenant: trajectory.tenant, uuid: trajectory.root)
        runs[root] = runs[root].flatMap { $0 > 1 ? $0 - 1 : nil }
        if fullRuns[root] == slot { fullRuns[root] = nil }
    }
}
