internal import ATOF
internal import AgentPublishing
internal import Dispatch
internal import Synchronization

/// Where events wait for the publishing thread. The caller's path: one lock, one entry; nothing is copied.
///
/// Bounded together with what the machine holds.
final class EventIntake: Sendable {
    struct Entry: Sendable {
        let event: [UInt8]
        let key: EventUUID
    }

    struct Skip: Hashable, Sendable {
        let key: EventUUID
        let reason: DropReason
    }

    /// What the thread takes over.
    struct Taken: Sendable {
        var chunks: [[Entry]] = []
        var skips: [Skip: Int] = [:]
        /// Turned away, of keys that were too many to be remembered.
        var uncounted: [DropReason: Int] = [:]
        var events = 0
    }

    private enum Sleep {
        /// Until something comes.
        case untilEvent
        /// For a delay, because something has come.
        case lingering
        case awake
    }

    private struct Waiter {
        let number: UInt64
        let deadline: UInt64
        let resume: @Sendable () -> Void
    }

    private struct State {
        var full: [[Entry]] = []
        var current: [Entry] = []
        var spares: [[Entry]] = []
        var bytes = 0
        var events = 0
        var machineBytes = 0
        var machineEvents = 0
        var peakBytes = 0
        var skips: [Skip: Int] = [:]
        var uncounted: [DropReason: Int] = [:]
        var sleep = Sleep.awake
        var waiters: [Waiter] = []
        var nextWaiter: UInt64 = 0
        var isClosed = false
    }

    private enum Admission {
        case taken(wakes: Bool)
        case full
        case closed
    }

    private static let chunk = 1024
    private static let skipLimit = 1024
    private let eventLimit: Int
    private let memoryBytes: Int
    private let memoryEvents: Int
    /// With so much the thread does not wait for the rest of the delay.
    private let wakeBytes: Int
    private let wakeEvents: Int
    /// Nanoseconds that a caller waits; nil when it does not.
    private let patience: UInt64?
    private let wake: DispatchSemaphore
    private let state = Mutex(State())

    init(_ configuration: PublisherConfiguration, wake: DispatchSemaphore) {
        eventLimit = configuration.eventLimit
        memoryBytes = configuration.limits.newBytes
        memoryEvents = configuration.memoryEvents
        wakeBytes = configuration.memoryBytes / 16
        wakeEvents = min(4096, configuration.memoryEvents / 8)
        if case .block(let longest) = configuration.whenFull {
            patience = longest.wholeNanoseconds
        } else {
            patience = nil
        }
        self.wake = wake
    }

    // MARK: The caller's path

    func append(_ event: [UInt8], key: EventUUID) {
        guard event.count <= eventLimit else { return turnAway(key, .tooLarge) }
        switch admit(event, key) {
        case .taken(let wakes): if wakes { wake.signal() }
        case .closed: turnAway(key, .closed)
        case .full:
            guard let patience else { return turnAway(key, .memoryFull) }
            wait(event, key, until: uptime() + patience)
        }
    }

    /// The same, but waits without blocking the thread, and says why an event was not taken.
    func appendWaiting(_ event: [UInt8], key: EventUUID) async throws(PublisherError) {
        guard event.count <= eventLimit else {
            turnAway(key, .tooLarge)
            throw PublisherError(.tooLarge, "the event has \(event.count) bytes, the most is \(eventLimit)")
        }
        let deadline = uptime() + (patience ?? 0)
        while true {
            switch admit(event, key) {
            case .taken(let wakes):
                if wakes { wake.signal() }
                return
            case .closed:
                turnAway(key, .closed)
                throw PublisherError(.closed, "the publisher has ended")
            case .full:
                guard uptime() < deadline else {
                    turnAway(key, patience == nil ? .memoryFull : .timedOut)
                    throw PublisherError(
                        .timedOut,
                        "there was no room for the event in time; raise memoryBytes, or give the publisher a spool")
                }
                await withCheckedContinuation { continuation in
                    if !addWaiter(event.count, deadline, { continuation.resume() }) { continuation.resume() }
                }
            }
        }
    }

    private func admit(_ event: [UInt8], _ key: EventUUID) -> Admission {
        state.withLock { state in
            guard !state.isClosed else { return .closed }
            let cost = event.count + PublishMachine.eventCost
            guard fits(state, cost) else { return .full }
            if state.current.count == EventIntake.chunk {
                state.full.append(state.current)
                state.current = state.spares.popLast() ?? []
            }
            if state.current.capacity == 0 { state.current.reserveCapacity(EventIntake.chunk) }
            state.current.append(Entry(event: event, key: key))
            state.bytes += cost
            state.events += 1
            state.peakBytes = max(state.peakBytes, state.bytes + state.machineBytes)
            switch state.sleep {
            case .awake: return .taken(wakes: false)
            case .untilEvent:
                state.sleep = .lingering
                return .taken(wakes: true)
            case .lingering:
                guard state.bytes > wakeBytes || state.events >= wakeEvents else { return .taken(wakes: false) }
                state.sleep = .awake
                return .taken(wakes: true)
            }
        }
    }

