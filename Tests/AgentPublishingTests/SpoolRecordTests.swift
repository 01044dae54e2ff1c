import ATOF
import Testing

@testable import AgentPublishing

@Suite("Spool record")
struct SpoolRecordTests {
    static func batch(_ sequence: UInt64 = 1, bytes: Int = 100) -> SealedBatch {
        SealedBatch(
            tenant: "acme", key: EventUUID(high: 1, low: 2), producer: "agent-0.1", sequence: sequence, events: 3,
            bytes: (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    }

    private static func reading(_ bytes: [UInt8]) -> SpoolRecord.Reading {
        bytes.withUnsafeBytes { SpoolRecord.read($0) }
    }

    @Test(
        "has the checksum of RFC 3720",
        arguments: [("123456789", 0xE306_9283), ("", 0), ("a", 0xC1D0_4330)] as [(String, UInt32)])
    func checksum(text: String, expected: UInt32) {
        #expect(Array(text.utf8).withUnsafeBytes { CRC32C.checksum($0) } == expected)
    }

    @Test("is read as it was written", arguments: [0, 1, 7, 8, 9, 100_000])
    func roundTrip(size: Int) {
        var bytes: [UInt8] = []
        let batch = Self.batch(bytes: size)
        SpoolRecord.append(batch, to: &bytes)
        #expect(bytes.count == SpoolRecord.size(of: batch))
        #expect(Self.reading(bytes) == .record(batch, size: bytes.count))
        #expect(bytes.withUnsafeBytes { SpoolRecord.peek($0)?.events } == 3)
    }

    @Test("that is cut anywhere is incomplete, one with any bit flipped is no record")
    func damage() {
        var bytes: [UInt8] = []
        SpoolRecord.append(Self.batch(), to: &bytes)
        for count in bytes.indices {
            switch Self.reading(Array(bytes[..<count])) {
            case .incomplete: break
            case let other: Issue.record("\(count) bytes are \(other)")
            }
        }
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            if case .record = Self.reading(flipped) { Issue.record("bit \(bit) is not noticed") }
        }
    }

    @Test("whose body is anything at all, with the right checksum, is read or damaged, and nothing worse")
    func anyBody() {
        var random = SeededRandom(state: 7)
        for _ in 0..<20_000 {
            var body = (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random)
            }
            if !body.isEmpty { body[0] = 1 }
            let checksum = body.withUnsafeBytes { CRC32C.checksum($0) }
            var bytes: [UInt8] = []
            for number in [UInt32(body.count), checksum] {
                withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
            }
            bytes += body
            if case .record(let batch, let size) = Self.reading(bytes) {
                #expect(size == bytes.count && batch.bytes.count <= body.count)
            }
        }
    }
}
