import ATOF
import Stages
import Testing

@Suite("Partitioning")
struct PartitioningTests {
    // Fixed for good: another value would send the events of open runs elsewhere after an update.
    @Test(
        "gives every root the same partition in every version",
        arguments: [
            ("00000000-0000-0000-0000-000000000000", 1, 0), ("00000000-0000-0000-0000-000000000000", 8, 5),
            ("019b7711-9a74-7090-8d72-d297c1624d91", 8, 6), ("019b7711-9a74-7090-8d72-d297c1624d91", 7, 5),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", 8, 5), ("ffffffff-ffff-ffff-ffff-ffffffffffff", 1000, 133),
        ])
    func stable(root: String, count: Int, partition: Int) throws {
        let root = try #require(EventUUID(root))
        #expect(Partitioning(count: count).partition(ofRoot: root) == partition)
    }

    @Test("spreads roots that follow each other")
    func spread() {
        var counts = [Int](repeating: 0, count: 8)
        for number in 0..<8000 {
            counts[Partitioning(count: 8).partition(ofRoot: TestEvents.uuid(UInt64(number)))] += 1
        }
        #expect(counts.allSatisfy { (800...1200).contains($0) }, "\(counts)")
    }

    @Test("finds a key for a tick in every partition", arguments: [1, 2, 8, 12, 100, 1000])
    func tickKeys(count: Int) {
        let partitioning = Partitioning(count: count)
        for partition in 0..<count {
            let key = partitioning.tickKey(partition: partition)
            #expect(key.map { partitioning.partition(ofTenant: "_", key: $0) } == partition)
        }
    }
}