    private func fits(_ state: borrowing State, _ cost: Int) -> Bool {
        state.bytes + state.machineBytes + cost <= memoryBytes && state.events + state.machineEvents < memoryEvents
    }

    private func wait(_ event: [UInt8], _ key: EventUUID, until deadline: UInt64) {
        while true {
            let room = DispatchSemaphore(value: 0)
            if addWaiter(event.count, deadline, { room.signal() }) {
                _ = room.wait(timeout: DispatchTime(uptimeNanoseconds: deadline))
            }
            switch admit(event, key) {
            case .taken(let wakes):
                if wakes { wake.signal() }
                return
            case .closed: return turnAway(key, .closed)
            case .full: if uptime() >= deadline { return turnAway(key, .timedOut) }
            }
        }
    }

    /// - Returns: false when there is room already.
    private func addWaiter(_ size: Int, _ deadline: UInt64, _ resume: @escaping @Sendable () -> Void) -> Bool {
        let isAdded = state.withLock { state in
            guard !state.isClosed, !fits(state, size + PublishMachine.eventCost) else { return false }
            state.nextWaiter += 1
            state.waiters.append(Waiter(number: state.nextWaiter, deadline: deadline, resume: resume))
            state.sleep = .awake
            return true
        }
        if isAdded { wake.signal() }
        return isAdded
    }

    private func turnAway(_ key: EventUUID, _ reason: DropReason) {
        let wakes = state.withLock { state in
            let skip = Skip(key: key, reason: reason)
            if state.skips[skip] != nil || state.skips.count < EventIntake.skipLimit {
                state.skips[skip, default: 0] += 1
            } else {
                state.uncounted[reason, default: 0] += 1
            }
            guard case .untilEvent = state.sleep else { return false }
            state.sleep = .lingering
            return true
        }
        if wakes { wake.signal() }
    }

    // MARK: The thread

    var peakBytes: Int { state.withLock { $0.peakBytes } }
    var bytes: Int { state.withLock { $0.bytes + $0.machineBytes } }
    var events: Int { state.withLock { $0.events + $0.machineEvents } }

    /// Takes everything; it counts as the machine's from now on.
    func take(closing: Bool = false) -> Taken {
        state.withLock { state in
            if closing { state.isClosed = true }
            var taken = Taken()
            swap(&taken.chunks, &state.full)
            if !state.current.isEmpty {
                taken.chunks.append(state.current)
                state.current = state.spares.popLast() ?? []
            }
            swap(&taken.skips, &state.skips)
            swap(&taken.uncounted, &state.uncounted)
            taken.events = state.events
            state.machineBytes += state.bytes
            state.machineEvents += state.events
            state.bytes = 0
            state.events = 0
            state.sleep = .awake
            return taken
        }
    }

    /// Says what the machine holds now, gives back what chunks were taken in, and lets callers go on for whom there is room.
    func settle(bytes: Int, events: Int, now: UInt64, reuse chunks: consuming [[Entry]]) {
        for index in chunks.indices { chunks[index].removeAll(keepingCapacity: true) }
        let spares = chunks
        let resumed = state.withLock { state in
            state.machineBytes = bytes
            state.machineEvents = events
            if state.spares.count < 8 { state.spares += spares.prefix(8) }
            guard !state.waiters.isEmpty else { return [Waiter]() }
            if state.isClosed || fits(state, memoryBytes / 16) {
                defer { state.waiters = [] }
                return state.waiters
            }
            let late = state.waiters.filter { $0.deadline <= now }
            state.waiters.removeAll { $0.deadline <= now }
            return late
        }
        for waiter in resumed { waiter.resume() }
    }

    var hasWaiters: Bool { state.withLock { !$0.waiters.isEmpty } }

    /// From now on a caller wakes the thread.
    ///
    /// - Parameter looksAgain: the thread comes back by itself soon: the first event does not have to wake it, which takes the caller
    ///   longer than everything else.
    /// - Returns: whether there is something already.
    func prepareToSleep(looksAgain: Bool) -> Bool {
        state.withLock { state in
            let isEmpty = state.events == 0 && state.skips.isEmpty
            if state.bytes > wakeBytes || state.events >= wakeEvents {
                state.sleep = .awake
            } else {
                state.sleep = isEmpty && !looksAgain ? .untilEvent : .lingering
            }
            return !isEmpty
        }
    }

    /// Whether enough is there not to wait for more.
    var isPressing: Bool { state.withLock { $0.bytes > wakeBytes || $0.events >= wakeEvents } }
}

/// Nanoseconds of the system's monotonic clock.
func uptime() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

extension Duration {
    /// Of a duration that is not negative; very long ones are cut.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        return UInt64(min(seconds, 1 << 32)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
