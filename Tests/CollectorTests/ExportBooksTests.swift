import ATOF
import Collector
import OTLP
import Projections
import Stages
import Testing

/// An export task without a broker and a backend: events in, spans through the machine, checkpoints, crashes.
@Suite("Ledger of an export")
struct ExportBooksTests {
    /// What a crash leaves.
    private struct Checkpoint {
        var position: UInt64 = 0
        var projector: [UInt8]?
        var ledger: [UInt8]?
    }

    private struct Task {
        var projector: SpanProjector
        var books: ExportBooks
        var machine: ExportMachine
        var pending: ExportAction?
        var position: UInt64
        var snapshot: (position: UInt64, projector: [UInt8])?

        static var configuration: ProjectionConfiguration {
            var configuration = ProjectionConfiguration(
                projection: .full, maximumOpenSpans: 12, idle: 40, maximumAge: 90)
            configuration.earlyEndLinger = 30
            return configuration
        }

        init(_ checkpoint: Checkpoint) throws {
            var delivery = ExportMachine.Configuration()
            delivery.maxBatchItems = 4
            delivery.scheduledDelay = .zero
            projector = SpanProjector(configuration: Self.configuration)
            books = ExportBooks()
            if let bytes = checkpoint.projector {
                projector = try SpanProjector(configuration: Self.configuration, snapshot: bytes)
            }
            if let bytes = checkpoint.ledger { books = try ExportBooks(snapshot: bytes) }
            machine = ExportMachine(configuration: delivery, position: checkpoint.position)
            position = checkpoint.position
        }

        mutating func receive(_ packed: [UInt8]?, log: [[UInt8]?]) throws {
            position += 1
            var output = ProjectionOutput()
            let read: SpanProjector.Reader = { log[Int($0.sequence) - 1] }
            projector.advance(to: position, into: &output)
            while projector.hasLeaving { projector.leave(3, into: &output, read: read) }
            if let packed {
                let event = try EventBatch(unpacking: alone(packed)).event(at: 0)
                projector.receive(
                    event, at: EventReference(sequence: position, index: 0), of: "t", into: &output, read: read)
            }
            projector.enforceBounds(after: nil)
            while projector.hasLeaving { projector.leave(3, into: &output, read: read) }
            books.add(output, at: position)
            var items = output.spans.enumerated().map { ordinal, span in
                ExportItem(
                    bytes: SpanEncoder.encode(span.span), position: position, ordinal: ordinal,
                    share: ExportShare(tenant: span.run.tenant, root: span.run.uuid, events: span.events))
            }[...]
            act(machine.arrived(&items, now: .zero) + machine.advanced(through: position))
            #expect(items.isEmpty)
        }

        /// The backend answers: it refuses what is poisoned, always the same.
        mutating func answer() {
            switch pending {
            case .send(let items):
                pending = nil
                let isBad = items.contains { $0.bytes.reduce(0) { ($0 &* 31) &+ Int($1) } % 3 == 0 }
                let answer: ExportAnswer =
                    isBad ? .dataRefused(.init(status: 400, reason: "")) : .delivered(rejected: 0, message: "")
                act(machine.answered(answer, now: .zero, jitter: 0))
            case .deadLetter:
                pending = nil
                act(machine.deadLettered(now: .zero))
            default: act(machine.timePassed(now: .zero))
            }
            books.lose(machine.takeLosses())
        }

        private mutating func act(_ actions: [ExportAction]) {
            for action in actions {
                switch action {
                case .send, .deadLetter: pending = action
                case .confirmed, .report, .finished: break
                }
            }
        }

        mutating func takeSnapshot() {
            guard snapshot == nil else { return }
            books.takeSnapshot()
            snapshot = (position, projector.snapshot())
        }

        mutating func store(_ checkpoint: inout Checkpoint) {
            guard let (position, bytes) = snapshot, machine.confirmedPosition >= position else { return }
            checkpoint = Checkpoint(position: position, projector: bytes, ledger: books.sealed(at: position))
            snapshot = nil
        }
    }

