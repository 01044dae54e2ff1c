import OTLP
import Testing

@Suite("Export machine")
struct ExportMachineTests {
    private static func configuration(
        items: Int = 4, bytes: Int = 1 << 20, delay: Duration = .seconds(5), queue: Int = 16, queueBytes: Int = 1 << 20
    ) -> ExportMachine.Configuration {
        var configuration = ExportMachine.Configuration()
        configuration.maxBatchItems = items
        configuration.maxBatchBytes = bytes
        configuration.scheduledDelay = delay
        configuration.maxQueueItems = queue
        configuration.maxQueueBytes = queueBytes
        return configuration
    }

    private static let delivered = ExportAnswer.delivered(rejected: 0, message: "")
    private static let refusal = ExportRefusal(status: 400, reason: "bad span")

    // MARK: Batches

    struct Due: Sendable {
        var what: String
        var sizes: [Int]
        var at: Duration = .zero
        var sent: [Int]?
    }

    @Test(
        "sends a batch when it is full, too large, old, or when the queue takes no more",
        arguments: [
            Due(what: "nothing", sizes: [], at: .seconds(60), sent: nil),
            Due(what: "young", sizes: [1, 1, 1], at: .milliseconds(4999), sent: nil),
            Due(what: "old", sizes: [1, 1, 1], at: .seconds(5), sent: [1, 1, 1]),
            Due(what: "full", sizes: [1, 2, 3, 4], sent: [1, 2, 3, 4]),
            Due(what: "more than full", sizes: [1, 2, 3, 4, 5], sent: [1, 2, 3, 4]),
            // A field of 40 bytes takes 42.
            Due(what: "bytes just below", sizes: [40, 40, 13], sent: nil),
            Due(what: "bytes reached", sizes: [40, 40, 14], sent: [40, 40, 14]),
            Due(what: "bytes exceeded", sizes: [40, 40, 40], sent: [40, 40]),
            Due(what: "one item above the bound", sizes: [500, 1], sent: [500]),
        ])
    func batches(_ due: Due) {
        var machine = ExportMachine(configuration: Self.configuration(bytes: 100))
        var items = due.sizes.map { ExportItem(bytes: [UInt8](repeating: 0, count: $0), position: 1) }[...]
        var actions = machine.arrived(&items, now: .zero)
        if due.at > .zero { actions += machine.timePassed(now: due.at) }
        #expect(items.isEmpty)
        #expect(actions.compactMap(\.sentSizes) == (due.sent.map { [$0] } ?? []), "\(due.what)")
    }

    @Test("counts the delay from the oldest item that waits")
    func delay() {
        var machine = ExportMachine(configuration: Self.configuration())
        #expect(machine.deadline == nil)
        #expect(machine.arrive([1], now: .seconds(10)) == [])
        #expect(machine.arrive([2], now: .seconds(14)) == [])
        #expect(machine.deadline == .seconds(15))
        #expect(machine.timePassed(now: .seconds(15)) == [.send(items([1, 2]))])
        #expect(machine.deadline == nil)
        #expect(machine.arrive([3], now: .seconds(16)) == [])
        #expect(machine.answered(Self.delivered, now: .seconds(17), jitter: 0) == [])
        #expect(machine.deadline == .seconds(21))
    }

    @Test("has one request in flight, and the next batch grows meanwhile")
    func oneInFlight() {
        var machine = ExportMachine(configuration: Self.configuration(items: 2))
        #expect(machine.arrive([1, 2], now: .zero) == [.send(items([1, 2]))])
        #expect(machine.arrive([3, 4, 5], now: .zero) == [])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.send(items([3, 4]))])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [])
    }

    @Test("takes no more than its bounds, counts what is in flight, and sends when it takes no more")
    func bounds() {
        var machine = ExportMachine(configuration: Self.configuration(items: 8, queue: 3))
        var rest = items([1, 2, 3, 4, 5])[...]
        #expect(machine.arrived(&rest, now: .zero) == [.send(items([1, 2, 3]))])
        #expect(Array(rest) == items([4, 5]))
        #expect(machine.isFull)
        #expect(machine.statistics.queueItems == 3)
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [])
        #expect(!machine.isFull)

