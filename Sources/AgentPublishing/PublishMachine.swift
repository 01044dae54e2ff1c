package import ATOF

/// Decides what a publisher sends, keeps, puts on disk and gives up. No clock, no lock, no input or output: time comes in as nanoseconds,
/// what has to be done goes out as actions.
///
/// Events of a key are numbered and leave in that order: they wait open until they are sealed into a batch; a batch waits in the lane of
/// its key, or goes to the end of the spool and comes back from its beginning. The spool is behind all that is in lanes, and `unwritten`
/// is behind the spool. Of a lane one message is under way at a time.
package struct PublishMachine: Sendable {
    package enum Action: Sendable, Equatable {
        /// To be answered with `acknowledged` or `failed`, exactly once.
        case send(token: UInt64, EventMessage)
        /// Appends records to a segment; to be answered at once with `wrote` or `writeFailed`.
        case write(SpoolSegmentID, [SealedBatch])
        /// Reads records from there on, about so many bytes, at least one record; to be answered at once with `haveRead`.
        case read(SpoolSegmentID, offset: Int, bytes: Int)
        case remove(SpoolSegmentID)
    }

    /// Why a message was not stored.
    package enum Failure: Sendable {
        /// The same may succeed later: the broker is away, busy or full.
        case temporary
        /// The message is larger than the broker takes.
        case tooLarge
        /// It will never be taken.
        case permanent
    }

    struct Queued: Sendable {
        let batch: SealedBatch
        let epoch: UInt32
        /// In the order of sealing.
        let serial: UInt64
        /// Where it is on disk too.
        var segment: SpoolSegmentID?
        /// Whether it came from there.
        var isRead = false
        /// Whether it is there no longer: the file had to make room.
        var isEvicted = false
    }

    struct Lane: Sendable {
        let key: EventUUID
        let producer: String
        /// The number of the next event.
        var sequence: UInt64 = 1
        var open: [[UInt8]] = []
        var openBytes = 0
        var queue = FIFO<Queued>()
        var isFlying = false
        /// Of the first batch: how far it is, how it is cut, and how often it was refused for good.
        var progress = ChunkProgress()
        var chunkLimit: Int?
        var strikes = 0
        var isReady = false
        var isListedOpen = false
        var isListedIdle = false
        var lastUsed: UInt64 = 0

        var isIdle: Bool { open.isEmpty && queue.isEmpty && !isFlying }
    }

    struct Flight: Sendable {
        let slot: Int
        let bytes: Int
    }

    let tenant: String
    let instance: String
    let limits: PublishLimits

    var lanes: [Lane?] = []
    var freeSlots: [Int] = []
    var slots: [EventUUID: Int] = [:]
    /// Most events have the key of the one before.
    private var last: (key: EventUUID, slot: Int)?
    private var laneSerial: UInt64 = 0
    /// Lanes with open events, with something to send, and without anything.
    var openSlots: [Int] = []
    var readySlots = FIFO<Int>()
    var idleSlots = FIFO<Int>()

    /// Sealed batches on their way to the end of the spool.
    var unwritten = FIFO<Queued>()
    var writing: [Queued] = []
    var writingTo: SpoolSegmentID?
    /// Whether all that is in lanes only is on its way to a segment before the spool.
    var isFronting = false
    /// Until when the disk gets nothing, after it has failed or was full.
    var diskPausedUntil: UInt64 = 0
    var frontPausedUntil: UInt64 = 0
    var lastWrite: UInt64 = 0
    var book: SpoolBook
    /// Since something was written that is newer than what is in lanes only. Until that is sent or on disk too, and all that was written
    /// is read again, everything goes to disk: so what is in lanes only is older than all that is written in the era, and newer than all
    /// that was written before it, and the spool's order is the events' order whenever the process is killed.
    var isDiskEra = false
    var isReading = false

    /// In lanes and not on disk, by age: lane and serial. Those that have ended are left in until they are too many.
    var memoryOrder = FIFO<(slot: Int, serial: UInt64)>()
    var memoryOnly = 0
    /// In lanes, and on disk no longer.
    var evicted = 0
    var batchSerial: UInt64 = 0

    package internal(set) var isConnected = false
    package internal(set) var isClosing = false
    var messageBytes = (1 << 20) - 2048
    var flights: [UInt64: Flight] = [:]
    var flightBytes = 0
    var token: UInt64 = 0
    /// After a failure nothing is sent until then, and then one message alone.
    var pausedUntil: UInt64 = 0
    var backoff: UInt64 = 0
    var isProbing = false

    /// What `flush` waits for: how many batches of each epoch are not done.
    var epoch: UInt32 = 0
    var pending: [UInt32: Int] = [:]
    /// Events that every open flush has to tell of, and those that the next one has to: given up since the last.
    private var flushLosses: [UInt32: Int] = [:]
    private var untold = 0

    package internal(set) var openBytes = 0
    package internal(set) var openEvents = 0
    var queuedBytes = 0
    var queuedEvents = 0
    /// Of what is in memory: read from disk and not acknowledged.
    var readBytes = 0
    var readEvents = 0
    package internal(set) var counts = PublishCounts()

    /// - Parameters:
    ///   - instance: names this run of the program: no other may have the same, or the broker takes its messages for repetitions.
    ///   - found: what earlier runs left on disk, in the order of `SpoolSegmentID.source`; those are below `source`.
    package init(
        tenant: String, instance: String, limits: PublishLimits, source: Int = 0, found: [FoundSegment] = []
    ) {
        self.tenant = tenant
        self.instance = instance
        self.limits = limits
        book = SpoolBook(source: source)
        book.adopt(found)
        let records = found.reduce(0) { $0 + $1.records }
        if records > 0 { pending[0] = records }
    }

    // MARK: What is there

    /// Bytes in memory, with what the machine needs for them.
    package var memoryBytes: Int { openBytes + queuedBytes }
    package var memoryEvents: Int { openEvents + queuedEvents }
    /// Of that, what did not come from disk: it is bounded by `PublishLimits.newBytes` and `memoryEvents`.
    package var newBytes: Int { memoryBytes - readBytes }
    package var newEvents: Int { memoryEvents - readEvents }
    package var diskBytes: Int { book.bytes }
    package var keys: Int { slots.count }

    /// Whether everything is done.
    package var isDrained: Bool { openEvents == 0 && queuedEvents == 0 && !book.hasUnread && flights.isEmpty }

    /// Whether nothing is lost when the process ends now.
    package var isOnDisk: Bool {
        openEvents == 0 && unwritten.isEmpty && writing.isEmpty && memoryOnly == 0 && evicted == 0
            && limits.spooling != .never
    }

    var spools: Bool { limits.spooling != .never }

    /// Whether a batch that is sealed now goes behind the spool.
    private var isSpooling: Bool {
        switch limits.spooling {
        case .never: false
        case .always: true
        case .whenNeeded:
            isDiskEra || book.hasUnread || !isConnected || !unwritten.isEmpty || !writing.isEmpty || isHalfFull
        }
    }

    var isHalfFull: Bool { queuedBytes > limits.spillBytes || queuedEvents > limits.spillEvents }

    // MARK: Events

    /// One packed event.
    package mutating func append(_ event: [UInt8], key: EventUUID, now: UInt64) {
        let slot = slot(of: key)
        if let lane = lanes[slot], !lane.open.isEmpty,
            lane.open.count >= limits.batchEvents || lane.openBytes + event.count > limits.batchBytes
        {
            seal(slot)
        }
        lanes[slot]?.open.append(event)
        lanes[slot]?.openBytes += event.count
        lanes[slot]?.lastUsed = now
        openBytes += event.count + PublishMachine.eventCost
        openEvents += 1
        counts.appended += 1
        if lanes[slot]?.isListedOpen == false {
            lanes[slot]?.isListedOpen = true
            openSlots.append(slot)
        }
    }

    /// What an event takes in memory beside its bytes.
    package static let eventCost = 64

    /// Events that were turned away: they take numbers, so that the collector sees that they are missing.
    package mutating func skip(_ count: Int, key: EventUUID, reason: DropReason, now: UInt64) {
        let slot = slot(of: key)
        seal(slot)
        lanes[slot]?.sequence += UInt64(count)
        lanes[slot]?.lastUsed = now
        counts.appended += count
        lose(count, reason, epoch: epoch)
        listIdle(slot)
    }

    /// Events that were turned away, of which the keys are not known.
    package mutating func dropped(_ dropped: [DropReason: Int]) {
        for (reason, count) in dropped {
            counts.appended += count
            lose(count, reason, epoch: epoch)
        }
    }

    private mutating func slot(of key: EventUUID) -> Int {
        if let last, last.key == key { return last.slot }
        let slot = slots[key] ?? addLane(key)
        last = (key, slot)
        return slot
    }

    private mutating func addLane(_ key: EventUUID) -> Int {
        laneSerial += 1
        // Numbers of a lane begin at 1, and those of a forgotten one must never come again.
        let lane = Lane(key: key, producer: "\(instance).\(laneSerial)")
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            lanes[slot] = lane
        } else {
            slot = lanes.count
            lanes.append(lane)
        }
        slots[key] = slot
        return slot
    }

    /// Makes a batch of what is open in a lane.
    mutating func seal(_ slot: Int) {
        guard let lane = lanes[slot], !lane.open.isEmpty else { return }
        var writer = EventBatchWriter()
        writer.reserve(lane.openBytes + lane.open.count * 6 + lane.producer.utf8.count + 16)
        for event in lane.open { writer.append(packed: event) }
        writer.setProducer(lane.producer, sequence: lane.sequence)
        let batch = SealedBatch(
            tenant: tenant, key: lane.key, producer: lane.producer, sequence: lane.sequence, events: lane.open.count,
            bytes: writer.bytes)
        lanes[slot]?.sequence += UInt64(batch.events)
        lanes[slot]?.open.removeAll(keepingCapacity: true)
        lanes[slot]?.openBytes = 0
        openBytes -= lane.openBytes + batch.events * PublishMachine.eventCost
        openEvents -= batch.events
        batchSerial += 1
        pending[epoch, default: 0] += 1
        let queued = Queued(batch: batch, epoch: epoch, serial: batchSerial, segment: nil)
        queuedBytes += batch.cost
        queuedEvents += batch.events
        if isSpooling { unwritten.append(queued) } else { enqueue(queued, slot) }
    }

    /// Puts a batch that is counted already into the lane of its key.
    mutating func admit(_ queued: Queued) { enqueue(queued, slot(of: queued.batch.key)) }

    private mutating func enqueue(_ queued: Queued, _ slot: Int) {
        lanes[slot]?.queue.append(queued)
        if queued.segment == nil {
            memoryOnly += 1
            // Nobody else looks into it, and takes out of it again.
            if limits.policy == .dropOldest { memoryOrder.append((slot, queued.serial)) }
        }
        makeReady(slot)
    }

    mutating func makeReady(_ slot: Int) {
        guard let lane = lanes[slot], !lane.isReady, !lane.isFlying, !lane.queue.isEmpty else { return }
        lanes[slot]?.isReady = true
        readySlots.append(slot)
    }

    // MARK: Endings

    /// A batch is stored, or given up.
    mutating func end(_ queued: Queued) {
        let batch = queued.batch
        queuedBytes -= batch.cost
        queuedEvents -= batch.events
        done(1, epoch: queued.epoch)
        if let segment = queued.segment { book.ended(segment) }
    }

    mutating func done(_ batches: Int, epoch: UInt32) {
        guard let left = pending[epoch] else { return }
        pending[epoch] = left > batches ? left - batches : nil
    }

    /// Events are given up.
    mutating func lose(_ events: Int, _ reason: DropReason, epoch: UInt32) {
        counts.dropped[reason, default: 0] += events
        // Those that wait for what came before.
        let waiting = flushLosses.keys.filter { $0 >= epoch }
        for flush in waiting { flushLosses[flush, default: 0] += events }
        if waiting.isEmpty { untold += events }
    }

    mutating func listIdle(_ slot: Int) {
        guard let lane = lanes[slot], lane.isIdle, !lane.isListedIdle else { return }
        lanes[slot]?.isListedIdle = true
        idleSlots.append(slot)
    }

    /// Forgets lanes of which nothing came for long, a few at a time.
    mutating func forgetIdle(now: UInt64) {
        for _ in 0..<16 {
            guard let slot = idleSlots.first, let lane = lanes[slot] else { return }
            guard !lane.isIdle || lane.lastUsed + limits.idleLane < now || slots.count > PublishMachine.maximumLanes
            else { return }
            _ = idleSlots.popFirst()
            lanes[slot]?.isListedIdle = false
            // It is listed again when it is idle the next time.
            guard lane.isIdle, !lane.isReady, !lane.isListedOpen else { continue }
            slots[lane.key] = nil
            lanes[slot] = nil
            freeSlots.append(slot)
            last = nil
        }
    }

    /// Beyond it those without anything to send are forgotten earlier.
    private static let maximumLanes = 65_536

    // MARK: Flushing and closing

    /// - Returns: what to ask `isFlushed` about everything that was appended until now, and to hand to `endFlush`.
    package mutating func flush() -> UInt32 {
        for slot in openSlots { seal(slot) }
        flushLosses[epoch] = untold
        untold = 0
        defer { epoch += 1 }
        return epoch
    }

    package func isFlushed(_ epoch: UInt32) -> Bool { !pending.keys.contains { $0 <= epoch } }

    /// - Returns: whether the broker has stored everything that came before it: since the last flush nothing of that was given up.
    package mutating func endFlush(_ epoch: UInt32) -> Bool {
        let losses = flushLosses.removeValue(forKey: epoch) ?? 0
        return losses == 0 && isFlushed(epoch)
    }

    /// From now on nothing waits for more events.
    package mutating func close() { isClosing = true }

    /// Gives up what is in memory only; what is under way may arrive nevertheless.
    ///
    /// - Returns: how many events.
    package mutating func abandon() -> Int {
        for slot in openSlots { seal(slot) }
        var lost = unwritten.elements + writing
        unwritten = FIFO()
        writing = []
        for lane in lanes { lost += (lane?.queue.elements ?? []).filter { $0.segment == nil || $0.isEvicted } }
        for queued in lost { lose(queued.batch.events, .closed, epoch: queued.epoch) }
        return lost.reduce(0) { $0 + $1.batch.events }
    }
}
