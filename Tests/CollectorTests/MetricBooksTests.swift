import ATOF
import OTLP
import Projections
import Stages
import Testing

@testable import Collector

/// An export task for metrics without a broker and a backend: measurements in, collections through the machine, checkpoints, crashes.
@Suite("Ledger of an export of metrics")
struct MetricBooksTests {
    private struct Task {
        var projector: MetricProjector
        var export: SimulatedExport
        /// Everything that was sent, by position and ordinal; the same must have the same bytes.
        var sent: [EventReference: [UInt8]]

        init(
            _ checkpoint: SimulatedExport.Checkpoint, _ configuration: MetricConfiguration,
            sent: [EventReference: [UInt8]] = [:]
        ) throws {
            export = try SimulatedExport(checkpoint, poison: 5)
            projector = MetricProjector(configuration: configuration)
            if let bytes = checkpoint.projector {
                projector = try MetricProjector(configuration: configuration, snapshot: bytes)
            }
            self.sent = sent
        }

        mutating func receive(_ packed: [UInt8]?) throws {
            export.advance()
            let position = export.position
            var output = MetricOutput()
            projector.advance(to: position, into: &output)
            if let packed {
                let event = try EventBatch(unpacking: alone(packed)).event(at: 0)
                projector.receive(event, of: "t\(position % 3)", into: &output)
            }
            export.books.add(output.events, at: position)
            var items: [ExportItem] = []
            for (ordinal, metric) in output.metrics.enumerated() {
                for share in metric.shares { export.books.emit(share.events, of: share.run, at: position) }
                let item = ExportItem(metric, at: position, ordinal: ordinal, resource: nil)
                let place = EventReference(sequence: position, index: ordinal)
                if let before = sent.updateValue(item.bytes, forKey: place) { #expect(before == item.bytes) }
                items.append(item)
            }
            export.accept(items)
        }

        mutating func takeSnapshot() { export.takeSnapshot(projector.snapshot()) }
    }

    private static func log(seed: UInt64) -> [[UInt8]?] {
        var random = SeededRandom(state: seed)
        var log: [[UInt8]?] = []
        for number in 0..<300 as Range<UInt64> {
            let run = EventUUID(high: 1, low: .random(in: 1...9, using: &random))
            var fields = EventFields(
                kind: .mark, uuid: run, timestamp: EventTime(epochMicroseconds: Int64(number)), name: "n")
            func measurement() -> String {
                let name = Int.random(in: 0..<4, using: &random)
                // Two of one name that differ in kind, now and then.
                let kind = Int.random(in: 0..<10, using: &random) == 0 ? "histogram" : "counter"
                let attribute = Int.random(in: 0..<5, using: &random)
                return
                    #"{"name":"n\#(name)","kind":"\#(kind)","value_type":"u64","value":1,"attributes":{"a":\#(attribute)}}"#
            }
            switch Int.random(in: 0..<6, using: &random) {
            case 0: log.append(nil)
            case 1: log.append(fields.packed())
            default:
                fields.dataSchema = .init(name: "nemo.relay.metric_measurements", version: "1")
                fields.data = Array(#"{"measurements":[\#(measurement()),\#(measurement())]}"#.utf8)
                log.append(fields.packed())
            }
        }
        // An interval at least: nothing waits for a collection.
        return log + [[UInt8]?](repeating: nil, count: 20)
    }

    @Test(
        "is exact whenever the task dies and begins again at its checkpoint, and collections are repeated as they were",
        arguments: 1...8 as ClosedRange<UInt64>, MetricConfiguration.Temporality.allCases)
    func crashes(_ seed: UInt64, _ temporality: MetricConfiguration.Temporality) throws {
        var configuration = MetricConfiguration(
            temporality: temporality, exportInterval: 7, maximumInstruments: 3, cardinalityLimit: 3)
        configuration.maximumTenants = 2
        let log = Self.log(seed: seed)
        var whole = try Task(SimulatedExport.Checkpoint(), configuration)
        for packed in log {
            try whole.receive(packed)
            while whole.export.pending != nil { whole.export.answer() }
        }
        let expected = whole.export.total
        #expect(expected.pending == 0 && expected[.received] == UInt64(log.count { $0 != nil }))
        for field in [LedgerCounts.Field.rejected, .delivered, .notProjected] { #expect(expected[field] > 0) }

        var random = SeededRandom(state: seed &+ 1000)
        var checkpoint = SimulatedExport.Checkpoint()
        var task = try Task(checkpoint, configuration)
        while task.export.position < log.count || task.export.pending != nil {
            switch Int.random(in: 0..<30, using: &random) {
            case 0: task = try Task(checkpoint, configuration, sent: task.sent)
            case 1..<12 where task.export.position < log.count: try task.receive(log[Int(task.export.position)])
            case 12..<14: task.takeSnapshot()
            case 14..<16: task.export.store(&checkpoint)
            default: task.export.answer()
            }
        }
        #expect(task.export.total == expected)
        #expect(task.sent == whole.sent)
    }
}