    private static func log(seed: UInt64) throws -> [[UInt8]?] {
        var random = SeededRandom(state: seed)
        var log: [[UInt8]?] = []
        for number in 0..<300 as Range<UInt64> {
            if Int.random(in: 0..<15, using: &random) == 0 {
                log.append(nil)
                continue
            }
            // Scopes of its own for every 40 events, so that many end.
            let root = number / 40 * 100 + .random(in: 1...2, using: &random) * 10
            let scope = EventUUID(high: 1, low: root + .random(in: 0...6, using: &random))
            let kind = [Event.Kind.scopeStart, .scopeEnd, .mark].randomElement(using: &random) ?? .mark
            var fields = EventFields(
                kind: kind, uuid: kind == .mark ? EventUUID(high: 2, low: number) : scope,
                timestamp: EventTime(epochMicroseconds: Int64(number) * 1_000_000), name: "n\(number)")
            fields.category = "tool"
            fields.parentUUID = kind == .mark ? scope : EventUUID(high: 1, low: root)
            log.append(fields.packed())
        }
        // Long after everything else: nothing stays open.
        return log + [[UInt8]?](repeating: nil, count: 100)
    }

    private static func total(_ task: Task) -> LedgerCounts {
        task.books.current(confirmed: task.machine.confirmedPosition).total()
    }

    @Test(
        "is exact whenever the task dies and begins again at its checkpoint", arguments: 1...12 as ClosedRange<UInt64>)
    func crashes(seed: UInt64) throws {
        let log = try Self.log(seed: seed)
        var whole = try Task(Checkpoint())
        for packed in log {
            try whole.receive(packed, log: log)
            while whole.pending != nil { whole.answer() }
        }
        let expected = Self.total(whole)
        #expect(expected.pending == 0)
        #expect(expected[.rejected] > 0)
        #expect(expected[.delivered] > 0)
        #expect(expected[.notProjected] > 0)
        #expect(expected[.received] == UInt64(log.count { $0 != nil }))

        var random = SeededRandom(state: seed &+ 1000)
        var checkpoint = Checkpoint()
        var task = try Task(checkpoint)
        while task.position < log.count || task.pending != nil {
            switch Int.random(in: 0..<30, using: &random) {
            case 0:
                #expect(Self.total(task).pending >= 0)
                task = try Task(checkpoint)
            case 1..<12 where task.position < log.count && !task.machine.isFull:
                try task.receive(log[Int(task.position)], log: log)
            case 12..<14: task.takeSnapshot()
            case 14..<16: task.store(&checkpoint)
            default: task.answer()
            }
        }
        task.takeSnapshot()
        task.store(&checkpoint)
        task.takeSnapshot()
        task.store(&checkpoint)
        #expect(Self.total(task) == expected)
        #expect(try Ledger<EventUUID>(snapshot: checkpoint.ledger ?? []).total() == expected)
    }

    @Test("knows a rejection beyond the checkpoint, but does not store it with it")
    func rejectionBeyond() throws {
        var books = ExportBooks()
        let run = ScopeKey(tenant: "t", uuid: EventUUID(high: 0, low: 1))
        books.replay(run, at: 1)
        books.takeSnapshot()
        books.replay(run, at: 2)
        var machine = ExportMachine(configuration: .init())
        let share = ExportShare(tenant: "t", root: run.uuid)
        var items = [ExportItem(bytes: [], position: 2, share: share)][...]
        _ = machine.arrived(&items, now: .zero)
        _ = machine.flushRequested(now: .zero)
        _ = machine.answered(.delivered(rejected: 1, message: ""), now: .zero, jitter: 0)
        books.lose(machine.takeLosses())
        let sealed = try Ledger<EventUUID>(snapshot: books.sealed(at: 1)).total()
        #expect(sealed[.received] == 1 && sealed[.delivered] == 1 && sealed[.rejected] == 0 && sealed.pending == 0)
        let before = books.current(confirmed: 1).total()
        #expect(before[.received] == 2 && before.pending == 1)
        let after = books.current(confirmed: 2).total()
        #expect(after[.rejected] == 1 && after[.delivered] == 1 && after[.replayed] == 2 && after.pending == 0)
    }

    @Test("has events that cannot be read as dead letters")
    func refused() {
        var books = ExportBooks()
        books.refuse(2, tenant: "t", isReplay: false)
        books.refuse(1, tenant: "t", isReplay: true)
        let total = books.current(confirmed: 0).total(tenant: "t")
        #expect(total[.received] == 3 && total[.replayed] == 1 && total[.deadLettered] == 3 && total.pending == 0)
    }
}
