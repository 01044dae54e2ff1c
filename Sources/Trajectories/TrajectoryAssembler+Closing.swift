package import ATOF

/// How trajectories come to their end, are revised, and are forgotten.
extension TrajectoryAssembler {
    /// When time alone changes something; nil when nothing waits for it. That a closed trajectory is forgotten waits for the next message.
    package mutating func nextDeadline() -> UInt64? {
        [
            nextDue(isClosed: false)?.time,
            orphans.first().map { TrackedTrajectory.sum($0.orphan.arrivedAt, configuration.idle) },
        ]
        .compactMap(\.self).filter { $0 < .max }.min()
    }

    /// Closes what is open, in the order of opening.
    package mutating func finish() -> [FinishedTrajectory] {
        var finished: [FinishedTrajectory] = []
        for slot in trajectories.keys.sorted() {
            guard let trajectory = trajectories[slot], trajectory.phase != .closed else { continue }
            close(
                slot, trajectory.endedAt == nil ? .abandoned(.endOfInput) : .complete, at: now,
                &finished)
        }
        return finished
    }

    /// Enters a trajectory among the deadlines, unless it is there with an earlier one: that is looked at again when it comes.
    mutating func schedule(_ slot: UInt64) {
        guard let trajectory = trajectories[slot] else { return }
        let deadline = trajectory.deadline(configuration)
        guard deadline < .max, trajectory.scheduled.map({ deadline < $0 }) != false else { return }
        trajectories[slot]?.scheduled = deadline
        let entry = DeadlineQueue.Entry(time: deadline, slot: slot)
        if trajectory.phase == .closed { forgetting.insert(entry) } else { closing.insert(entry) }
        dropOutdatedDeadlines()
    }

    /// A trajectory that ends in seconds leaves the deadline of its idle time behind: those must not add up to all that came meanwhile.
    private mutating func dropOutdatedDeadlines() {
        guard closing.count + forgetting.count > 2 * trajectories.count + 1024 else { return }
        closing.keep { trajectories[$0.slot]?.isScheduled($0, isClosed: false) == true }
        forgetting.keep { trajectories[$0.slot]?.isScheduled($0, isClosed: true) == true }
    }

    /// The first that is due of the closed trajectories, to be forgotten, or of the others, to be closed.
    private mutating func nextDue(isClosed: Bool) -> DeadlineQueue.Entry? {
        while let entry = isClosed ? forgetting.first : closing.first {
            let trajectory = trajectories[entry.slot]
            let counts = trajectory?.isScheduled(entry, isClosed: isClosed) == true
            if counts, let deadline = trajectory?.deadline(configuration), deadline <= entry.time { return entry }
            if isClosed { forgetting.removeFirst() } else { closing.removeFirst() }
            if counts {
                trajectories[entry.slot]?.scheduled = nil
                schedule(entry.slot)
            }
        }
        return nil
    }

    mutating func closeDue(_ finished: inout [FinishedTrajectory]) {
        // Deadlines are entered no later than they are, so one look at the first ones is enough for most events.
        if orphans.count == 0, closing.first.map({ $0.time > now }) != false,
            forgetting.first.map({ $0.time > now }) != false
        {
            return
        }
        while true {
            let close = nextDue(isClosed: false)
            let forget = nextDue(isClosed: true)
            let waiting = orphans.first()
            let expiry = waiting.map { TrackedTrajectory.sum($0.orphan.arrivedAt, configuration.idle) } ?? .max
            let earliest = min(close?.time ?? .max, forget?.time ?? .max, expiry)
            guard earliest <= now else { return }
            if let close, close.time == earliest {
                closing.removeFirst()
                trajectories[close.slot]?.scheduled = nil
                guard let state = trajectories[close.slot]?.state(at: close.time, configuration) else { continue }
                self.close(close.slot, state, at: close.time, &finished)
            } else if let forget, forget.time == earliest {
                forgetting.removeFirst()
                self.forget(forget.slot)
            } else if let waiting {
                giveUp(waiting.scope, \.unowned)
            } else {
                return
            }
        }
    }

