import Testing

@testable import NATSTransport

@Suite("Pull consumer machine")
struct PullConsumerMachineTests {
    typealias Action = PullConsumerMachine.Action
    typealias Status = PullConsumerMachine.Status

    static let configuration: PullConsumerConfiguration = {
        var configuration = PullConsumerConfiguration(
            stream: "S", namePrefix: "c", filterSubjects: [], startSequence: 10)
        configuration.minimumPull = 100
        configuration.maximumPull = 400
        configuration.window = 1_000
        configuration.heartbeat = .seconds(5)
        configuration.expires = .seconds(30)
        return configuration
    }()

    /// A machine that pulls in generation 1, with two pulls of 100 bytes outstanding at time 0.
    static func pulling() -> PullConsumerMachine {
        var machine = PullConsumerMachine(configuration)
        _ = machine.started()
        _ = machine.created(generation: 1, now: .zero)
        _ = machine.bytesGranted(100, now: .zero)
        _ = machine.bytesGranted(100, now: .zero)
        return machine
    }

    @Test("creates the first generation, then keeps two pulls outstanding")
    func start() {
        var machine = PullConsumerMachine(Self.configuration)
        #expect(machine.started() == [.create(generation: 1, startSequence: 10)])
        #expect(machine.created(generation: 1, now: .zero) == [.reserve(preferred: 100, guaranteed: 100)])
        #expect(
            machine.bytesGranted(100, now: .zero) == [
                .pull(id: 1, generation: 1, maxBytes: 100), .reserve(preferred: 100, guaranteed: 0),
            ])
        #expect(machine.bytesGranted(100, now: .zero) == [.pull(id: 2, generation: 1, maxBytes: 100)])
        #expect(machine.bytesGranted(100, now: .zero) == [.release(100)])
    }

    @Test("takes messages in order and turns reserved bytes into held ones")
    func messages() {
        var machine = Self.pulling()
        for sequence in 1...3 as ClosedRange<UInt64> {
            let (isNext, actions) = machine.messageReceived(
                generation: 1, streamSequence: 10 * sequence, consumerSequence: sequence, size: 30, now: .zero)
            #expect(isNext)
            #expect(actions.isEmpty)
        }
        #expect(machine.held == 90)
        #expect(machine.reserved == 110)
        #expect(machine.released(90, now: .zero) == [.release(90)])
    }

    @Test("leaves the generation on a gap and starts behind the last message")
    func gap() {
        var machine = Self.pulling()
        _ = machine.messageReceived(generation: 1, streamSequence: 17, consumerSequence: 1, size: 10, now: .zero)
        let (isNext, actions) = machine.messageReceived(
            generation: 1, streamSequence: 19, consumerSequence: 3, size: 10, now: .zero)
        #expect(!isNext)
        #expect(actions == [.release(190), .delete(generation: 1), .askOwner])
        #expect(machine.ownerAnswered(.goOn) == [.create(generation: 2, startSequence: 18)])
        let late = machine.messageReceived(
            generation: 1, streamSequence: 18, consumerSequence: 2, size: 10, now: .zero)
        #expect(!late.isNext && late.actions.isEmpty)
    }

    @Test("ends when the owner is fenced, and gives all bytes back")
    func fenced() {
        var machine = Self.pulling()
        _ = machine.messageReceived(generation: 1, streamSequence: 17, consumerSequence: 1, size: 10, now: .zero)
        _ = machine.connectionLost()
        #expect(machine.connectionRestored() == [.delete(generation: 1), .askOwner])
        let actions = machine.ownerAnswered(.fenced)
        #expect(actions.prefix(2) == [.delete(generation: 1), .release(10)])
        guard case .end(let error) = actions.last else {
            Issue.record("it did not end")
            return
        }
        #expect(error.code == .fenced)
        #expect(machine.reserved + machine.held == 0)
        #expect(machine.released(10, now: .zero).isEmpty)
    }

    @Test(
        "what a status does",
        arguments: [
            (Status(code: 100, description: "Idle Heartbeat", pendingBytes: nil), [Action]()),
            (
                Status(code: 408, description: "Request Timeout", pendingBytes: 100),
                [.release(100), .reserve(preferred: 100, guaranteed: 0)]
            ),
            (
                Status(code: 404, description: "No Messages", pendingBytes: nil),
                [.reserve(preferred: 100, guaranteed: 0)]
            ),
            (
                Status(code: 409, description: "Message Size Exceeds MaxBytes", pendingBytes: 40),
                [.release(40), .reserve(preferred: 200, guaranteed: 0)]
            ),
            (
                Status(code: 409, description: "Consumer Deleted", pendingBytes: nil),
                [.release(200), .delete(generation: 1), .askOwner]
            ),
            (
                Status(code: 409, description: "Leadership Change", pendingBytes: nil),
                [.release(200), .delete(generation: 1), .askOwner]
            ),
            (
                Status(code: 409, description: "Server Shutdown", pendingBytes: nil),
                [.release(200), .delete(generation: 1), .askOwner]
            ),
            (
                Status(code: 503, description: "", pendingBytes: nil),
                [.release(200), .delete(generation: 1), .askOwner]
            ),
        ])
    func statuses(status: Status, actions: [Action]) {
        var machine = Self.pulling()
        #expect(machine.statusReceived(pull: 1, status, now: .zero) == actions)
        #expect(machine.statusReceived(pull: 99, status, now: .zero).isEmpty)
    }

    @Test("asks for one message of any size when one is larger than a pull")
    func oversized() {
        var machine = Self.pulling()
        let status = Status(code: 409, description: "Message Size Exceeds MaxBytes", pendingBytes: 100)
        #expect(
            machine.statusReceived(pull: 1, status, now: .zero) == [
                .release(100), .reserve(preferred: 200, guaranteed: 0),
            ])
        #expect(machine.bytesGranted(200, now: .zero) == [.pull(id: 3, generation: 1, maxBytes: nil)])
        let (isNext, actions) = machine.messageReceived(
            generation: 1, streamSequence: 10, consumerSequence: 1, size: 5_000, now: .zero)
        #expect(isNext)
        #expect(actions == [.overdraw(4_700)])
        // Above its window it asks for no more before the owner gives something back.
        #expect(machine.released(5_000, now: .zero) == [.release(5_000), .reserve(preferred: 200, guaranteed: 100)])
    }

    @Test("makes the consumer anew after silence, but not while heartbeats come")
    func silence() {
        var machine = Self.pulling()
        #expect(machine.timeAdvanced(now: .seconds(12)).isEmpty)
        _ = machine.statusReceived(
            pull: 1, Status(code: 100, description: "", pendingBytes: nil), now: .seconds(12))
        #expect(machine.timeAdvanced(now: .seconds(24)).isEmpty)
        #expect(machine.timeAdvanced(now: .seconds(25)) == [.release(200), .delete(generation: 1), .askOwner])
    }

    @Test("forgets a pull whose end was not told")
    func lostStatus() {
        var machine = Self.pulling()
        let heartbeat = Status(code: 100, description: "", pendingBytes: nil)
        _ = machine.statusReceived(pull: 2, heartbeat, now: .seconds(36))
        #expect(
            machine.timeAdvanced(now: .seconds(36)) == [.release(200), .reserve(preferred: 100, guaranteed: 100)])
    }

    @Test("pauses longer and longer while making the consumer is refused, but not after a wait in vain")
    func failingCreation() {
        var machine = PullConsumerMachine(Self.configuration)
        _ = machine.started()
        let refused = NATSError(.unavailable, "")
        #expect(
            machine.creationFailed(generation: 1, refused, now: .zero) == [
                .release(0), .delete(generation: 1), .askOwner,
            ])
        _ = machine.ownerAnswered(.goOn)
        #expect(machine.creationFailed(generation: 2, refused, now: .zero) == [.release(0), .delete(generation: 2)])
        #expect(machine.timeAdvanced(now: .milliseconds(200)).isEmpty)
        #expect(machine.timeAdvanced(now: .milliseconds(250)) == [.askOwner])
        _ = machine.ownerAnswered(.goOn)
        _ = machine.creationFailed(generation: 3, refused, now: .zero)
        #expect(machine.timeAdvanced(now: .milliseconds(400)).isEmpty)
        #expect(machine.timeAdvanced(now: .milliseconds(500)) == [.askOwner])
        #expect(machine.ownerAnswered(.goOn) == [.create(generation: 4, startSequence: 10)])
        let timeout = NATSError(.timeout, "")
        for generation in 4...8 {
            #expect(
                machine.creationFailed(generation: generation, timeout, now: .seconds(1)) == [
                    .release(0), .delete(generation: generation), .askOwner,
                ])
            _ = machine.ownerAnswered(.goOn)
        }
    }

    @Test(
        "ends when the stream is gone or another one: at once if nothing was read, else when it was said four times",
        arguments: [NATSError.Code.notFound, .streamChanged])
    func lostStream(code: NATSError.Code) {
        let gone = NATSError(code, "")
        var first = PullConsumerMachine(Self.configuration)
        _ = first.started()
        #expect(
            first.creationFailed(generation: 1, gone, now: .zero) == [
                .delete(generation: 1), .release(0), .end(gone),
            ])

        var machine = Self.pulling()
        _ = machine.connectionLost()
        _ = machine.connectionRestored()
        for generation in 2...4 {
            #expect(machine.ownerAnswered(.goOn) == [.create(generation: generation, startSequence: 10)])
            _ = machine.creationFailed(generation: generation, gone, now: .zero)
            _ = machine.timeAdvanced(now: .seconds(1))
        }
        #expect(machine.ownerAnswered(.goOn) == [.create(generation: 5, startSequence: 10)])
        #expect(
            machine.creationFailed(generation: 5, gone, now: .zero) == [
                .delete(generation: 5), .release(0), .end(gone),
            ])
    }

    @Test("ends with the reason that its owner gives")
    func ownersReason() {
        var machine = Self.pulling()
        _ = machine.connectionLost()
        _ = machine.connectionRestored()
        let reason = NATSError(.streamChanged, "another one")
        #expect(machine.ownerAnswered(.fail(reason)) == [.delete(generation: 1), .release(0), .end(reason)])
    }

    @Test("asks again when it has nothing, even while a request for bytes waits")
    func starvation() {
        var machine = Self.pulling()
        let used = Status(code: 409, description: "Message Size Exceeds MaxBytes", pendingBytes: 0)
        _ = machine.messageReceived(generation: 1, streamSequence: 10, consumerSequence: 1, size: 200, now: .zero)
        #expect(machine.statusReceived(pull: 1, used, now: .zero) == [.reserve(preferred: 200, guaranteed: 0)])
        #expect(machine.statusReceived(pull: 2, used, now: .zero).isEmpty)
        #expect(machine.released(200, now: .zero) == [.release(200), .reserve(preferred: 200, guaranteed: 100)])
    }
}
