import OTLP
import Testing

/// Runs the machine against a backend that answers at random and compares with books kept the simple way.
@Suite("Export machine, at random")
struct ExportMachineRandomTests {
    @Test(
        "loses nothing, keeps the order of first deliveries, and never confirms ahead of the truth",
        arguments: 1...300 as ClosedRange<UInt64>)
    func run(seed: UInt64) {
        var random = SplitMix(state: seed)
        var configuration = ExportMachine.Configuration()
        configuration.maxBatchItems = .random(in: 1...20, using: &random)
        configuration.maxBatchBytes = .random(in: 10...400, using: &random)
        configuration.maxQueueItems = .random(in: 1...60, using: &random)
        configuration.maxQueueBytes = .random(in: 50...2000, using: &random)
        let isSorted = Bool.random(using: &random)
        let lifetime: Duration? = seed % 3 == 0 ? .milliseconds(.random(in: 500...20_000, using: &random)) : nil
        var books = Books(poisoned: Double.random(in: 0...0.3, using: &random))
        var machine = ExportMachine(configuration: configuration)
        var now = Duration.zero
        var pending: ExportAction?
        var lastPosition: UInt64 = 0
        var rest: ArraySlice<ExportItem> = []
        var isFinished = false
        var steps = 0

        while !isFinished {
            steps += 1
            guard steps < 20_000 else {
                Issue.record("the machine does not finish")
                return
            }
            var actions: [ExportAction] = []
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3 where !machine.isStopping:
                if rest.isEmpty {
                    let group = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                        lastPosition + .random(in: 1...5, using: &random)
                    }
                    lastPosition += 5
                    for position in isSorted ? group.sorted() : group {
                        rest.append(books.newItem(position, size: .random(in: 0...60, using: &random), using: &random))
                    }
                }
                let before = Array(rest)
                actions = machine.arrived(&rest, now: now, expires: lifetime.map { now + $0 })
                books.arrived(before.dropLast(rest.count))
                if rest.isEmpty {
                    books.through = lastPosition
                    actions += machine.advanced(through: lastPosition)
                }
            case 3: actions = machine.flushRequested(now: now)
            case 4 where steps > 600: actions = machine.stopRequested(now: now)
            case 5:
                now += .milliseconds(.random(in: 0...3000, using: &random))
                actions = machine.timePassed(now: now)
            case 6:
                if let deadline = machine.deadline { now = max(now, deadline) }
                actions = machine.timePassed(now: now)
            default:
                guard let work = pending else { continue }
                pending = nil
                actions = books.perform(work, on: &machine, now: now, using: &random)
            }
            // Before anything is sent: what is sent now was behind what expired.
            books.lost(machine.takeLosses(), underWay: pending)
            for action in actions {
                switch action {
                case .send, .deadLetter:
                    #expect(pending == nil, "two things in flight")
                    pending = action
                case .confirmed(let position):
                    #expect(position > books.confirmed)
                    books.confirmed = position
                case .report: break
                case .finished: isFinished = true
                }
            }
            #expect(machine.confirmedPosition == books.confirmed)
            // What expired behind a request is confirmed after it.
            #expect(lifetime == nil ? books.confirmed == books.truth : books.confirmed <= books.truth)
            #expect(machine.statistics.queueItems == books.outstanding.count)
        }
        #expect(books.outstanding.isEmpty)
        #expect(books.confirmed == books.truth)
        #expect(books.left + books.expired == books.came || lifetime != nil)
        #expect(
            (books.left + books.expired).sorted { $0.lexicographicallyPrecedes($1) }
                == books.came.sorted { $0.lexicographicallyPrecedes($1) })
        let statistics = machine.statistics
        #expect(
            statistics.delivered + statistics.rejected + statistics.deadLettered == books.came.count
                - statistics.expired)
        #expect(statistics.expired == books.expired.count)
        #expect(books.rejections == statistics.rejected + statistics.deadLettered)
        #expect(statistics.deadLettered == books.letters)
        #expect(statistics.queueBytes == 0)
    }

    /// What came, what left, and what is poisoned, in plain lists.
    private struct Books {
        let poisoned: Double
        var names: UInt64 = 0
        var poison: Set<[UInt8]> = []
        var came: [[UInt8]] = []
        var left: [[UInt8]] = []
        var outstanding: [ExportItem] = []
        var through: UInt64 = 0
        var confirmed: UInt64 = 0
        var letters = 0
        var expired: [[UInt8]] = []
        var rejections = 0

        init(poisoned: Double) {
            self.poisoned = poisoned
        }

        var truth: UInt64 {
            min(through, (outstanding.map(\.position).min() ?? .max) - 1)
        }

        mutating func newItem(_ position: UInt64, size: Int, using random: inout SplitMix) -> ExportItem {
            names += 1
            let bytes = Array("\(names)".utf8) + [UInt8](repeating: 0, count: size)
            if Double.random(in: 0..<1, using: &random) < poisoned { poison.insert(bytes) }
            return ExportItem(bytes: bytes, position: position)
        }

        mutating func arrived(_ items: ArraySlice<ExportItem>) {
            came += items.map(\.bytes)
            outstanding += items
        }

        /// What expired is not what is under way.
        mutating func lost(_ losses: [ExportLoss], underWay: ExportAction?) {
            var flying = 0
            switch underWay {
            case .send(let items): flying = items.count
            case .deadLetter: flying = 1
            default: break
            }
            rejections += losses.count { $0.reason == .rejected }
            for loss in losses where loss.reason == .expired {
                guard let index = outstanding[flying...].firstIndex(where: { $0.position == loss.position }) else {
                    Issue.record("expired, and not waiting")
                    continue
                }
                expired.append(outstanding.remove(at: index).bytes)
            }
        }

        mutating func perform(
            _ work: ExportAction, on machine: inout ExportMachine, now: Duration, using random: inout SplitMix
        ) -> [ExportAction] {
            let jitter = Double.random(in: 0..<1, using: &random)
            let chance = Int.random(in: 0..<10, using: &random)
            switch work {
            case .send(let items):
                let refusal = ExportRefusal(status: 400, reason: "")
                if chance < 2 {
                    return machine.answered(.unavailable(reason: "", retryAfter: nil), now: now, jitter: jitter)
                }
                if chance == 2 {
                    return machine.answered(.endpointRefused(refusal, retryAfter: .zero), now: now, jitter: jitter)
                }
                if items.contains(where: { poison.contains($0.bytes) }) {
                    return machine.answered(.dataRefused(refusal), now: now, jitter: jitter)
                }
                leave(items)
                if chance == 3 { return machine.answered(.deliveredUnreadable, now: now, jitter: jitter) }
                return machine.answered(.delivered(rejected: chance / 8, message: ""), now: now, jitter: jitter)
            case .deadLetter(let item, _):
                #expect(poison.contains(item.bytes))
                if chance < 3 { return machine.deadLetterFailed(reason: "", now: now, jitter: jitter) }
                letters += 1
                leave([item])
                return machine.deadLettered(now: now)
            case .confirmed, .report, .finished:
                return []
            }
        }

        private mutating func leave(_ items: [ExportItem]) {
            #expect(Array(outstanding.prefix(items.count)) == items, "not in order, or twice")
            outstanding.removeFirst(min(items.count, outstanding.count))
            left += items.map(\.bytes)
        }
    }
}

/// A small generator with a seed, so that a failing run can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
