internal import Middleware
internal import Synchronization

/// Lets so many calls to a worker or server through at once, and none while its circuit is open. The machine decides, this waits.
///
/// Somebody has to call `timePassed` while calls wait.
final class CallGate: Sendable {
    /// Leave to send a call.
    struct Pass: Sendable {
        fileprivate let id: WorkerCallMachine.CallID
        /// When its answer comes too late.
        let until: ContinuousClock.Instant
    }

    private struct State {
        var machine: WorkerCallMachine
        var waiters: [WorkerCallMachine.CallID: CheckedContinuation<Result<Pass, WorkerFailure>, Never>] = [:]
        var last: WorkerCallMachine.CallID = 0
    }

    private let start = ContinuousClock.now
    private let state: Mutex<State>

    init(_ machine: WorkerCallMachine) { state = Mutex(State(machine: machine)) }

    /// Time since the gate was made: what the machine counts in.
    private var now: Duration { ContinuousClock.now - start }

    /// What the machine shows.
    var figures: (inFlight: Int, waiting: Int, isCircuitOpen: Bool) {
        state.withLock { ($0.machine.inFlightCount, $0.machine.waitingCount, $0.machine.isCircuitOpen) }
    }

    /// Waits for leave to send; whoever has it calls `leave` at the end.
    ///
    /// - Parameter deadline: of whoever asks; a pass is good until then at the most.
    func enter(until deadline: ContinuousClock.Instant? = nil) async -> Result<Pass, WorkerFailure> {
        let end = deadline.map { $0 - start }
        let id = state.withLock { state in
            state.last += 1
            return state.last
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = now
                let actions = state.withLock { state in
                    state.waiters[id] = continuation
                    return state.machine.requested(id, at: now, until: end)
                }
                perform(actions)
                // The handler may have run before there was anything to withdraw.
                if Task.isCancelled { withdraw(id) }
            }
        } onCancel: {
            withdraw(id)
        }
    }

    /// - Parameter failure: nil when the call was answered as it should be.
    func leave(_ pass: Pass, _ failure: WorkerFailure?) {
        let now = now
        perform(state.withLock { $0.machine.ended(pass.id, failure, at: now) })
    }

    /// What failed before says nothing about what is there now.
    func appeared() {
        let now = now
        perform(state.withLock { $0.machine.appeared(at: now) })
    }

    func timePassed() {
        let now = now
        perform(state.withLock { $0.machine.timePassed(now) })
    }

    private func withdraw(_ id: WorkerCallMachine.CallID) {
        let now = now
        let (waiter, actions) = state.withLock { state in
            // Who has its pass already ends its call in the usual way.
            let waiter = state.waiters.removeValue(forKey: id)
            return (waiter, waiter == nil ? [] : state.machine.withdrawn(id, at: now))
        }
        waiter?.resume(returning: .failure(.disconnected))
        perform(actions)
    }

    private func perform(_ actions: [WorkerCallMachine.Action]) {
        for action in actions {
            switch action {
            case .send(let id, let until): admit(id, .success(Pass(id: id, until: start + until)))
            case .refuse(let id, let failure): admit(id, .failure(failure))
            }
        }
    }

    private func admit(_ id: WorkerCallMachine.CallID, _ result: Result<Pass, WorkerFailure>) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: result)
    }
}
