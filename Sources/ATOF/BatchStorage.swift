internal import CProtobufC
internal import CSkeinProto

/// The memory of one unpacked batch: the arena into which protobuf-c unpacked, and the C structures in it.
///
/// Safe because nothing changes after `unpack` returned, which happens before the storage is handed to anybody else.
final class BatchStorage: @unchecked Sendable {
    typealias CEvent = Skein__V1__Event

    private var blocks: [UnsafeMutableRawPointer] = []
    private var next: UnsafeMutableRawPointer
    private var left: Int
    private var batch: UnsafeMutablePointer<Skein__V1__PackedEventBatch>?
    private var events: [UnsafeMutablePointer<CEvent>?] = []

    /// - Parameter capacity: expected bytes of everything unpacked; more is taken when needed.
    private init(capacity: Int) {
        left = capacity
        next = BatchStorage.block(capacity)
        blocks.append(next)
    }

    /// Memory for so many bytes. There is room behind them, so that payloads are parsed where they are.
    private static func block(_ size: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer.allocate(byteCount: size + JSONDocument.padding, alignment: 16)
    }

    deinit {
        for block in blocks { block.deallocate() }
    }

    /// The most events of a batch. An empty event is 2 bytes packed and some hundred unpacked, and each may become a dead letter of
    /// its own: without a bound a small message would take a lot of memory.
    static let maximumCount = 65_536

    /// The most fields of a batch and its events together: that many events with every field, and some.
    static let maximumFields = 1 << 20

    /// - Throws: `EventError` when the bytes are no `EventBatch`, or too large a one.
    static func unpack(batch bytes: UnsafeBufferPointer<UInt8>) throws(EventError) -> BatchStorage {
        guard PackedFieldCount.ofBatch(bytes, limit: maximumFields) <= maximumFields else {
            throw EventError(.undecodable, "the batch has more than \(maximumFields) protobuf fields")
        }
        // Twice the payload (the packed events, then their fields), and the structures.
        let storage = BatchStorage(capacity: bytes.count * 2 + bytes.count / 4 + 1024)
        try storage.unpackBatch(bytes)
        return storage
    }

    private func unpackBatch(_ bytes: UnsafeBufferPointer<UInt8>) throws(EventError) {
        batch = withAllocator { skein__v1__packed_event_batch__unpack($0, bytes.count, bytes.baseAddress) }
        // Many a text reads as fields that the schema does not know: only those, and no event, is something else.
        guard let batch, batch.pointee.n_events > 0 || batch.pointee.base.n_unknown_fields == 0 else {
            throw EventError(.undecodable, "the \(bytes.count) bytes are not a packed skein.v1.EventBatch")
        }
        guard batch.pointee.n_events <= BatchStorage.maximumCount else {
            throw EventError(
                .undecodable, "the batch has \(batch.pointee.n_events) events, the most is \(BatchStorage.maximumCount)"
            )
        }
        events.reserveCapacity(batch.pointee.n_events)
        for index in 0..<batch.pointee.n_events {
            let packed = batch.pointee.events[index]
            events.append(withAllocator { skein__v1__event__unpack($0, packed.len, packed.data) })
        }
    }

    var count: Int { events.count }
    var producer: ProtobufCBinaryData { batch?.pointee.producer ?? ProtobufCBinaryData(len: 0, data: nil) }
    var sequence: UInt64 { batch?.pointee.sequence ?? 0 }

    func event(at index: Int) -> UnsafeMutablePointer<CEvent>? { events[index] }

    func packedEvent(at index: Int) -> BorrowedBytes {
        guard let batch else { return BorrowedBytes(storage: self, buffer: UnsafeBufferPointer(start: nil, count: 0)) }
        return borrowed(batch.pointee.events[index])
    }

    // MARK: Arena

    /// Runs a protobuf-c call with an allocator that takes from this arena and frees nothing.
    private func withAllocator<Result>(_ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> Result) -> Result {
        var allocator = ProtobufCAllocator(
            alloc: { context, size in
                guard let context else { return nil }
                return Unmanaged<BatchStorage>.fromOpaque(context).takeUnretainedValue().allocate(size)
            },
            free: { _, _ in },
            allocator_data: Unmanaged.passUnretained(self).toOpaque())
        return body(&allocator)
    }

    private func allocate(_ size: Int) -> UnsafeMutableRawPointer {
        let rounded = (size + 15) & ~15
        if rounded > left {
            left = max(rounded, 16384)
            next = BatchStorage.block(left)
            blocks.append(next)
        }
        defer {
            next += rounded
            left -= rounded
        }
        return next
    }

    // MARK: Fields

    func borrowed(_ data: ProtobufCBinaryData) -> BorrowedBytes {
        BorrowedBytes(storage: self, buffer: UnsafeBufferPointer(start: data.data, count: data.len))
    }

    /// Nil for an empty payload and for the text `null`.
    func json(_ data: ProtobufCBinaryData) -> RawJSON? {
        let bytes = borrowed(data)
        return bytes.count == 0 || JSONText.isNull(bytes.buffer) ? nil : RawJSON(bytes: bytes)
    }

    static func text(_ data: ProtobufCBinaryData) -> String {
        String(decoding: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self)
    }

    static func uuid(_ data: ProtobufCBinaryData) -> EventUUID? {
        guard data.len == 16, let bytes = data.data else { return nil }
        let raw = UnsafeRawPointer(bytes)
        return EventUUID(
            high: UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }
}
