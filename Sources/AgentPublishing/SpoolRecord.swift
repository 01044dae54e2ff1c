internal import ATOF

/// How a batch lies on disk: length and CRC-32C of the body, four bytes each, then the body. All numbers are little-endian.
///
/// The body: version (1 byte), key (16), sequence (8), events (4), tenant and producer (each its length in one byte, then text), batch.
package enum SpoolRecord {
    package enum Reading: Sendable, Equatable {
        /// - Parameter size: of the whole record.
        case record(SealedBatch, size: Int)
        /// The bytes end before the record does, which takes so many as far as is known.
        case incomplete(needed: Int)
        /// These bytes are no record.
        case damaged
    }

    package static let headerSize = 8
    /// What has to be read to know size and number of events.
    package static let prefixSize = headerSize + 29
    private static let version: UInt8 = 1
    private static let longestBody = 1 << 31

    package static func size(of batch: SealedBatch) -> Int {
        prefixSize + 2 + min(batch.tenant.utf8.count, 255) + min(batch.producer.utf8.count, 255) + batch.bytes.count
    }

    package static func append(_ batch: SealedBatch, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: [0, 0, 0, 0, 0, 0, 0, 0, version])
        append(batch.key.high, to: &bytes)
        append(batch.key.low, to: &bytes)
        append(batch.sequence, to: &bytes)
        append(UInt32(clamping: batch.events), to: &bytes)
        for text in [batch.tenant, batch.producer] {
            bytes.append(UInt8(min(text.utf8.count, 255)))
            bytes.append(contentsOf: text.utf8.prefix(255))
        }
        bytes.append(contentsOf: batch.bytes)
        let body = start + headerSize
        let (count, checksum) = bytes.withUnsafeBytes { all in
            (UInt32(all.count - body), CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[body...])))
        }
        bytes.withUnsafeMutableBytes { all in
            all.storeBytes(of: count.littleEndian, toByteOffset: start, as: UInt32.self)
            all.storeBytes(of: checksum.littleEndian, toByteOffset: start + 4, as: UInt32.self)
        }
    }

    /// Size and events of the record that begins there, without a look at its body; nil when that cannot be one.
    package static func peek(_ bytes: UnsafeRawBufferPointer) -> (size: Int, events: Int)? {
        guard bytes.count >= prefixSize else { return nil }
        let count = Int(number(bytes, 0, UInt32.self))
        guard count >= prefixSize - headerSize + 2, count < longestBody, bytes[headerSize] == version else {
            return nil
        }
        return (headerSize + count, Int(number(bytes, headerSize + 25, UInt32.self)))
    }

    /// What a record of any version says that it takes, with its length and checksum.
    package static func length(_ bytes: UnsafeRawBufferPointer) -> Int {
        headerSize + Int(number(bytes, 0, UInt32.self))
    }

    /// Whether the bytes are one whole record of another version: length, checksum and version are the same in all of them.
    package static func isOfOtherVersion(_ record: UnsafeRawBufferPointer) -> Bool {
        guard record.count > headerSize, record.count == length(record), record[headerSize] != version else {
            return false
        }
        return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[headerSize...]))
            == number(record, 4, UInt32.self)
    }

    package static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count >= prefixSize else { return .incomplete(needed: prefixSize) }
        guard let (size, events) = peek(bytes) else { return .damaged }
        guard bytes.count >= size else { return .incomplete(needed: size) }
        let body = UnsafeRawBufferPointer(rebasing: bytes[headerSize..<size])
        guard CRC32C.checksum(body) == number(bytes, 4, UInt32.self) else { return .damaged }
        var offset = 29
        var texts: [String] = []
        for _ in 0..<2 {
            guard offset < body.count, offset + 1 + Int(body[offset]) <= body.count else { return .damaged }
            let end = offset + 1 + Int(body[offset])
            texts.append(String(decoding: body[offset + 1..<end], as: UTF8.self))
            offset = end
        }
        let key = EventUUID(high: number(body, 1, UInt64.self), low: number(body, 9, UInt64.self))
        let batch = SealedBatch(
            tenant: texts[0], key: key, producer: texts[1], sequence: number(body, 17, UInt64.self), events: events,
            bytes: Array(body[offset...]))
        return .record(batch, size: size)
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func number<Number: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ type: Number.Type
    ) -> Number {
        Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
}
