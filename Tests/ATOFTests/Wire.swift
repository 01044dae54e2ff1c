import ATOF

/// Packed protobuf by hand, so that tests can write what no encoder would.
enum Wire {
    static func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
    }

    static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { varint(field << 3) + varint(value) }

    static func bytes(_ field: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(UInt64(bytes.count)) + bytes
    }

    static func text(_ field: UInt64, _ text: String) -> [UInt8] { bytes(field, Array(text.utf8)) }

    static let uuid = [UInt8](repeating: 0xAB, count: 16)

    /// A mark with every required field.
    static let mark = number(1, 2) + bytes(3, uuid) + bytes(5, number(1, 10)) + text(6, "m")

    static func batch(_ events: [[UInt8]]) -> [UInt8] { events.flatMap { bytes(1, $0) } }

    static func event(_ packed: [UInt8]) throws -> Event { try EventBatch(unpacking: batch([packed])).event(at: 0) }
}
