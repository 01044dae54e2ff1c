import ATOF
import Stages
import Testing

@Suite("Producer table")
struct ProducerTableTests {
    struct Step: Sendable {
        let sequence: UInt64
        let count: Int
        var lost = 0
        var found = 0
        var producer = "p"
        var key = "k"
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [Step]
        let missing: UInt64

        init(_ name: String, _ steps: [Step], missing: UInt64) {
            testDescription = name
            self.steps = steps
            self.missing = missing
        }
    }

    private static let cases: [Case] = [
        Case("in order", [Step(sequence: 1, count: 3), Step(sequence: 4, count: 1)], missing: 0),
        Case("a gap", [Step(sequence: 1, count: 3), Step(sequence: 10, count: 1, lost: 6)], missing: 6),
        Case("the first are missing", [Step(sequence: 5, count: 1, lost: 4)], missing: 4),
        Case(
            "a late batch that fills the gap",
            [
                Step(sequence: 1, count: 3), Step(sequence: 7, count: 1, lost: 3),
                Step(sequence: 4, count: 3, found: 3), Step(sequence: 8, count: 1),
            ], missing: 0),
        Case(
            "late batches that fill it in pieces, one of them twice",
            [
                Step(sequence: 11, count: 1, lost: 10), Step(sequence: 4, count: 2, found: 2),
                Step(sequence: 4, count: 2), Step(sequence: 1, count: 20, found: 8),
            ], missing: 0),
        Case("a repeated batch", [Step(sequence: 1, count: 3), Step(sequence: 1, count: 3)], missing: 0),
        Case(
            "one that begins in what is known", [Step(sequence: 1, count: 3), Step(sequence: 3, count: 3)], missing: 0),
        Case("who does not count", [Step(sequence: 0, count: 3), Step(sequence: 0, count: 3)], missing: 0),
        Case("nobody", [Step(sequence: 5, count: 1, producer: "")], missing: 0),
        Case("no events", [Step(sequence: 5, count: 0)], missing: 0),
        Case(
            "a name that is too long", [Step(sequence: 5, count: 1, producer: String(repeating: "x", count: 257))],
            missing: 0),
        Case(
            "numbers that no producer has", [Step(sequence: .max, count: 3), Step(sequence: 1 << 61, count: 1)],
            missing: 0),
        Case(
            "two producers and two keys",
            [
                Step(sequence: 1, count: 3), Step(sequence: 2, count: 1, lost: 1, producer: "q"),
                Step(sequence: 3, count: 1, lost: 2, key: "l"), Step(sequence: 4, count: 1),
            ], missing: 3),
        Case(
            "more ranges than are known: what is not known stays missing",
            (1...4).map { Step(sequence: UInt64($0) * 2, count: 1, lost: 1) } + [Step(sequence: 1, count: 8, found: 3)],
            missing: 1),
    ]

    @Test("counts what never arrived, and takes back what arrives late", arguments: cases)
    func table(expected: Case) {
        var table = ProducerTable(rangeLimit: 3)
        for step in expected.steps {
            let change = table.observe(
                tenant: "t", key: step.key, producer: step.producer, sequence: step.sequence, count: step.count)
            #expect(change.lost == step.lost && change.found == step.found, "\(step)")
            #expect(change.isGap == (step.lost > 0))
        }
        #expect(table.missing == expected.missing)
        #expect(table.gaps.reduce(0) { $0 + $1.missing } == expected.missing)
    }

    @Test("forgets who was silent for longest, and then takes no number for a gap that it cannot know")
    func bound() {
        var table = ProducerTable(limit: 2)
        for name in ["a", "b", "a", "c"] {
            _ = table.observe(tenant: "t", key: "k", producer: name, sequence: name == "b" ? 3 : 1, count: 1)
        }
        #expect(table.missing == 0 && table.gaps.isEmpty)
        let change = table.observe(tenant: "t", key: "k", producer: "b", sequence: 9, count: 1)
        #expect(!change.isGap && change.lost == 0)
        _ = table.observe(tenant: "t", key: "k", producer: "b", sequence: 12, count: 1)
        #expect(table.gaps == [ProducerGap(tenant: "t", key: "k", producer: "b", missing: 2)])
    }

    @Test("goes on after a restore at any point as if there had been none", arguments: 1...10)
    func restore(seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        let steps = (0..<60).map { _ in
            Step(
                sequence: UInt64.random(in: 0...60, using: &random), count: Int.random(in: 1...4, using: &random),
                producer: "\(Int.random(in: 0...3, using: &random))")
        }
        func run(stop: Int?) throws -> ([ProducerTable.Change], [UInt8]) {
            var table = ProducerTable(limit: 3, rangeLimit: 2)
            var changes: [ProducerTable.Change] = []
            for (index, step) in steps.enumerated() {
                if index == stop {
                    table = try ProducerTable(limit: 3, rangeLimit: 2, snapshot: table.snapshot())
                }
                changes.append(
                    table.observe(
                        tenant: "t", key: "k", producer: step.producer, sequence: step.sequence, count: step.count))
            }
            return (changes, table.snapshot())
        }
        let whole = try run(stop: nil)
        for stop in steps.indices {
            let stopped = try run(stop: stop)
            #expect(stopped == whole, "stopped before \(stop)")
        }
    }

    @Test("refuses a damaged snapshot", arguments: [[], [2], [1, 0], [1, 0, 9], [1, 0, 0, 0]] as [[UInt8]])
    func damaged(bytes: [UInt8]) {
        #expect(throws: SnapshotError.self) { try ProducerTable(snapshot: bytes) }
    }
}
