/// Lanes and the broker.
extension PublishMachine {
    private static let firstBackoff: UInt64 = 50_000_000
    private static let longestBackoff: UInt64 = 2_000_000_000
    /// How often a message that the broker refuses for good is sent before its batch is given up.
    private static let strikes = 3
    /// Messages are not cut smaller.
    private static let leastMessageBytes = 1024

    /// - Parameter maxMessageBytes: of a payload with its headers.
    package mutating func connected(maxMessageBytes: Int) {
        isConnected = true
        // Room for headers and subject.
        messageBytes = max(PublishMachine.leastMessageBytes, maxMessageBytes - 2048)
        (pausedUntil, backoff, isProbing) = (0, 0, false)
    }

    /// What is under way is still to be answered, with a failure.
    package mutating func disconnected() { isConnected = false }

    package mutating func acknowledged(_ token: UInt64, now: UInt64) {
        guard let slot = land(token) else { return }
        (pausedUntil, backoff, isProbing) = (0, 0, false)
        lanes[slot]?.strikes = 0
        lanes[slot]?.progress.stored(now: now)
        lanes[slot]?.lastUsed = now
        guard let lane = lanes[slot], let first = lane.queue.first else { return }
        if lane.progress.index >= first.batch.envelope.messageCount(limit: lane.chunkLimit ?? messageBytes) {
            counts.acknowledged += first.batch.events
            endFirst(slot)
        }
        makeReady(slot)
        listIdle(slot)
    }

    package mutating func failed(_ token: UInt64, _ failure: Failure, now: UInt64) {
        let sent = flights[token]?.bytes ?? 0
        guard let slot = land(token) else { return }
        counts.failures += 1
        switch failure {
        case .temporary: break
        case .tooLarge:
            let limit = lanes[slot]?.chunkLimit ?? messageBytes
            if limit <= PublishMachine.leastMessageBytes {
                strike(slot)
            } else {
                // The stream takes less than the server says: everybody knows now.
                messageBytes = min(messageBytes, max(PublishMachine.leastMessageBytes, (min(limit, sent) + 1) / 2))
            }
        case .permanent: strike(slot)
        }
        // All that were under way fail at the same time; that is one failure.
        if now >= pausedUntil {
            backoff = min(max(backoff * 2, PublishMachine.firstBackoff), PublishMachine.longestBackoff)
            pausedUntil = now + backoff
        }
        isProbing = true
        makeReady(slot)
        listIdle(slot)
    }

    private mutating func strike(_ slot: Int) {
        lanes[slot]?.strikes += 1
        guard let lane = lanes[slot], lane.strikes >= PublishMachine.strikes, let first = lane.queue.first else {
            return
        }
        lose(first.batch.events, .refused, epoch: first.epoch)
        endFirst(slot)
    }

    private mutating func endFirst(_ slot: Int) {
        guard let first = lanes[slot]?.queue.popFirst() else { return }
        lanes[slot]?.progress = ChunkProgress()
        lanes[slot]?.chunkLimit = nil
        lanes[slot]?.strikes = 0
        if first.segment == nil { memoryOnly -= 1 }
        if first.isEvicted { evicted -= 1 }
        if first.isRead {
            readBytes -= first.batch.cost
            readEvents -= first.batch.events
        }
        end(first)
    }

    private mutating func land(_ token: UInt64) -> Int? {
        guard let flight = flights.removeValue(forKey: token) else { return nil }
        flightBytes -= flight.bytes
        lanes[flight.slot]?.isFlying = false
        return flight.slot
    }

    mutating func sends(now: UInt64) -> [Action] {
        guard isConnected, now >= pausedUntil else { return [] }
        var actions: [Action] = []
        while flights.count < (isProbing ? 1 : limits.flightMessages),
            flights.isEmpty || flightBytes < limits.flightBytes, let slot = readySlots.popFirst()
        {
            lanes[slot]?.isReady = false
            guard let lane = lanes[slot], !lane.isFlying, let first = lane.queue.first else {
                listIdle(slot)
                continue
            }
            var (limit, progress) = (lane.chunkLimit ?? messageBytes, lane.progress)
            let envelope = first.batch.envelope
            // A batch that was begun is cut as it was, unless that is too large now: in more chunks it is another message for the
            // collector, and begins anew.
            if limit > messageBytes {
                let isCutAnew = envelope.messageCount(limit: limit) != envelope.messageCount(limit: messageBytes)
                if isCutAnew { progress = ChunkProgress() }
                limit = messageBytes
            }
            progress.sending(now: now)
            let message = envelope.message(progress.index, limit: limit, attempt: attempt(progress, first.batch))
            lanes[slot]?.progress = progress
            lanes[slot]?.chunkLimit = limit
            lanes[slot]?.isFlying = true
            token += 1
            flights[token] = Flight(slot: slot, bytes: message.payload.count)
            flightBytes += message.payload.count
            counts.messages += 1
            actions.append(.send(token: token, message))
        }
        return actions
    }

    /// An earlier process may have begun what it left on disk, nobody knows when: the broker must not take that for repetitions either.
    private func attempt(_ progress: ChunkProgress, _ batch: SealedBatch) -> String? {
        batch.producer.hasPrefix("\(instance).") ? progress.attempt : "\(instance).\(progress.attempt ?? "0")"
    }

    /// Gives up the oldest of what is in memory only and not under way, until the rest fits.
    mutating func dropOldest(now: UInt64) {
        guard limits.policy == .dropOldest else { return }
        // The disk makes room first.
        if spools, now >= diskPausedUntil, !unwritten.isEmpty || !writing.isEmpty { return }
        // Most have ended; they are only in the way.
        if memoryOrder.count > 64, memoryOrder.count > memoryOnly * 2 { compactOrder() }
        var kept: [(slot: Int, serial: UInt64)] = []
        while newBytes > limits.heldBytes || newEvents > limits.heldEvents {
            guard let (slot, serial) = memoryOrder.popFirst() else {
                guard let oldest = unwritten.popFirst() else { break }
                drop(oldest)
                continue
            }
            guard let lane = lanes[slot], let first = lane.queue.first else { continue }
            if first.serial == serial, lane.isFlying || lane.progress.index > 0 {
                kept.append((slot, serial))
                continue
            }
            // One that is on disk meanwhile stays.
            guard let found = lanes[slot]?.queue.remove(where: { $0.serial == serial && $0.segment == nil })
            else { continue }
            if first.serial == serial {
                lanes[slot]?.progress = ChunkProgress()
                lanes[slot]?.chunkLimit = nil
            }
            memoryOnly -= 1
            drop(found)
            listIdle(slot)
        }
        if !kept.isEmpty { memoryOrder.prepend(kept) }
    }

    private mutating func drop(_ queued: Queued) {
        lose(queued.batch.events, .memoryFull, epoch: queued.epoch)
        end(queued)
    }

    private mutating func compactOrder() {
        let live = memoryOrder.elements.filter { slot, serial in
            lanes[slot]?.queue.contains { $0.serial == serial && $0.segment == nil } ?? false
        }
        memoryOrder = FIFO()
        for item in live { memoryOrder.append(item) }
    }
}