    /// Puts a trajectory out. It stays known for a while, without payloads.
    mutating func close(
        _ slot: UInt64, _ state: FinishedTrajectory.State, at time: UInt64, _ finished: inout [FinishedTrajectory]
    ) {
        let slot = configuration.order == .tolerant ? adoptRun(of: slot) : slot
        guard var trajectory = trajectories.removeValue(forKey: slot) else { return }
        trajectory.revision += 1
        finished.append(
            FinishedTrajectory(
                id: trajectory.id, tenant: trajectory.tenant, agentName: trajectory.name,
                revision: trajectory.revision, state: state, members: TrajectoryAssembler.members(of: trajectory),
                counts: trajectory.counts, hadProgress: trajectory.hadProgress))
        count(state)
        heldBytes -= trajectory.heldBytes
        trajectory.release()
        if trajectory.phase == .open {
            openEvents -= trajectory.entries.count
            closedEvents += trajectory.entries.count
        }
        trajectory.phase = .closed
        trajectory.since = time
        trajectory.hold = .none
        trajectory.hadProgress = false
        trajectory.scheduled = nil
        let root = ScopeKey(tenant: trajectory.tenant, uuid: trajectory.root)
        runs[root] = runs[root].flatMap { $0 > 1 ? $0 - 1 : nil }
        if let parent = trajectory.parent { orphans.forget(ScopeKey(tenant: trajectory.tenant, uuid: parent), slot) }
        trajectories[slot] = trajectory
        openOrder.remove(slot)
        changed.remove(slot)
        closedOrder.append(slot)
        if configuration.revise == 0 { return forget(slot) }
        schedule(slot)
        makeRoomForClosed(&finished)
    }

    private mutating func makeRoomForClosed(_ finished: inout [FinishedTrajectory]) {
        while closedOrder.count > configuration.maximumClosed || closedEvents > configuration.maximumClosedEvents {
            guard let first = closedOrder.first, let trajectory = trajectories[first] else { return }
            if trajectory.phase == .revising {
                // What came since is put out before it is forgotten; it moves to the end for that.
                close(first, trajectory.endedAt == nil ? .abandoned(.maximumOpen) : .complete, at: now, &finished)
            } else {
                counts.forgottenEarly += 1
                forget(first)
            }
        }
    }

    private mutating func count(_ state: FinishedTrajectory.State) {
        switch state {
        case .complete: counts.completed += 1
        case .abandoned(.idle): counts.abandonedIdle += 1
        case .abandoned(.maximumAge): counts.abandonedAge += 1
        case .abandoned(.maximumOpen): counts.abandonedOpen += 1
        case .abandoned(.endOfInput): counts.partial += 1
        }
    }

    /// In the order of their arrival, and then those whose parents never came.
    private static func members(of trajectory: TrackedTrajectory) -> [FinishedTrajectory.Member] {
        trajectory.entries
            .sorted { ($0.isOrphan ? 1 : 0, $0.reference) < ($1.isOrphan ? 1 : 0, $1.reference) }
            .map { FinishedTrajectory.Member(reference: $0.reference, packed: $0.packed) }
    }

    /// Something late came for a closed trajectory.
    mutating func reopen(_ slot: UInt64) {
        guard let trajectory = trajectories[slot], trajectory.phase == .closed else { return }
        trajectories[slot]?.phase = .revising
        trajectories[slot]?.since = now
        trajectories[slot]?.lastEventAt = now
        trajectories[slot]?.scheduled = nil
        if trajectory.endedAt != nil { trajectories[slot]?.endedAt = now }
        runs[ScopeKey(tenant: trajectory.tenant, uuid: trajectory.root), default: 0] += 1
    }

