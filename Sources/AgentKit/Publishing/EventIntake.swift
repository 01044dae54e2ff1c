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

        var cost: Int { event.count + PublishMachine.eventCost }
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

    /// Somebody who waits for room. The entry is taken for it when there is some: who came first is not overtaken, whatever its size.
    private struct Waiter {
        let number: UInt64
        let entry: Entry
        let answer: @Sendable (Outcome) -> Void
    }

    fileprivate enum Outcome {
        case taken
        case closed
        case timedOut
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
        var isClosed = false
    }

    private enum Admission {
        case taken(wakes: Bool)
        case waits(wakes: Bool)
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
    private let nextWaiter = Atomic<UInt64>(0)
    private static let deadlines = DispatchQueue(label: "skein.agentkit.deadlines")

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
        let entry = Entry(event: event, key: key)
        switch admit(entry) {
        case .taken(let wakes): if wakes { wake.signal() }
        case .closed: turnAway(key, .closed)
        case .full, .waits:
            guard let patience else { return turnAway(key, .memoryFull) }
            switch blockUntilRoom(entry, until: uptime() + patience) {
            case .taken: break
            case .closed: turnAway(key, .closed)
            case .timedOut: turnAway(key, .timedOut)
            }
        }
    }

    /// The same, but waits without blocking the thread, and says why an event was not taken.
    func appendWaiting(_ event: [UInt8], key: EventUUID) async throws(PublisherError) {
        guard event.count <= eventLimit else {
            turnAway(key, .tooLarge)
            throw PublisherError(.tooLarge, "the event has \(event.count) bytes, the most is \(eventLimit)")
        }
        let entry = Entry(event: event, key: key)
        let outcome: Outcome
        switch admit(entry) {
        case .taken(let wakes):
            if wakes { wake.signal() }
            return
        case .closed: outcome = .closed
        case .full, .waits:
            if let patience {
                outcome = await waitForRoom(entry, until: uptime() + patience)
            } else {
                outcome = .timedOut
            }
        }
        switch outcome {
        case .taken: return
        case .closed:
            turnAway(key, .closed)
            throw PublisherError(.closed, "the publisher has ended")
        case .timedOut:
            turnAway(key, patience == nil ? .memoryFull : .timedOut)
            throw PublisherError(
                .timedOut, "there was no room for the event in time; raise memoryBytes, or give the publisher a spool")
        }
    }

    /// - Parameter waiting: who waits when there is no room.
    private func admit(_ entry: Entry, waiting: (number: UInt64, answer: @Sendable (Outcome) -> Void)? = nil)
        -> Admission
    {
        state.withLock { state in
            guard !state.isClosed else { return .closed }
            // Who waits is first.
            guard state.waiters.isEmpty, fits(state, entry) else {
                guard let waiting else { return .full }
                state.waiters.append(Waiter(number: waiting.number, entry: entry, answer: waiting.answer))
                guard case .awake = state.sleep else {
                    state.sleep = .awake
                    return .waits(wakes: true)
                }
                return .waits(wakes: false)
            }
            put(entry, into: &state)
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

    private func put(_ entry: Entry, into state: inout State) {
        if state.current.count == EventIntake.chunk {
            state.full.append(state.current)
            state.current = state.spares.popLast() ?? []
        }
        if state.current.capacity == 0 { state.current.reserveCapacity(EventIntake.chunk) }
        state.current.append(entry)
        state.bytes += entry.cost
        state.events += 1
        state.peakBytes = max(state.peakBytes, state.bytes + state.machineBytes)
    }

    private func fits(_ state: borrowing State, _ entry: Entry) -> Bool {
        state.bytes + state.machineBytes + entry.cost <= memoryBytes
            && state.events + state.machineEvents < memoryEvents
    }

    // MARK: Waiting

    private func blockUntilRoom(_ entry: Entry, until deadline: UInt64) -> Outcome {
        let answered = DispatchSemaphore(value: 0)
        let outcome = OutcomeBox()
        let number = nextWaiter.wrappingAdd(1, ordering: .relaxed).newValue
        enqueue(entry, number) {
            outcome.set($0)
            answered.signal()
        }
        if answered.wait(timeout: DispatchTime(uptimeNanoseconds: deadline)) == .timedOut {
            giveUp(number)
            answered.wait()
        }
        return outcome.value
    }

    private func waitForRoom(_ entry: Entry, until deadline: UInt64) async -> Outcome {
        let number = nextWaiter.wrappingAdd(1, ordering: .relaxed).newValue
        // Not the publisher's thread, which may not run yet.
        let timer = DispatchSource.makeTimerSource(queue: EventIntake.deadlines)
        timer.schedule(deadline: DispatchTime(uptimeNanoseconds: deadline))
        timer.setEventHandler { self.giveUp(number) }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            enqueue(entry, number) { continuation.resume(returning: $0) }
            timer.activate()
        }
    }

    /// - Parameter answer: called exactly once, perhaps before this returns.
    private func enqueue(_ entry: Entry, _ number: UInt64, answer: @escaping @Sendable (Outcome) -> Void) {
        switch admit(entry, waiting: (number, answer)) {
        case .taken(let wakes):
            if wakes { wake.signal() }
            answer(.taken)
        case .waits(let wakes): if wakes { wake.signal() }
        case .closed, .full: answer(.closed)
        }
    }

    private func giveUp(_ number: UInt64) {
        let waiter = state.withLock { state in
            state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
        }
        guard let waiter else { return }
        waiter.answer(.timedOut)
        // Those behind it may have room.
        admitWaiters()
    }

    private func admitWaiters() {
        let answered = state.withLock { takeWaiters(&$0) }
        for waiter in answered { waiter.answer(.taken) }
        if !answered.isEmpty { wake.signal() }
    }

    /// Takes the entries of those for whom there is room.
    private func takeWaiters(_ state: inout State) -> [Waiter] {
        var count = 0
        while count < state.waiters.count, fits(state, state.waiters[count].entry) {
            put(state.waiters[count].entry, into: &state)
            count += 1
        }
        defer { state.waiters.removeFirst(count) }
        return Array(state.waiters[..<count])
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
    /// Since the last `take`.
    var turnedAway: [DropReason: Int] {
        state.withLock { state in
            state.skips.reduce(into: state.uncounted) { $0[$1.key.reason, default: 0] += $1.value }
        }
    }

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

    /// Says what the machine holds now, gives back what chunks were taken in, and takes from callers who wait what there is room for.
    func settle(bytes: Int, events: Int, reuse chunks: consuming [[Entry]]) {
        for index in chunks.indices { chunks[index].removeAll(keepingCapacity: true) }
        let spares = chunks
        let (answered, outcome) = state.withLock { state in
            state.machineBytes = bytes
            state.machineEvents = events
            if state.spares.count < 8 { state.spares += spares.prefix(8) }
            guard !state.waiters.isEmpty else { return ([Waiter](), Outcome.taken) }
            guard state.isClosed else { return (takeWaiters(&state), .taken) }
            defer { state.waiters = [] }
            return (state.waiters, .closed)
        }
        for waiter in answered { waiter.answer(outcome) }
    }

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

/// Carries the answer to a thread that waits.
private final class OutcomeBox: Sendable {
    private let state = Mutex(EventIntake.Outcome.timedOut)

    var value: EventIntake.Outcome { state.withLock { $0 } }

    func set(_ outcome: EventIntake.Outcome) { state.withLock { $0 = outcome } }
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
