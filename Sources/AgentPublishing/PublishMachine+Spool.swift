/// Batches and the disk.
extension PublishMachine {
    private static let diskPause: UInt64 = 1_000_000_000
    private static let tailKept: UInt64 = 1_000_000_000

    /// What has to be done now. To be called again when there were actions, until there are none.
    package mutating func advance(now: UInt64) -> [Action] {
        if spools { endEraIfDone(now: now) }
        sealDue()
        var actions: [Action] = []
        if spools {
            actions += writes(now: now)
            actions += reads()
        }
        actions += sends(now: now)
        dropOldest(now: now)
        forgetIdle(now: now)
        if writing.isEmpty, !isFronting {
            let isQuiet = unwritten.isEmpty && (isClosing || now >= lastWrite + PublishMachine.tailKept)
            actions += book.takeDone(isTailToo: isQuiet).map { .remove($0) }
        }
        return actions
    }

    /// When to call again although nothing has happened, nanoseconds.
    package func nextTime(now: UInt64) -> UInt64? {
        var next: UInt64?
        func at(_ time: UInt64) {
            if time > now { next = min(next ?? time, time) }
        }
        if !readySlots.isEmpty, isConnected { at(pausedUntil) }
        if !unwritten.isEmpty || memoryOnly > 0 { at(diskPausedUntil) }
        if memoryOnly > 0, !isConnected { at(frontPausedUntil) }
        if book.bytes > 0 { at(lastWrite + PublishMachine.tailKept) }
        return next
    }

    private mutating func sealDue() {
        guard !openSlots.isEmpty else { return }
        let isPressed =
            isClosing || limits.spooling == .always || newBytes > limits.spillBytes
            || newEvents > limits.spillEvents
            || spools && (!isConnected || isDiskEra || book.hasUnread || !unwritten.isEmpty)
        var left: [Int] = []
        for slot in openSlots {
            guard let lane = lanes[slot] else { continue }
            // What cannot be sent at once can still grow.
            if isPressed || isConnected && lane.queue.isEmpty { seal(slot) }
            if lanes[slot]?.open.isEmpty == false {
                left.append(slot)
            } else {
                lanes[slot]?.isListedOpen = false
                listIdle(slot)
            }
        }
        openSlots = left
    }

    private mutating func endEraIfDone(now: UInt64) {
        guard isConnected, !book.hasUnread, writing.isEmpty, memoryOnly == 0 || !isDiskEra else { return }
        if now < diskPausedUntil {
            // The disk takes nothing and has nothing older: what waits for it goes directly.
            isDiskEra = false
            while let queued = unwritten.popFirst() { admit(queued) }
        } else if isDiskEra, unwritten.isEmpty, limits.spooling == .whenNeeded, !isHalfFull {
            isDiskEra = false
        }
    }

    private mutating func beginEra() {
        guard !isDiskEra else { return }
        isDiskEra = true
        book.beginEra()
    }

    // MARK: Writing

    private mutating func writes(now: UInt64) -> [Action] {
        guard writing.isEmpty, !isFronting, now >= diskPausedUntil else { return [] }
        if !isConnected, memoryOnly > 0, now >= frontPausedUntil, let action = frontWrite(now: now) { return [action] }
        // What is larger than the whole spool is given up, or everything behind it could not be written either.
        if limits.policy == .dropOldest {
            while let first = unwritten.first, SpoolRecord.size(of: first.batch) > limits.diskBytes {
                _ = unwritten.popFirst()
                lose(first.batch.events, .tooLarge, epoch: first.epoch)
                end(first)
            }
        }
        guard let first = unwritten.first else { return [] }
        var actions: [Action] = []
        guard makeRoom(SpoolRecord.size(of: first.batch), now: now, &actions) else { return actions }
        beginEra()
        let id = book.tail(segmentBytes: limits.segmentBytes)
        var size = 0
        while let next = unwritten.first {
            let more = SpoolRecord.size(of: next.batch)
            if size > 0, size + more > limits.segmentBytes || book.bytes + size + more > limits.diskBytes { break }
            size += more
            writing.append(next)
            _ = unwritten.popFirst()
        }
        writingTo = id
        return actions + [.write(id, writing.map(\.batch))]
    }

    /// What is in lanes and nowhere else, before it is lost with the process.
    private mutating func frontWrite(now: UInt64) -> Action? {
        let batches = lanes.flatMap { ($0?.queue.elements ?? []).filter { $0.segment == nil }.map(\.batch) }
        let size = batches.reduce(0) { $0 + SpoolRecord.size(of: $1) }
        guard book.bytes + size <= limits.diskBytes else {
            // They are the oldest: nothing may be given up for them.
            frontPausedUntil = now + PublishMachine.diskPause
            return nil
        }
        isFronting = true
        beginEra()
        let id = book.front()
        writingTo = id
        return .write(id, batches)
    }

