import ATOF
import AgentPublishing
import Ingest
import Testing

@Suite("Messages of a producer's events")
struct IngestBatchTests {
    private static func event(_ number: UInt8, _ bytes: Int) throws -> IngestBatch.Item {
        let time = try #require(EventTime(rfc3339: "2026-01-01T00:00:00Z"))
        let uuid = try #require(EventUUID("0190f6a0-0000-7000-8000-0000000000\(10 + number)"))
        var fields = EventFields(kind: .mark, uuid: uuid, timestamp: time, name: "n")
        fields.data = Array("\"\(String(repeating: "x", count: bytes))\"".utf8)
        return .event(fields.packed())
    }

    /// Sends to a broker that takes messages of at most so many bytes.
    ///
    /// - Returns: of each item whether it is stored, and what was stored: parts, events, `line`.
    private static func send(_ items: [IngestBatch.Item], limit: Int, broker: Int) throws -> (String, [String], Int) {
        var batch = IngestBatch(items, limit: limit)
        var (fates, stored, half) = ("", [String](), [UInt8]())
        while let message = batch.next(now: 0) {
            let parts = ChunkedMessage.count(of: message.body.count, limit: message.limit)
            let part = message.body[
                ChunkedMessage.part(message.index, of: message.body.count, limit: message.limit)]
            guard part.count <= broker else {
                fates += String(repeating: "-", count: batch.refused(isTooLarge: true))
                continue
            }
            #expect(message.isNew == (message.index == 0))
            half = (message.index == 0 ? [] : half) + part
            let count = batch.stored(now: 0)
            fates += String(repeating: "+", count: count)
            guard message.index + 1 == parts else {
                #expect(count == 0)
                continue
            }
            let what = message.isLine ? "line" : "\(try EventBatch(unpacking: half).count)"
            stored.append(parts == 1 ? what : "\(what) in \(parts)")
        }
        return (fates, stored, batch.limit)
    }

    /// sizes of events, 0 for a line; what the server says, what the stream takes; fates, messages
    private static let cases: [(sizes: [Int], limit: Int, broker: Int, fates: String, stored: [String])] = [
        ([], 10_000, 10_000, "", []),
        ([10, 10, 0, 10], 10_000, 10_000, "++++", ["2", "line", "1"]),
        ([4000, 4000, 4000], 10_000, 10_000, "+++", ["2", "1"]),
        ([25_000, 10], 10_000, 10_000, "++", ["1 in 3", "1"]),
        // The stream takes less than the server.
        ([1000, 1000, 1000, 1000, 1000, 1000], 100_000, 3000, "++++++", ["1", "1", "1", "1", "1", "1"]),
        ([10, 25_000, 10], 100_000, 10_000, "+++", ["1", "1 in 4", "1"]),
        // Several events that fit one by one.
        ([300, 300, 300], 10_000, 500, "+++", ["1", "1", "1"]),
        // One that never fits takes nothing with it.
        ([10, 5000, 10, 0], 10_000, 800, "+-++", ["1", "1", "line"]),
        ([700, 10], 10_000, 600, "-+", ["1"]),
    ]

    @Test("are as large as the stream takes them, and what it never takes is given up alone", arguments: cases)
    func cut(_ sizes: [Int], _ limit: Int, _ broker: Int, _ fates: String, _ stored: [String]) throws {
        let items = try sizes.enumerated().map { number, size in
            size == 0 ? .line(Array("no event".utf8)) : try Self.event(UInt8(number), size)
        }
        let found = try Self.send(items, limit: limit, broker: broker)
        #expect(found.0 == fates)
        #expect(found.1 == stored)
        #expect(found.2 <= limit)
    }

    @Test("that are refused for another reason are not cut, and the next one follows")
    func otherReasons() throws {
        var batch = IngestBatch(
            [try Self.event(0, 10), try Self.event(1, 10), .line([0x78]), try Self.event(2, 10)], limit: 10_000)
        #expect(batch.next(now: 0)?.index == 0)
        #expect(batch.refused(isTooLarge: false) == 2)
        #expect(batch.next(now: 0)?.isLine == true)
        #expect(batch.stored(now: 0) == 1)
        #expect(batch.next(now: 0)?.isLine == false)
        #expect(batch.stored(now: 0) == 1)
        #expect(batch.next(now: 0) == nil)
        #expect(batch.limit == 10_000)
    }

    @Test("begin again when the broker was away for long between two parts, under other names and the same id")
    func late() throws {
        var batch = IngestBatch([try Self.event(0, 25_000)], limit: 10_000)
        let first = batch.next(now: 0)
        #expect(first?.isNew == true && first?.index == 0 && first?.attempt == nil)
        #expect(batch.stored(now: 1) == 0)
        #expect(batch.next(now: 2)?.index == 1)
        // The same one again, for the broker has not answered; then long after.
        #expect(batch.next(now: ChunkProgress.patience)?.index == 1)
        let again = batch.next(now: ChunkProgress.patience + 2)
        #expect(again?.isNew == false && again?.index == 0 && again?.attempt != nil)
    }
}
