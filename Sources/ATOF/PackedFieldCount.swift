/// Counts the fields of a packed batch and of the events in it, before protobuf-c takes memory for each.
///
/// A field of two bytes costs protobuf-c up to a hundred. What is not protobuf ends the count: protobuf-c ends there too.
struct PackedFieldCount {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    /// - Returns: a number above `limit` when there are more fields; they are not counted further.
    static func ofBatch(_ bytes: UnsafeBufferPointer<UInt8>, limit: Int) -> Int {
        var batch = PackedFieldCount(bytes)
        var count = 0
        while count <= limit, let field = batch.next() {
            count += 1
            guard field.number == 1, let content = field.content else { continue }
            var event = PackedFieldCount(content)
            while count <= limit, event.next() != nil { count += 1 }
        }
        return count
    }

    /// Counts the fields of a message, not those of messages in it.
    ///
    /// - Returns: a number above `limit` when there are more fields; they are not counted further.
    static func ofMessage(_ bytes: UnsafeBufferPointer<UInt8>, limit: Int) -> Int {
        var message = PackedFieldCount(bytes)
        var count = 0
        while count <= limit, message.next() != nil { count += 1 }
        return count
    }

    /// Steps over a field; `content` is that of a length-delimited one.
    mutating func next() -> (number: UInt64, content: UnsafeBufferPointer<UInt8>?)? {
        guard let tag = varint() else { return nil }
        switch tag & 7 {
        case 0: return varint() == nil ? nil : (tag >> 3, nil)
        case 1: return skip(8) == nil ? nil : (tag >> 3, nil)
        case 2:
            guard let length = varint().flatMap(Int.init(exactly:)), let content = skip(length) else { return nil }
            return (tag >> 3, content)
        case 5: return skip(4) == nil ? nil : (tag >> 3, nil)
        default: return nil
        }
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while index < bytes.count, shift < 70 {
            let byte = bytes[index]
            index += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    private mutating func skip(_ count: Int) -> UnsafeBufferPointer<UInt8>? {
        guard count <= bytes.count - index else { return nil }
        defer { index += count }
        return UnsafeBufferPointer(rebasing: bytes[index..<index + count])
    }
}
