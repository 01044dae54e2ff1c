/// Appends fields of a packed protobuf message: messages are put together from packed ones without unpacking these.
extension [UInt8] {
    mutating func appendVarint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        append(UInt8(value))
    }

    /// A `uint32`, `uint64` or enumeration.
    mutating func appendField(_ number: UInt64, varint value: UInt64) {
        appendVarint(number << 3)
        appendVarint(value)
    }

    /// The tag and length of a `bytes` field or a message; the content follows.
    mutating func appendHeader(_ number: UInt64, count: Int) {
        appendVarint(number << 3 | 2)
        appendVarint(UInt64(count))
    }

    mutating func appendField(_ number: UInt64, uuid: EventUUID) {
        appendHeader(number, count: 16)
        append(uuid)
    }

    /// The 16 bytes of a UUID.
    mutating func append(_ uuid: EventUUID) {
        Swift.withUnsafeBytes(of: uuid.high.bigEndian) { append(contentsOf: $0) }
        Swift.withUnsafeBytes(of: uuid.low.bigEndian) { append(contentsOf: $0) }
    }

    mutating func appendField(_ number: UInt64, bytes: some Collection<UInt8>) {
        appendHeader(number, count: bytes.count)
        append(contentsOf: bytes)
    }
}
