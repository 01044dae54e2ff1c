public import ATOF
internal import AgentEvents
internal import Synchronization

/// A managed model call that has started and not ended.
///
///     .modelExecutionIntercept("compress") { _, request, next in
///         let (short, saved) = compressed(request)
///         AgentRuntime.currentModelCall?.recordOptimization([
///             "producer": "compress", "kind": "input_compression", "applied": true,
///             "token_impact": ["saved": ["prompt_tokens": JSON(saved)], "quality": "estimated"],
///         ])
///         return try await next(short)
///     }
///
/// What is told of the call is published before its end, whichever task tells it, and the end comes once. It may be kept: once the call
/// has ended nothing is recorded any more.
public final class RunningModelCall: Sendable {
    typealias End = @Sendable (inout ModelCallMachine, EventTime) -> [EventFields]

    private struct State: Sendable {
        var machine: ModelCallMachine
        /// How many events are on their way out: the end follows them.
        var publishing = 0
        var isEnded = false
        /// The end that waits for them.
        var waiting: End?
    }

    let scope: AgentScope
    /// Of the call's start: it holds for all of the call, also when the scope has ended meanwhile.
    let registrations: [Registrations]
    /// The identity of the call, which its start and its end have.
    public let uuid: EventUUID
    /// As it was called with.
    public let name: String
    private let state: Mutex<State>

    init(_ machine: ModelCallMachine, scope: AgentScope, registrations: [Registrations]) {
        self.scope = scope
        self.registrations = registrations
        uuid = machine.call.uuid
        name = machine.call.name
        state = Mutex(State(machine: machine))
    }

    /// Tells what was saved in this call: published as a mark `nemo_relay.llm.optimization` at once, and part of `optimization_summary`
    /// at the call's end. For what is known before the call begins there is `ModelRequestOutcome.optimizations`.
    ///
    /// - Parameter contribution: an object with `producer`, `kind`, `applied` and, where they are known, `model_transition` and
    ///   `token_impact`. An `id` is added if there is none, and `sequence`.
    /// - Returns: whether it was taken: the call runs, it is an object of 16 KiB at the most, and not beyond the call's 64 contributions
    ///   and 256 KiB, those of the request intercepts included.
    @discardableResult
    public func recordOptimization(_ contribution: JSON) -> Bool {
        let now = scope.runtime.clock.now()
        var isTaken = false
        _ = note { machine in
            let events = machine.record([contribution], at: now, makeUUID: scope.makeUUID)
            isTaken = !events.isEmpty
            return events
        }
        return isTaken
    }

    // MARK: Events

    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// Publishes what the machine says of something that happened while the call runs.
    ///
    /// - Parameter change: under a lock.
    /// - Returns: false when the call has ended before; nothing has changed then.
    func note(_ change: (inout ModelCallMachine) -> [EventFields]) -> Bool {
        let events: [EventFields]? = state.withLock { state in
            if state.isEnded { return nil }
            state.publishing += 1
            return change(&state.machine)
        }
        guard let events else { return false }
        // Not under the lock: sanitizers and subscribers look at it.
        scope.publish(events, through: registrations)
        let end = state.withLock { state in
            state.publishing -= 1
            return state.publishing == 0 ? state.waiting.take() : nil
        }
        if let end { publish(end) }
        return true
    }

    /// Ends the call, behind everything that is on its way out.
    ///
    /// - Returns: false when it has ended before.
    @discardableResult
    func end(_ end: @escaping End) -> Bool {
        let (isFirst, waits) = state.withLock { state in
            if state.isEnded { return (false, false) }
            state.isEnded = true
            if state.publishing > 0 { state.waiting = end }
            return (true, state.publishing > 0)
        }
        if isFirst, !waits { publish(end) }
        return isFirst
    }

    /// Comes once: the machine does not change any more.
    private func publish(_ end: End) {
        var machine = state.withLock { $0.machine }
        scope.publish(end(&machine, scope.runtime.clock.now()), through: registrations)
    }
}
