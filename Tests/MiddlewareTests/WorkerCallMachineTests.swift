import Middleware
import Testing

@Suite("Calls of a worker")
struct WorkerCallMachineTests {
    private static func machine(inFlight: Int = 2, threshold: Int = 3) -> WorkerCallMachine {
        WorkerCallMachine(
            maximumInFlight: inFlight, deadline: .seconds(1),
            circuit: CircuitBreaker(threshold: threshold, pause: .seconds(5)))
    }

    @Test("sends as many as may be under way, and the next when one ends")
    func inFlight() {
        var machine = Self.machine()
        let first = machine.requested(1, at: .zero)
        let second = machine.requested(2, at: .milliseconds(100))
        let third = machine.requested(3, at: .milliseconds(200))
        #expect(first == [.send(1, until: .seconds(1))] && second == [.send(2, until: .milliseconds(1100))])
        #expect(third.isEmpty && machine.inFlightCount == 2 && machine.waitingCount == 1)
        let next = machine.ended(1, nil, at: .milliseconds(300))
        // The time it waited is a part of its deadline.
        #expect(next == [.send(3, until: .milliseconds(1200))])
    }

    @Test("refuses what has waited until its deadline, and what would wait behind too many")
    func waiting() {
        var machine = Self.machine(inFlight: 1)
        for id in 0..<9 { _ = machine.requested(UInt64(id), at: .zero) }
        let overloaded = machine.requested(9, at: .zero)
        #expect(overloaded == [.refuse(9, .overloaded)] && machine.deadline == .seconds(1))
        let withdrawn = machine.withdrawn(1, at: .zero)
        #expect(withdrawn.isEmpty)
        let late = machine.timePassed(.seconds(1))
        #expect(late == (2...8).map { .refuse($0, .deadline) } && machine.waitingCount == 0)
    }

    @Test(
        "opens its circuit after failures in a row, tries once after a pause, and closes on success",
        arguments: [WorkerFailure.deadline, .noResponders, .workerError, .wrongReply])
    func circuit(_ failure: WorkerFailure) {
        var machine = Self.machine()
        for id in 1...3 as ClosedRange<UInt64> {
            let actions = machine.requested(id, at: .zero)
            #expect(actions == [.send(id, until: .seconds(1))])
            _ = machine.ended(id, failure, at: .zero)
        }
        #expect(machine.isCircuitOpen)
        let refused = machine.requested(4, at: .milliseconds(4999))
        #expect(refused == [.refuse(4, .circuitOpen)])
        let probe = machine.requested(5, at: .seconds(5))
        let beside = machine.requested(6, at: .seconds(5))
        #expect(probe == [.send(5, until: .seconds(6))] && beside == [.refuse(6, .circuitOpen)])
        _ = machine.ended(5, failure, at: .seconds(6))
        let still = machine.requested(7, at: .seconds(10))
        #expect(still == [.refuse(7, .circuitOpen)])
        _ = machine.requested(8, at: .seconds(11))
        _ = machine.ended(8, nil, at: .seconds(11))
        #expect(!machine.isCircuitOpen)
    }

    @Test(
        "failures that are not in a row, or not the worker's, leave the circuit closed",
        arguments: [WorkerFailure.gone, .conflict, .configMismatch, .tooLarge, .disconnected])
    func noCircuit(_ failure: WorkerFailure) {
        var machine = Self.machine()
        for id in 0..<10 as Range<UInt64> {
            _ = machine.requested(id, at: .zero)
            _ = machine.ended(id, failure, at: .zero)
        }
        #expect(!machine.isCircuitOpen)
        for id in 10..<30 as Range<UInt64> {
            _ = machine.requested(id, at: .zero)
            _ = machine.ended(id, id % 3 == 0 ? nil : .deadline, at: .zero)
        }
        #expect(!machine.isCircuitOpen)
    }

    @Test("what waits when the circuit opens is refused at once")
    func waitingAtOpening() {
        var machine = Self.machine(inFlight: 1, threshold: 1)
        for id in 1...3 as ClosedRange<UInt64> { _ = machine.requested(id, at: .zero) }
        let actions = machine.ended(1, .deadline, at: .milliseconds(10))
        #expect(actions == [.refuse(2, .circuitOpen), .refuse(3, .circuitOpen)])
        #expect(machine.inFlightCount == 0 && machine.waitingCount == 0)
    }

