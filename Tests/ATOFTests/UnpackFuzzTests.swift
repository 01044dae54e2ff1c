import ATOF
import Fuzzing
import Testing

@Suite("Damaged batches")
struct UnpackFuzzTests {
    private static func batch() throws -> [UInt8] {
        var writer = EventBatchWriter()
        for line in try Recording.lines(of: Recording.recorded.prefix(6)) {
            writer.append(packed: try EventJSONDecoder.decode(line).packed())
        }
        writer.setProducer("producer", sequence: 17)
        return writer.bytes
    }

    /// Reads everything that can be read, and returns how many events could.
    private static func read(_ bytes: [UInt8]) -> Int {
        guard let batch = try? EventBatch(unpacking: bytes) else { return 0 }
        var readable = 0
        for index in 0..<batch.count {
            guard let event = try? batch.event(at: index) else { continue }
            readable += 1
            _ = (event.attributes, event.dataSchema, event.rootUUID, event.propagationRootUUID)
            // What is repaired needs no more repair, and its line is one that can be read.
            let repaired = event.repaired().flatMap { try? Wire.event($0) }
            #expect(repaired?.repaired() == nil)
            let line = EventJSONEncoder.line(repaired ?? event)
            #expect((try? EventJSONDecoder.decode(line)) != nil, "\(String(decoding: line, as: UTF8.self))")
        }
        return readable
    }

    @Test("with flipped bits give events or errors", arguments: 1...8)
    func flips(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let intact = try UnpackFuzzTests.batch()
        for _ in 0..<40 {
            var bytes = intact
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            _ = UnpackFuzzTests.read(bytes)
        }
    }

    @Test("that were cut give events or errors", arguments: 1...4)
    func cuts(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let intact = try UnpackFuzzTests.batch()
        for _ in 0..<60 {
            let length = Int.random(in: 0...intact.count, using: &random)
            _ = UnpackFuzzTests.read(Array(intact.prefix(length)))
            _ = UnpackFuzzTests.read(Array(intact.suffix(length)))
        }
    }

    @Test("inside of one event leave the others readable", arguments: 1...4)
    func oneEvent(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let packed = try Recording.lines(of: Recording.recorded.prefix(1)).map {
            try EventJSONDecoder.decode($0).packed()
        }
        for _ in 0..<200 {
            var events = packed
            let index = Int.random(in: events.indices, using: &random)
            let place = Int.random(in: events[index].indices, using: &random)
            events[index][place] = UInt8.random(in: 0...255, using: &random)
            #expect(UnpackFuzzTests.read(Wire.batch(events)) >= packed.count - 1)
        }
    }

    @Test("of random bytes give nothing that crashes")
    func noise() {
        var random = SeededGenerator(seed: 99)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = UnpackFuzzTests.read(bytes)
            _ = UnpackFuzzTests.read(Wire.batch([bytes]))
            _ = try? EventJSONDecoder.decode(bytes)
        }
    }

    @Test("as lines give events or errors", arguments: 1...4)
    func lines(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for line in try Recording.lines(of: Recording.recorded.prefix(10)) {
            var bytes = line
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let fields = try? EventJSONDecoder.decode(bytes) else { continue }
            #expect(UnpackFuzzTests.read(Wire.batch([fields.packed()])) == 1)
        }
    }
}