    /// - Returns: whether there is room now.
    private mutating func makeRoom(_ size: Int, now: UInt64, _ actions: inout [Action]) -> Bool {
        while book.bytes + size > limits.diskBytes {
            guard limits.policy == .dropOldest, let oldest = book.takeOldest() else {
                diskPausedUntil = now + PublishMachine.diskPause
                return false
            }
            for run in oldest.unread { giveUp(run, .diskFull) }
            if oldest.outstanding > 0 { noteEvicted(oldest.id) }
            actions.append(.remove(oldest.id))
        }
        return true
    }

    /// What was read from a segment that is gone, or held although it was written there, is in memory only now.
    private mutating func noteEvicted(_ id: SpoolSegmentID) {
        for slot in lanes.indices {
            lanes[slot]?.queue.update { queued in
                guard queued.segment == id else { return }
                queued.isEvicted = true
                evicted += 1
            }
        }
    }

    private mutating func giveUp(_ run: SpoolBook.Run, _ reason: DropReason) {
        lose(run.events, reason, epoch: run.epoch)
        done(run.records, epoch: run.epoch)
    }

    /// The batches of the last `write` are on disk.
    package mutating func wrote(now: UInt64) {
        guard let id = writingTo else { return }
        writingTo = nil
        lastWrite = now
        if isFronting { return wroteFront(id) }
        let batches = writing
        writing = []
        // Nothing older is on disk: it need not be read to be sent.
        let isHeld = isConnected && !book.hasUnread && !isHalfFull
        let size = batches.reduce(0) { $0 + SpoolRecord.size(of: $1.batch) }
        book.wrote(
            id, batches.map { .init(epoch: $0.epoch, records: 1, events: $0.batch.events) }, size: size, isHeld: isHeld)
        for queued in batches {
            counts.spooled += queued.batch.events
            if isHeld {
                var queued = queued
                queued.segment = id
                admit(queued)
            } else {
                queuedBytes -= queued.batch.cost
                queuedEvents -= queued.batch.events
            }
        }
    }

    private mutating func wroteFront(_ id: SpoolSegmentID) {
        isFronting = false
        memoryOnly = 0
        var runs: [SpoolBook.Run] = []
        var size = 0
        for slot in lanes.indices {
            lanes[slot]?.queue.update { queued in
                guard queued.segment == nil else { return }
                queued.segment = id
                size += SpoolRecord.size(of: queued.batch)
                runs.append(.init(epoch: queued.epoch, records: 1, events: queued.batch.events))
            }
        }
        counts.spooled += runs.reduce(0) { $0 + $1.events }
        book.wrote(id, runs, size: size, isHeld: true)
    }

    /// The last `write` has failed; what it has written was taken back or is never read.
    package mutating func writeFailed(now: UInt64) {
        if let id = writingTo { book.close(id) }
        writingTo = nil
        isFronting = false
        unwritten.prepend(writing)
        writing = []
        counts.diskFailures += 1
        diskPausedUntil = now + PublishMachine.diskPause
    }

    // MARK: Reading

    private mutating func reads() -> [Action] {
        guard isConnected, !isReading, readBytes <= limits.readWindow / 2, let next = book.nextRead else { return [] }
        isReading = true
        // In memory small records take up to three times as much.
        let bytes = min(next.end - next.offset, max(1, limits.readWindow / 6), 1 << 20)
        return [.read(next.id, offset: next.offset, bytes: bytes)]
    }

    /// The records that the last `read` has found, from its offset on.
    ///
    /// - Parameter isDamaged: whether there is none behind them.
    package mutating func haveRead(_ id: SpoolSegmentID, _ batches: [SealedBatch], isDamaged: Bool) {
        isReading = false
        for batch in batches {
            guard let epoch = book.read(id, size: SpoolRecord.size(of: batch), events: batch.events) else { break }
            batchSerial += 1
            queuedBytes += batch.cost
            queuedEvents += batch.events
            readBytes += batch.cost
            readEvents += batch.events
            counts.replayed += batch.events
            admit(Queued(batch: batch, epoch: epoch, serial: batchSerial, segment: id, isRead: true))
        }
        if isDamaged || batches.isEmpty {
            for run in book.giveUp(id) { giveUp(run, .damaged) }
        }
    }
}
