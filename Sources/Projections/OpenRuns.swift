internal import ATOF

/// The runs that have open spans, and when they are given up: by what the log says about time, never by a clock.
struct OpenRuns: Sendable {
    struct Run: Sendable {
        /// Counted up with every run: a lower one has been open for longer.
        let ordinal: UInt64
        /// Log time of its first open span and of its last event, nanoseconds since 1970.
        let since: UInt64
        var lastActivity: UInt64
        /// The latest time that a producer gave an event of the run.
        var lastEventTime: UInt64
        var spans: Set<EventUUID> = []
    }

    /// A run that is given up.
    struct Due: Sendable {
        let key: ScopeKey
        let run: Run
        let reason: AbandonReason
    }

    private struct Timer: Sendable {
        let time: UInt64
        let ordinal: UInt64
        let key: ScopeKey
    }

    private let idle: UInt64?
    private let maximumAge: UInt64?
    private var runs: [ScopeKey: Run] = [:]
    /// By age; slots of runs that are gone are skipped, and cleared away in bulk.
    private var order: [(ordinal: UInt64, key: ScopeKey)] = []
    private var head = 0
    /// A heap with one entry for each run, at or before the time when the run is due.
    private var timers: [Timer] = []
    private var nextOrdinal: UInt64 = 0

    init(idle: UInt64?, maximumAge: UInt64?) {
        self.idle = idle
        self.maximumAge = maximumAge
    }

    var count: Int { runs.count }

    var inOrder: [(key: ScopeKey, run: Run)] {
        order[head...].compactMap { slot in current(slot).map { (slot.key, $0) } }
    }

    func spanCount(of key: ScopeKey) -> Int { runs[key]?.spans.count ?? 0 }

    /// The open spans of the run.
    func spans(of key: ScopeKey) -> Set<EventUUID> { runs[key]?.spans ?? [] }

    // MARK: Events

    /// A span of the run was opened.
    mutating func opened(_ span: EventUUID, in key: ScopeKey, now: UInt64, eventTime: UInt64) {
        guard let index = runs.index(forKey: key) else {
            return insert(
                key, Run(ordinal: nextOrdinal, since: now, lastActivity: now, lastEventTime: eventTime, spans: [span]))
        }
        touch(index, now, eventTime)
        runs.values[index].spans.insert(span)
    }

    /// An event of the run came, if it is open.
    mutating func touched(_ key: ScopeKey, now: UInt64, eventTime: UInt64) {
        guard let index = runs.index(forKey: key) else { return }
        touch(index, now, eventTime)
    }

    private mutating func touch(_ index: Dictionary<ScopeKey, Run>.Index, _ now: UInt64, _ eventTime: UInt64) {
        runs.values[index].lastActivity = now
        runs.values[index].lastEventTime = max(runs.values[index].lastEventTime, eventTime)
    }

    /// A span of the run has ended; a run without spans is over.
    mutating func closed(_ span: EventUUID, in key: ScopeKey, now: UInt64, eventTime: UInt64) {
        guard let index = runs.index(forKey: key) else { return }
        touch(index, now, eventTime)
        runs.values[index].spans.remove(span)
        if runs.values[index].spans.isEmpty { runs.remove(at: index) }
    }

    /// Takes a run of a snapshot, without its spans.
    mutating func restore(_ key: ScopeKey, since: UInt64, lastActivity: UInt64, lastEventTime: UInt64) {
        insert(
            key, Run(ordinal: nextOrdinal, since: since, lastActivity: lastActivity, lastEventTime: lastEventTime))
    }

    /// Takes an open span of a snapshot; its run was restored before.
    mutating func restore(span: EventUUID, in key: ScopeKey) {
        guard let index = runs.index(forKey: key) else { return }
        runs.values[index].spans.insert(span)
    }

    private mutating func insert(_ key: ScopeKey, _ run: Run) {
        runs[key] = run
        nextOrdinal += 1
        order.append((run.ordinal, key))
        if let due = due(run) { push(Timer(time: due.time, ordinal: run.ordinal, key: key)) }
        if order.count > 2 * runs.count + 1024 {
            order = order[head...].filter { current($0) != nil }
            head = 0
        }
        if timers.count > 2 * runs.count + 1024 { rebuildTimers() }
    }

    // MARK: Giving up

    /// When the next run is due, if nothing comes.
    var deadline: UInt64? {
        mutating get {
            refreshTimers()
            return timers.first?.time
        }
    }

    /// Removes the runs that are due, those that are due for the longest time first.
    mutating func takeDue(at now: UInt64) -> [Due] {
        var found: [(time: UInt64, due: Due)] = []
        while let time = deadline, time <= now, let timer = pop(), let run = runs.removeValue(forKey: timer.key),
            let due = due(run)
        {
            found.append((due.time, Due(key: timer.key, run: run, reason: due.reason)))
        }
        // The heap has runs of the same time in no order of theirs.
        found.sort { ($0.time, $0.due.run.ordinal) < ($1.time, $1.due.run.ordinal) }
        return found.map(\.due)
    }

    /// Removes the run that is open for the longest time.
    mutating func takeOldest() -> Due? {
        while head < order.count {
            let slot = order[head]
            head += 1
            if let run = current(slot) {
                runs[slot.key] = nil
                return Due(key: slot.key, run: run, reason: .maximumOpen)
            }
        }
        return nil
    }

    /// Removes a run.
    mutating func take(_ key: ScopeKey) -> Due? {
        runs.removeValue(forKey: key).map { Due(key: key, run: $0, reason: .maximumOpen) }
    }

    private func due(_ run: Run) -> (time: UInt64, reason: AbandonReason)? {
        let idleAt = idle.map { run.lastActivity &+ $0 }
        let oldAt = maximumAge.map { run.since &+ $0 }
        switch (idleAt, oldAt) {
        case (nil, nil): return nil
        case (let idleAt?, nil): return (idleAt, .idle)
        case (nil, let oldAt?): return (oldAt, .maximumAge)
        case (let idleAt?, let oldAt?): return idleAt <= oldAt ? (idleAt, .idle) : (oldAt, .maximumAge)
        }
    }

    private func current(_ slot: (ordinal: UInt64, key: ScopeKey)) -> Run? {
        guard let run = runs[slot.key], run.ordinal == slot.ordinal else { return nil }
        return run
    }

    // MARK: Heap

    /// Brings the first timer up to date: its run may be over, or may have got events since.
    private mutating func refreshTimers() {
        while let first = timers.first {
            guard let run = current((first.ordinal, first.key)), let due = due(run) else {
                _ = pop()
                continue
            }
            if due.time == first.time { return }
            timers[0] = Timer(time: due.time, ordinal: first.ordinal, key: first.key)
            siftDown(0)
        }
    }

    private mutating func rebuildTimers() {
        timers = []
        for (key, run) in inOrder {
            if let due = due(run) { push(Timer(time: due.time, ordinal: run.ordinal, key: key)) }
        }
    }

    private mutating func push(_ timer: Timer) {
        timers.append(timer)
        var index = timers.count - 1
        while index > 0, timers[index].time < timers[(index - 1) / 2].time {
            timers.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func pop() -> Timer? {
        guard let last = timers.popLast() else { return nil }
        guard let first = timers.first else { return last }
        timers[0] = last
        siftDown(0)
        return first
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < timers.count {
                if timers[child].time < timers[least].time { least = child }
            }
            if least == index { return }
            timers.swapAt(index, least)
            index = least
        }
    }
}