    @Test("a probe that tells nothing is followed by another one")
    func abandonedProbe() {
        var machine = Self.machine(threshold: 1)
        _ = machine.requested(1, at: .zero)
        _ = machine.ended(1, .deadline, at: .zero)
        _ = machine.requested(2, at: .seconds(5))
        _ = machine.ended(2, .disconnected, at: .seconds(5))
        let next = machine.requested(3, at: .seconds(5))
        #expect(next == [.send(3, until: .seconds(6))])
    }

    @Test("a call that is withdrawn makes room for the next one")
    func withdrawn() {
        var machine = Self.machine(inFlight: 1)
        for id in 1...2 as ClosedRange<UInt64> { _ = machine.requested(id, at: .zero) }
        let actions = machine.withdrawn(1, at: .milliseconds(5))
        #expect(actions == [.send(2, until: .seconds(1))] && machine.inFlightCount == 1)
    }

    @Test("a new instance closes the circuit")
    func newInstance() {
        var machine = Self.machine(threshold: 1)
        _ = machine.requested(1, at: .zero)
        _ = machine.ended(1, .deadline, at: .zero)
        _ = machine.appeared(at: .seconds(1))
        let actions = machine.requested(2, at: .seconds(1))
        #expect(actions == [.send(2, until: .seconds(2))])
    }

    @Test("an end that nobody waits for changes nothing")
    func unknown() {
        var machine = Self.machine(threshold: 1)
        let actions = machine.ended(7, .deadline, at: .zero)
        #expect(actions.isEmpty && !machine.isCircuitOpen)
    }

    @Test("whatever comes, each call is sent or refused once, and never too many at once", arguments: 0..<50)
    func random(_ seed: Int) {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ bound: UInt64) -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state % bound
        }
        var machine = Self.machine(inFlight: 3)
        var (sent, refused, underWay): (Set<UInt64>, Set<UInt64>, [UInt64]) = ([], [], [])
        var now = Duration.zero
        var last: UInt64 = 0
        func note(_ actions: [WorkerCallMachine.Action]) {
            for action in actions {
                switch action {
                case .send(let id, let until):
                    #expect(sent.insert(id).inserted && !refused.contains(id) && until > now)
                    underWay.append(id)
                case .refuse(let id, _): #expect(refused.insert(id).inserted && !sent.contains(id))
                }
            }
            #expect(underWay.count <= 3 && machine.inFlightCount == underWay.count)
        }
        for _ in 0..<400 {
            now += .milliseconds(Int(next(120)))
            switch next(4) {
            case 0, 1:
                last += 1
                note(machine.requested(last, at: now))
            case 2 where !underWay.isEmpty:
                let id = underWay.remove(at: Int(next(UInt64(underWay.count))))
                note(machine.ended(id, next(3) == 0 ? .deadline : nil, at: now))
            default: note(machine.timePassed(now))
            }
        }
        while !underWay.isEmpty {
            let id = underWay.removeLast()
            note(machine.ended(id, nil, at: now))
        }
        note(machine.timePassed(now + .seconds(2)))
        #expect(sent.count + refused.count == Int(last))
    }

    @Test("nobody waits longer than he has time, and no call is longer under way than it may be")
    func askersTime() {
        var machine = Self.machine(inFlight: 1)
        let first = machine.requested(1, at: .zero, until: .milliseconds(400))
        let second = machine.requested(2, at: .zero, until: .milliseconds(300))
        let third = machine.requested(3, at: .zero, until: .seconds(9))
        #expect(first == [.send(1, until: .milliseconds(400))] && second.isEmpty && third.isEmpty)
        let late = machine.timePassed(.milliseconds(300))
        #expect(late == [.refuse(2, .deadline)])
        let next = machine.ended(1, nil, at: .milliseconds(350))
        #expect(next == [.send(3, until: .seconds(1))])
    }
}
