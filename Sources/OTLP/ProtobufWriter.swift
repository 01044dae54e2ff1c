internal import ATOF

/// Writes protobuf fields into memory whose size was computed before.
///
/// OTLP nests messages four deep, each behind its length. The lengths are added up first (`ProtobufSize`), then
/// everything is written in one go, so no message is built on its own.
struct ProtobufWriter {
    private var next: UnsafeMutablePointer<UInt8>

    init(_ start: UnsafeMutablePointer<UInt8>) { next = start }

    /// The bytes that `body` writes, which are `size` in number.
    static func bytes(_ size: Int, _ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
        guard size > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            var writer = ProtobufWriter(start)
            body(&writer)
            precondition(writer.next == start + size, "The computed size of a message is not what was written")
            count = size
        }
    }

    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            next.pointee = UInt8(truncatingIfNeeded: value) | 0x80
            next += 1
            value >>= 7
        }
        next.pointee = UInt8(value)
        next += 1
    }

    mutating func tag(_ field: Int, _ type: ProtobufSize.WireType) {
        varint(UInt64(field << 3 | type.rawValue))
    }

    /// The head of a nested message or text of `size` bytes.
    mutating func length(_ field: Int, _ size: Int) {
        tag(field, .length)
        varint(UInt64(size))
    }

    mutating func text(_ field: Int, _ text: String) {
        text.withBorrowedUTF8 { utf8 in
            length(field, utf8.count)
            if let base = utf8.baseAddress { next.update(from: base, count: utf8.count) }
            next += utf8.count
        }
    }

    mutating func fixed64(_ field: Int, _ value: UInt64) {
        tag(field, .fixed64)
        append(value.littleEndian)
    }

    /// Numbers of eight bytes in one field; nothing for none.
    mutating func packed(_ field: Int, _ values: [UInt64]) {
        if values.isEmpty { return }
        length(field, 8 * values.count)
        for value in values { append(value.littleEndian) }
    }

    mutating func fixed32(_ field: Int, _ value: UInt32) {
        tag(field, .fixed32)
        append(value.littleEndian)
    }

    /// An identifier of 8 bytes for each word, most significant byte first.
    mutating func identifier(_ field: Int, _ words: UInt64...) {
        length(field, 8 * words.count)
        for word in words { append(word.bigEndian) }
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        UnsafeMutableRawPointer(next).storeBytes(of: value, as: type(of: value))
        next += MemoryLayout.size(ofValue: value)
    }
}

/// Sizes of protobuf fields on the wire.
enum ProtobufSize {
    enum WireType: Int {
        case varint = 0
        case fixed64 = 1
        case length = 2
        case fixed32 = 5
    }

    static func varint(_ value: UInt64) -> Int {
        max(1, (70 - value.leadingZeroBitCount) / 7)
    }

    /// A field with its tag, length and `size` bytes. All our field numbers up to 15 have tags of one byte, 16 and
    /// above two.
    static func nested(_ field: Int, _ size: Int) -> Int {
        tag(field) + varint(UInt64(size)) + size
    }

    static func text(_ field: Int, _ text: String) -> Int { nested(field, text.utf8.count) }

    static func tag(_ field: Int) -> Int { field < 16 ? 1 : 2 }
}
