import ATOF
import Stages
import Testing

@Suite("Snapshot coding")
struct SnapshotCodingTests {
    @Test("reads back what was written, in order")
    func roundTrip() throws {
        var writer = SnapshotWriter(version: 3)
        let numbers: [UInt64] = [0, 1, 127, 128, 300, 1 << 62, .max]
        for number in numbers { writer.write(number) }
        writer.write(TestEvents.uuid(5))
        writer.write([1, 2, 3] as [UInt8])
        writer.write([] as [UInt8])
        writer.write("täxt\0")
        writer.write(1)
        writer.write(EventReference(sequence: .max, index: .max))
        writer.write(String?.none) { $0.write($1) }
        writer.write("there") { $0.write($1) }
        var reader = try SnapshotReader(writer.bytes, version: 3)
        for number in numbers { #expect(try reader.readNumber() == number) }
        #expect(try reader.readUUID() == TestEvents.uuid(5))
        #expect(try reader.readBlob() == [1, 2, 3])
        #expect(try reader.readBlob() == [])
        #expect(try reader.readText() == "täxt\0")
        #expect(throws: SnapshotError.self) { try reader.end() }
        #expect(try reader.readCount() == 1)
        #expect(try reader.readReference() == EventReference(sequence: .max, index: .max))
        #expect(try reader.readOptional { reader throws(SnapshotError) in try reader.readText() } == nil)
        #expect(try reader.readOptional { reader throws(SnapshotError) in try reader.readText() } == "there")
        try reader.end()
    }

    @Test("refuses another version", arguments: [[], [1], [3, 1]] as [[UInt8]])
    func version(bytes: [UInt8]) {
        #expect(throws: SnapshotError.self) { try SnapshotReader(bytes, version: 2) }
    }

    @Test(
        "refuses numbers that are cut or beyond 64 bits",
        arguments: [
            [], [0x80], [UInt8](repeating: 0x80, count: 9), [UInt8](repeating: 0xFF, count: 9) + [2],
            [UInt8](repeating: 0xFF, count: 10) + [0], [UInt8](repeating: 0x80, count: 10_000),
        ] as [[UInt8]])
    func numbers(bytes: [UInt8]) throws {
        var reader = try SnapshotReader([1] + bytes, version: 1)
        #expect(throws: SnapshotError.self) { try reader.readNumber() }
    }

    @Test(
        "refuses lengths beyond the end",
        arguments: [
            [4, 1, 2, 3], [UInt8](repeating: 0xFF, count: 9) + [1], [UInt8](repeating: 0xFF, count: 8) + [0x7F],
        ])
    func lengths(bytes: [UInt8]) throws {
        var reader = try SnapshotReader([1] + bytes, version: 1)
        #expect(throws: SnapshotError.self) { try reader.readBlob() }
        reader = try SnapshotReader([1] + bytes, version: 1)
        #expect(throws: SnapshotError.self) { try reader.readUUID() }
    }

    @Test("never crashes on random bytes")
    func noise() throws {
        var random = TestRandom(seed: 3)
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            var reader = try SnapshotReader([1] + bytes, version: 1)
            for _ in 0..<10 {
                switch Int.random(in: 0..<5, using: &random) {
                case 0: _ = try? reader.readNumber()
                case 1: _ = try? reader.readCount()
                case 2: _ = try? reader.readUUID()
                case 3: _ = try? reader.readBlob()
                default: _ = try? reader.readText()
                }
            }
        }
    }
}
