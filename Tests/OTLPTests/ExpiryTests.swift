import ATOF
import OTLP
import Testing

@Suite("Export machine, maximum lag")
struct ExpiryTests {
    private static let delivered = ExportAnswer.delivered(rejected: 0, message: "")
    private static let down = ExportAnswer.unavailable(reason: "", retryAfter: nil)

    private static func machine(items: Int = 2, queue: Int = 16) -> ExportMachine {
        var configuration = ExportMachine.Configuration()
        configuration.maxBatchItems = items
        configuration.maxQueueItems = queue
        return ExportMachine(configuration: configuration)
    }

    private func items(_ positions: [UInt64]) -> [ExportItem] { positions.map(ExportItem.init(position:)) }

    private func arrive(
        _ machine: inout ExportMachine, _ positions: [UInt64], expires: Duration?, now: Duration = .zero
    ) -> [ExportAction] {
        var items = items(positions)[...]
        return machine.arrived(&items, now: now, expires: expires) + machine.advanced(through: positions.last ?? 0)
    }

    @Test("gives up what waits, and confirms it")
    func waiting() {
        var machine = Self.machine(items: 8)
        #expect(arrive(&machine, [1, 2], expires: .seconds(3)) == [])
        #expect(arrive(&machine, [3], expires: .seconds(4)) == [])
        #expect(machine.deadline == .seconds(3))
        #expect(machine.timePassed(now: .seconds(3)) == [.confirmed(2)])
        #expect(machine.takeLosses().map(\.position) == [1, 2])
        #expect(machine.takeLosses().isEmpty)
        #expect(machine.statistics.expired == 2 && machine.statistics.queueItems == 1)
        #expect(machine.timePassed(now: .seconds(4)) == [.confirmed(3)])
        #expect(machine.statistics.queueBytes == 0 && machine.deadline == nil)
    }

    @Test("keeps what is under way, and confirms what expired behind it afterwards", arguments: [true, false])
    func underWay(_ succeeds: Bool) {
        var machine = Self.machine()
        #expect(arrive(&machine, [1, 2], expires: .seconds(1)) == [.send(items([1, 2]))])
        #expect(arrive(&machine, [3], expires: .seconds(1)) == [])
        #expect(machine.deadline == .seconds(1))
        #expect(machine.timePassed(now: .seconds(1)) == [])
        #expect(machine.takeLosses().map(\.position) == [3] && machine.statistics.queueItems == 2)
        #expect(machine.deadline == nil)
        if succeeds {
            #expect(machine.answered(Self.delivered, now: .seconds(2), jitter: 0) == [.confirmed(3)])
            #expect(machine.takeLosses().isEmpty && machine.statistics.delivered == 2)
        } else {
            #expect(machine.answered(Self.down, now: .seconds(2), jitter: 0).count == 1)
            #expect(machine.timePassed(now: .seconds(2)) == [.confirmed(3)])
            #expect(machine.takeLosses().map(\.position) == [1, 2])
        }
        #expect(machine.statistics.queueItems == 0 && machine.departedItems == 3)
        #expect(arrive(&machine, [4, 5], expires: nil, now: .seconds(3)) == [.send(items([4, 5]))])
        let recovery: [ExportAction] = succeeds ? [] : [.report(.recovered(failures: 1))]
        #expect(machine.answered(Self.delivered, now: .seconds(4), jitter: 0) == recovery + [.confirmed(5)])
    }

    @Test("makes room for a producer that waits")
    func room() {
        var machine = Self.machine(items: 1, queue: 2)
        var rest = items([1, 2, 3])[...]
        #expect(machine.arrived(&rest, now: .zero, expires: .seconds(1)) == [.send(items([1]))])
        #expect(machine.isFull && rest.count == 1)
        _ = machine.timePassed(now: .seconds(1))
        #expect(!machine.isFull)
        // What comes too late already leaves at once.
        #expect(machine.arrived(&rest, now: .seconds(1), expires: .seconds(1)) == [])
        #expect(machine.takeLosses().map(\.position) == [2, 3] && rest.isEmpty)
    }

    @Test("gives up an item that is refused and whose dead letter cannot be kept, and nothing of the rest")
    func deadLetter() {
        var machine = Self.machine()
        let refusal = ExportRefusal(status: 400, reason: "")
        var rest = items([1])[...]
        #expect(machine.arrived(&rest, now: .zero, expires: .seconds(1)) == [])
        rest = items([2])[...]
        #expect(machine.arrived(&rest, now: .zero, expires: .seconds(9)) == [.send(items([1, 2]))])
        #expect(machine.answered(.dataRefused(refusal), now: .zero, jitter: 0) == [.send(items([1]))])
        #expect(machine.answered(.dataRefused(refusal), now: .zero, jitter: 0).count == 1)
        _ = machine.deadLetterFailed(reason: "", now: .zero, jitter: 1)
        #expect(machine.deadline == .seconds(1))
        #expect(machine.timePassed(now: .seconds(1)) == [.send(items([2]))])
        #expect(machine.takeLosses().map(\.reason) == [.expired])
    }

    @Test("says of every loss whose it was", arguments: [true, false])
    func rejections(_ isPartial: Bool) {
        var machine = Self.machine(items: 1)
        let share = ExportShare(tenant: "acme", root: EventUUID(high: 1, low: 2), events: 4)
        var rest = [ExportItem(bytes: [1], position: 7, share: share)][...]
        _ = machine.arrived(&rest, now: .zero)
        if isPartial {
            _ = machine.answered(.delivered(rejected: 1, message: ""), now: .zero, jitter: 0)
        } else {
            _ = machine.answered(.dataRefused(.init(status: 400, reason: "")), now: .zero, jitter: 0)
            #expect(machine.takeLosses().isEmpty)
            _ = machine.deadLettered(now: .zero)
        }
        let losses = machine.takeLosses()
        #expect(losses.map(\.share) == [share] && losses.map(\.position) == [7] && losses.map(\.reason) == [.rejected])
    }
}
