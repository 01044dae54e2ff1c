/// Decides when the calls of one worker, or to one server, are sent: so many at once, none while its circuit is open, none after its deadline.
///
/// Pure and synchronous; `now` is the time since any fixed instant, never going back. Inputs are what happened and return what the shell
/// must do afterwards. A call is refused or sent exactly once.
package struct WorkerCallMachine: Sendable {
    package typealias CallID = UInt64

    package enum Action: Sendable, Hashable {
        /// Send it, and wait for its answer until then.
        case send(CallID, until: Duration)
        /// It is not sent.
        case refuse(CallID, WorkerFailure)
    }

    private struct Waiting: Sendable {
        let id: CallID
        let until: Duration
    }

    private let maximumInFlight: Int
    private let maximumWaiting: Int
    private let patience: Duration
    private var circuit: CircuitBreaker
    private var inFlight: Set<CallID> = []
    private var waiting: [Waiting] = []

    /// - Parameters:
    ///   - maximumInFlight: calls under way at once; eight times as many may wait.
    ///   - deadline: from the request to the answer.
    package init(maximumInFlight: Int, deadline: Duration, circuit: CircuitBreaker = CircuitBreaker()) {
        precondition(maximumInFlight > 0)
        self.maximumInFlight = maximumInFlight
        maximumWaiting = maximumInFlight * 8
        patience = deadline
        self.circuit = circuit
    }

    package var inFlightCount: Int { inFlight.count }
    package var waitingCount: Int { waiting.count }
    package var isCircuitOpen: Bool { circuit.isOpen }

    /// When `timePassed` has something to do. Calls under way have a time limit of the shell's own.
    package var deadline: Duration? { waiting.map(\.until).min() }

    /// - Parameter end: when whoever asks has no more time; the call's own time may be over earlier.
    package mutating func requested(_ id: CallID, at now: Duration, until end: Duration? = nil) -> [Action] {
        let until = end.map { min($0, now + patience) } ?? now + patience
        if inFlight.count < maximumInFlight {
            guard circuit.admits(at: now) else { return [.refuse(id, .circuitOpen)] }
            inFlight.insert(id)
            return [.send(id, until: until)]
        }
        if circuit.isOpen { return [.refuse(id, .circuitOpen)] }
        guard waiting.count < maximumWaiting else { return [.refuse(id, .overloaded)] }
        waiting.append(Waiting(id: id, until: until))
        return []
    }

    /// - Parameter failure: nil when the call was answered as it should be.
    package mutating func ended(_ id: CallID, _ failure: WorkerFailure?, at now: Duration) -> [Action] {
        guard inFlight.remove(id) != nil else { return [] }
        switch failure {
        case nil: circuit.succeeded()
        case .noResponders, .deadline, .workerError, .wrongReply: circuit.failed(at: now)
        // Says nothing about the worker.
        case .gone, .conflict, .configMismatch, .overloaded, .circuitOpen, .tooLarge, .disconnected:
            circuit.abandoned(at: now)
        }
        return advance(now)
    }

    /// Whoever asked is gone before it was told what becomes of the call.
    package mutating func withdrawn(_ id: CallID, at now: Duration) -> [Action] {
        waiting.removeAll { $0.id == id }
        return ended(id, .disconnected, at: now)
    }

    /// An instance came that was not there: what others did says nothing about it.
    package mutating func appeared(at now: Duration) -> [Action] {
        circuit.reset()
        return advance(now)
    }

    package mutating func timePassed(_ now: Duration) -> [Action] { advance(now) }

    private mutating func advance(_ now: Duration) -> [Action] {
        var actions = waiting.filter { $0.until <= now }.map { Action.refuse($0.id, .deadline) }
        waiting.removeAll { $0.until <= now }
        while inFlight.count < maximumInFlight, let next = waiting.first {
            guard circuit.admits(at: now) else {
                actions += waiting.map { .refuse($0.id, .circuitOpen) }
                waiting = []
                break
            }
            waiting.removeFirst()
            inFlight.insert(next.id)
            actions.append(.send(next.id, until: next.until))
        }
        return actions
    }
}