        machine = ExportMachine(configuration: Self.configuration(queueBytes: 100))
        rest = (1...3).map { ExportItem(bytes: [UInt8](repeating: 0, count: 60), position: $0) }[...]
        #expect(machine.arrived(&rest, now: .zero).compactMap(\.sentSizes) == [[60, 60]])
        #expect(machine.isFull)
        #expect(machine.statistics.queueBytes == 124)
        #expect(rest.count == 1)
    }

    // MARK: Positions

    @Test("confirms up to the first message with an item that has not left, and only what was said to be complete")
    func confirmation() {
        var machine = ExportMachine(configuration: Self.configuration(items: 2), position: 4)
        #expect(machine.confirmedPosition == 4)
        #expect(machine.arrive([7, 7, 9], now: .zero) == [.send(items([7, 7]))])
        #expect(machine.advanced(through: 5) == [.confirmed(5)])
        #expect(machine.advanced(through: 20) == [.confirmed(6)])
        #expect(machine.advanced(through: 3) == [])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.confirmed(8)])
        #expect(machine.timePassed(now: .seconds(5)) == [.send(items([9]))])
        #expect(machine.answered(Self.delivered, now: .seconds(5), jitter: 0) == [.confirmed(20)])
        #expect(machine.advanced(through: 30) == [.confirmed(30)])
    }

    @Test("does not confirm past a low position that comes after higher ones")
    func unorderedPositions() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        #expect(machine.arrive([8, 3, 5, 3], now: .zero) == [.send(items([8]))])
        #expect(machine.advanced(through: 10) == [.confirmed(2)])
        for next in [3, 5, 3] as [UInt64] {
            #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.send(items([next]))])
        }
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.confirmed(10)])
    }

    @Test("confirms nothing while an item of position 0 waits")
    func positionZero() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        #expect(machine.arrive([0], now: .zero) == [.send(items([0]))])
        #expect(machine.advanced(through: 2) == [])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.confirmed(2)])
    }

    // MARK: Failures

    @Test("repeats a request after growing, bounded waits, for ever")
    func backoff() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        var now = Duration.zero
        #expect(machine.arrive([1], now: now) == [.send(items([1]))])
        for seconds in [1, 2, 4, 8, 16, 30, 30] + Array(repeating: 30, count: 100) {
            let wait = Duration.seconds(seconds) * 0.75
            #expect(
                machine.answered(.unavailable(reason: "refused", retryAfter: nil), now: now, jitter: 0.5)
                    == [.report(.unavailable(reason: "refused", retryIn: wait))])
            #expect(machine.deadline == now + wait)
            #expect(machine.timePassed(now: now + wait - .nanoseconds(1)) == [])
            now += wait
            #expect(machine.timePassed(now: now) == [.send(items([1]))])
        }
        #expect(machine.statistics.consecutiveFailures == 107)
        #expect(machine.statistics.retries == 107)
        #expect(machine.statistics.lastError == "refused")
        #expect(machine.answered(Self.delivered, now: now, jitter: 0) == [.report(.recovered(failures: 107))])
        #expect(machine.statistics.consecutiveFailures == 0)
        #expect(machine.statistics.delivered == 1)
    }

    @Test("spreads the waits by the jitter", arguments: [(0.0, 500), (0.5, 750), (0.99, 995)])
    func jitter(_ jitter: Double, milliseconds: Int) {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        _ = machine.arrive([1], now: .zero)
        _ = machine.answered(.unavailable(reason: "", retryAfter: nil), now: .zero, jitter: jitter)
        #expect(machine.deadline == .milliseconds(milliseconds))
    }

    @Test("waits as long as the server asks, within bounds", arguments: [(0, 1), (7, 7), (60, 60), (1_000_000, 300)])
    func retryAfter(asked: Int, waited: Int) {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        _ = machine.arrive([1], now: .zero)
        _ = machine.answered(.unavailable(reason: "", retryAfter: .seconds(asked)), now: .zero, jitter: 0)
        #expect(machine.deadline == .seconds(waited))
    }

    @Test("keeps everything and says so when the endpoint refuses credentials or route")
    func endpointRefused() {
        var machine = ExportMachine(configuration: Self.configuration(items: 2))
        let refusal = ExportRefusal(status: 401, reason: "token expired")
        #expect(machine.arrive([1, 2], now: .zero) == [.send(items([1, 2]))])
        #expect(
            machine.answered(.endpointRefused(refusal, retryAfter: nil), now: .zero, jitter: 0)
                == [.report(.endpointRefused(refusal, retryIn: .milliseconds(500)))])
        #expect(machine.statistics.lastError == "status 401: token expired")
        #expect(machine.timePassed(now: .seconds(1)) == [.send(items([1, 2]))])
        #expect(machine.statistics.deadLettered == 0)
    }

    @Test("halves a refused batch until the bad item is alone, in order, and confirms after the dead letter")
    func bisection() {
        var machine = ExportMachine(configuration: Self.configuration(items: 4))
        let refused = ExportAnswer.dataRefused(Self.refusal)
        #expect(machine.arrive([1, 2, 3, 4], now: .zero) == [.send(items([1, 2, 3, 4]))])
        #expect(machine.advanced(through: 4) == [])
        #expect(machine.answered(refused, now: .zero, jitter: 0) == [.send(items([1, 2]))])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.confirmed(2), .send(items([3, 4]))])
        #expect(machine.answered(refused, now: .zero, jitter: 0) == [.send(items([3]))])
        #expect(machine.answered(refused, now: .zero, jitter: 0) == [.deadLetter(items([3])[0], Self.refusal)])
        #expect(machine.timePassed(now: .seconds(100)) == [])
        #expect(machine.deadLettered(now: .zero) == [.confirmed(3), .send(items([4]))])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.confirmed(4)])
        #expect(machine.statistics.delivered == 3)
        #expect(machine.statistics.deadLettered == 1)
        #expect(machine.statistics.requests == 5)
    }

    @Test("takes at most 18 more requests for one bad item among 512")
    func bisectionCost() {
        for bad in [1, 2, 256, 257, 511, 512] as [UInt64] {
            var machine = ExportMachine(configuration: Self.configuration(items: 512, queue: 2048))
            var actions = machine.arrive(Array(1...512), now: .zero)
            while let action = actions.popLast() {
                switch action {
                case .send(let batch):
                    let isBad = batch.contains { $0.position == bad }
                    actions = machine.answered(
                        isBad ? .dataRefused(Self.refusal) : Self.delivered, now: .zero, jitter: 0)
                case .deadLetter(let item, _):
                    #expect(item.position == bad)
                    actions = machine.deadLettered(now: .zero)
                case .confirmed, .report, .finished: break
                }
            }
            #expect(machine.statistics.requests == 19)
            #expect(machine.statistics.delivered == 511)
        }
    }

    @Test("keeps a half through a failure of the endpoint")
    func bisectionAndFailure() {
        var machine = ExportMachine(configuration: Self.configuration(items: 2))
        _ = machine.arrive([1, 2], now: .zero)
        #expect(machine.answered(.dataRefused(Self.refusal), now: .zero, jitter: 0) == [.send(items([1]))])
        _ = machine.answered(.unavailable(reason: "", retryAfter: nil), now: .zero, jitter: 0)
        #expect(machine.timePassed(now: .seconds(1)) == [.send(items([1]))])
        #expect(
            machine.answered(Self.delivered, now: .seconds(1), jitter: 0)
                == [.report(.recovered(failures: 1)), .send(items([2]))])
    }

    @Test("asks again to keep a dead letter that could not be kept")
    func deadLetterFails() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        let letter = ExportAction.deadLetter(items([1])[0], Self.refusal)
        _ = machine.arrive([1], now: .zero)
        #expect(machine.advanced(through: 1) == [])
        #expect(machine.answered(.dataRefused(Self.refusal), now: .zero, jitter: 0) == [letter])
        #expect(
            machine.deadLetterFailed(reason: "no bus", now: .zero, jitter: 0)
                == [.report(.deadLetterFailed(reason: "no bus", retryIn: .milliseconds(500)))])
        #expect(machine.timePassed(now: .milliseconds(499)) == [])
        #expect(machine.timePassed(now: .milliseconds(500)) == [letter])
        #expect(machine.confirmedPosition == 0)
        #expect(machine.deadLettered(now: .seconds(1)) == [.report(.recovered(failures: 1)), .confirmed(1)])
    }

    // MARK: Successes that are not quite

    @Test("counts what a partial success rejected and does not send it again")
    func partialSuccess() {
        var machine = ExportMachine(configuration: Self.configuration(items: 2))
        _ = machine.arrive([1, 2], now: .zero)
        _ = machine.advanced(through: 2)
        #expect(
            machine.answered(.delivered(rejected: 1, message: "too old"), now: .zero, jitter: 0)
                == [.report(.itemsRejected(count: 1, message: "too old")), .confirmed(2)])
        #expect(machine.statistics.rejected == 1)
        #expect(machine.statistics.delivered == 1)
        #expect(machine.statistics.queueItems == 0)
    }

    @Test("believes no more rejections than it sent items, and passes on a warning")
    func partialSuccessOddities() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        _ = machine.arrive([1], now: .zero)
        #expect(
            machine.answered(.delivered(rejected: .max, message: ""), now: .zero, jitter: 0)
                == [.report(.itemsRejected(count: 1, message: ""))])
        _ = machine.arrive([2], now: .zero)
        #expect(
            machine.answered(.delivered(rejected: 0, message: "slow down"), now: .zero, jitter: 0)
                == [.report(.itemsRejected(count: 0, message: "slow down"))])
        #expect(machine.statistics.rejected == 1)
    }

    @Test("counts a success with an unreadable body as a delivery and says so")
    func unreadable() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        _ = machine.arrive([1], now: .zero)
        #expect(machine.answered(.deliveredUnreadable, now: .zero, jitter: 0) == [.report(.answerUnreadable)])
        #expect(machine.statistics.delivered == 1)
        #expect(machine.statistics.unreadableAnswers == 1)
    }

    // MARK: Flush and stop

    @Test("a flush sends what is there in as many batches as it takes, and no later items")
    func flush() {
        var machine = ExportMachine(configuration: Self.configuration(items: 2, queue: 16))
        #expect(machine.flushRequested(now: .zero) == [])
        #expect(machine.arrive([1], now: .zero) == [])
        #expect(machine.flushRequested(now: .zero) == [.send(items([1]))])
        #expect(machine.arrive([2], now: .zero) == [])
        #expect(machine.flushRequested(now: .zero) == [])
        #expect(machine.arrivedItems == 2)
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [.send(items([2]))])
        #expect(machine.arrive([3], now: .zero) == [])
        #expect(machine.answered(Self.delivered, now: .zero, jitter: 0) == [])
        #expect(machine.departedItems == 2)
    }

    @Test("a flush keeps the wait after a failure")
    func flushWhileBackingOff() {
        var machine = ExportMachine(configuration: Self.configuration(items: 1))
        _ = machine.arrive([1], now: .zero)
        _ = machine.answered(.unavailable(reason: "", retryAfter: nil), now: .zero, jitter: 0)
        #expect(machine.flushRequested(now: .zero) == [])
        #expect(machine.deadline == .milliseconds(500))
    }

    @Test("a stop sends what is there, takes nothing more, and finishes once")
    func stop() {
        var machine = ExportMachine(configuration: Self.configuration())
        #expect(machine.arrive([1], now: .zero) == [])
        #expect(machine.stopRequested(now: .zero) == [.send(items([1]))])
        var rest = items([2])[...]
        #expect(machine.arrived(&rest, now: .zero) == [])
        #expect(rest.count == 1)
        _ = machine.answered(.unavailable(reason: "", retryAfter: nil), now: .zero, jitter: 0)
        #expect(machine.timePassed(now: .seconds(1)) == [.send(items([1]))])
        #expect(
            machine.answered(Self.delivered, now: .seconds(1), jitter: 0)
                == [.report(.recovered(failures: 1)), .finished])
        #expect(machine.stopRequested(now: .seconds(2)) == [])
        #expect(machine.deadline == nil)
    }

    @Test("a stop with nothing queued finishes at once")
    func emptyStop() {
        var machine = ExportMachine(configuration: Self.configuration())
        #expect(machine.stopRequested(now: .zero) == [.finished])
    }

    private func items(_ positions: [UInt64]) -> [ExportItem] { positions.map(ExportItem.init(position:)) }
}

extension ExportItem {
    /// An item whose content names its position.
    init(position: UInt64) {
        self.init(bytes: Array("\(position)".utf8), position: position)
    }
}

extension ExportMachine {
    /// Queues items that are expected to fit.
    mutating func arrive(_ positions: [UInt64], now: Duration) -> [ExportAction] {
        var items = positions.map(ExportItem.init(position:))[...]
        let actions = arrived(&items, now: now)
        #expect(items.isEmpty)
        return actions
    }
}

extension ExportAction {
    /// The content sizes of a request.
    var sentSizes: [Int]? {
        if case .send(let items) = self { items.map(\.bytes.count) } else { nil }
    }
}
