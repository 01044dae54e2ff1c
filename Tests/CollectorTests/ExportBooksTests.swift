import ATOF
import Collector
import OTLP
import Projections
import Stages
import Testing

/// An export task without a broker and a backend: events in, spans through the machine, checkpoints, crashes.
@Suite("Ledger of an export")
struct ExportBooksTests {
    private struct Task {
        var projector: SpanProjector
        var export: SimulatedExport

        static var configuration: ProjectionConfiguration {
            var configuration = ProjectionConfiguration(
                projection: .full, maximumOpenSpans: 12, idle: 40, maximumAge: 90)
            configuration.earlyEndLinger = 30
            return configuration
        }

        init(_ checkpoint: SimulatedExport.Checkpoint) throws {
            export = try SimulatedExport(checkpoint, poison: 3)
            projector = SpanProjector(configuration: Self.configuration)
            if let bytes = checkpoint.projector {
                projector = try SpanProjector(configuration: Self.configuration, snapshot: bytes)
            }
        }

        mutating func receive(_ packed: [UInt8]?, log: [[UInt8]?]) throws {
            export.advance()
            let position = export.position
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
            export.books.add(output, at: position)
            export.accept(
                output.spans.enumerated().map { ordinal, span in
                    ExportItem(
                        bytes: SpanEncoder.encode(span.span), position: position, ordinal: ordinal,
                        share: ExportShare(tenant: span.run.tenant, root: span.run.uuid, events: span.events))
                })
        }

        mutating func takeSnapshot() { export.takeSnapshot(projector.snapshot()) }
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

    @Test(
        "is exact whenever the task dies and begins again at its checkpoint", arguments: 1...12 as ClosedRange<UInt64>)
    func crashes(seed: UInt64) throws {
        let log = try Self.log(seed: seed)
        var whole = try Task(SimulatedExport.Checkpoint())
        for packed in log {
            try whole.receive(packed, log: log)
            while whole.export.pending != nil { whole.export.answer() }
        }
        let expected = whole.export.total
        #expect(expected.pending == 0)
        #expect(expected[.rejected] > 0)
        #expect(expected[.delivered] > 0)
        #expect(expected[.notProjected] > 0)
        #expect(expected[.received] == UInt64(log.count { $0 != nil }))

        var random = SeededRandom(state: seed &+ 1000)
        var checkpoint = SimulatedExport.Checkpoint()
        var task = try Task(checkpoint)
        while task.export.position < log.count || task.export.pending != nil {
            switch Int.random(in: 0..<30, using: &random) {
            case 0:
                #expect(task.export.total.pending >= 0)
                task = try Task(checkpoint)
            case 1..<12 where task.export.position < log.count && !task.export.machine.isFull:
                try task.receive(log[Int(task.export.position)], log: log)
            case 12..<14: task.takeSnapshot()
            case 14..<16: task.export.store(&checkpoint)
            default: task.export.answer()
            }
        }
        task.takeSnapshot()
        task.export.store(&checkpoint)
        task.takeSnapshot()
        task.export.store(&checkpoint)
        #expect(task.export.total == expected)
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