    /// Ends what is known about a closed trajectory, but for what makes later events of it recognisable.
    private mutating func forget(_ slot: UInt64) {
        guard let trajectory = trajectories.removeValue(forKey: slot) else { return }
        closedOrder.remove(slot)
        closedEvents -= trajectory.entries.count
        forgotten.insert(ScopeKey(tenant: trajectory.tenant, uuid: trajectory.id))
        for entry in trajectory.entries {
            let scope = ScopeKey(tenant: trajectory.tenant, uuid: entry.uuid)
            guard let route = routes.removeValue(forKey: scope) else { continue }
            // The reference remembers all of them: an agent below one opens nothing.
            let isRemembered = configuration.order == .reference && route.seen.contains(.start)
            if route.isOpen || isRemembered { forgotten.insert(scope) }
        }
        let root = ScopeKey(tenant: trajectory.tenant, uuid: trajectory.root)
        if fullRuns[root] == slot { fullRuns[root] = nil }
    }

    // MARK: Events of trajectories

    mutating func note(_ entry: TrackedTrajectory.Entry, in slot: UInt64, isOpener: Bool) {
        guard let phase = trajectories[slot]?.phase else { return }
        trajectories[slot]?.entries.append(entry)
        trajectories[slot]?.lastEventAt = now
        if let packed = entry.packed {
            trajectories[slot]?.heldBytes += packed.count
            heldBytes += packed.count
        }
        if isOpener, entry.kind == .scopeEnd, trajectories[slot]?.endedAt == nil { trajectories[slot]?.endedAt = now }
        counts.accepted += 1
        if entry.isOrphan {
            trajectories[slot]?.counts.orphaned += 1
            counts.orphaned += 1
        }
        if phase == .open {
            openEvents += 1
            if configuration.order == .tolerant, !changed.contains(slot) { changed.append(slot) }
        } else {
            closedEvents += 1
            trajectories[slot]?.counts.late += 1
            counts.revising += 1
        }
    }

    /// Drops payloads from memory that are beyond the bounds; they are read again when the document is built.
    mutating func spillIfNeeded(_ slot: UInt64) {
        if let bytes = trajectories[slot]?.heldBytes, bytes > configuration.maximumHeldBytes { spill(slot) }
        guard heldBytes > configuration.maximumTotalHeldBytes else { return }
        // Down to three quarters, so that the search for the largest ones is rare.
        let largest = trajectories.filter { $0.value.heldBytes > 0 }.sorted {
            ($1.value.heldBytes, $0.key) < ($0.value.heldBytes, $1.key)
        }
        for (slot, _) in largest where heldBytes > configuration.maximumTotalHeldBytes / 4 * 3 { spill(slot) }
    }

    private mutating func spill(_ slot: UInt64) {
        heldBytes -= trajectories[slot]?.heldBytes ?? 0
        trajectories[slot]?.release()
        trajectories[slot]?.isSpilled = true
        spilled += 1
    }

    // MARK: Progress

    /// What is told about a trajectory that is open.
    package struct Progress: Sendable, Hashable {
        package let id: EventUUID
        package let tenant: String
        package let agentName: String
        package let eventCount: Int
        /// Log time, nanoseconds since 1970.
        package let openedAt: UInt64
        package let lastEventAt: UInt64
    }

    /// When there is something to tell; nil when nothing has changed.
    package mutating func progressDeadline(interval: UInt64) -> UInt64? {
        changed.first == nil ? nil : TrackedTrajectory.sum(progressAt, interval)
    }

    /// The open trajectories that have changed since they were told of, at most so many, and none before the interval has passed.
    package mutating func takeProgress(interval: UInt64, limit: Int) -> [Progress] {
        guard now >= TrackedTrajectory.sum(progressAt, interval) else { return [] }
        progressAt = now
        var progress: [Progress] = []
        while progress.count < limit, let slot = changed.first {
            changed.remove(slot)
            trajectories[slot]?.hadProgress = true
            guard let trajectory = trajectories[slot] else { continue }
            progress.append(
                Progress(
                    id: trajectory.id, tenant: trajectory.tenant, agentName: trajectory.name,
                    eventCount: trajectory.entries.count, openedAt: trajectory.openedAt,
                    lastEventAt: trajectory.lastEventAt))
        }
        return progress
    }

    /// Trajectories that were told of and have become part of others since the last call.
    package mutating func takeRetired() -> [(tenant: String, id: EventUUID)] {
        defer { retired = [] }
        return retired
    }
}
