internal import ATOF
internal import AgentPublishing

/// Cuts what a producer sent into messages, and into smaller ones when the broker takes no larger ones: a stream may take less than its
/// server. A pure state machine: one message is under way at a time.
package struct IngestBatch: Sendable {
    package enum Item: Sendable {
        /// A packed event.
        case event([UInt8])
        /// A line that is none: `process` makes it a dead letter, with its own bytes.
        case line([UInt8])

        package var bytes: [UInt8] {
            switch self {
            case .event(let bytes), .line(let bytes): bytes
            }
        }
    }

    /// A part of a body of events or a line, as `ChunkedMessage` cuts it.
    package struct Message: Sendable {
        package let body: [UInt8]
        package let isLine: Bool
        /// Whether the body needs an id of its own: not when the same one is sent again.
        package let isNew: Bool
        /// Of the part, from 0, and the bytes that it has at most.
        package let index: Int
        package let limit: Int
        /// Of a body in parts that begins again (`ChunkProgress`).
        package let attempt: String?
    }

    private struct Body {
        var bytes: [UInt8]
        var isLine: Bool
        /// The items in it.
        var count: Int
        /// Bytes of a part at most.
        var limit: Int
        var progress = ChunkProgress()
    }

    /// Parts are not cut smaller.
    package static let leastBytes = 1024
    /// Events that go together are at most so many bytes, however large a message may be.
    package static let joinedBytes = 512 << 10

    private let items: [Item]
    /// Of the next body.
    private var place = 0
    private var body: Body?
    /// Bytes of a message, as far as is known.
    package private(set) var limit: Int

    package init(_ items: [Item], limit: Int) {
        self.items = items
        self.limit = limit
    }

    /// The message to be sent, also again, of which `stored` or `refused` tells what became of it; nil when nothing is left.
    ///
    /// - Parameter now: nanoseconds.
    package mutating func next(now: UInt64) -> Message? {
        let isNew = body == nil
        guard var body = body ?? nextBody() else { return nil }
        body.progress.sending(now: now)
        self.body = body
        return Message(
            body: body.bytes, isLine: body.isLine, isNew: isNew, index: body.progress.index, limit: body.limit,
            attempt: body.progress.attempt)
    }

    /// The broker has the message.
    ///
    /// - Returns: how many of the items, in order, are stored with it.
    package mutating func stored(now: UInt64) -> Int {
        guard var body else { return 0 }
        body.progress.stored(now: now)
        self.body = body
        let count = ChunkedMessage.count(of: body.bytes.count, limit: body.limit)
        return body.progress.index == count ? end(body) : 0
    }

    /// The broker does not take the message, and will not take it later.
    ///
    /// - Returns: how many of the items, in order, are given up with it: none when they are cut smaller.
    package mutating func refused(isTooLarge: Bool) -> Int {
        guard let body else { return 0 }
        let sent = ChunkedMessage.part(body.progress.index, of: body.bytes.count, limit: body.limit).count
        // Of several events each may still fit, however small.
        let least = body.count > 1 ? 1 : IngestBatch.leastBytes
        guard isTooLarge, sent > least else { return end(body) }
        limit = max(least, min(limit, (sent + 1) / 2))
        self.body = nil
        return 0
    }

    private mutating func end(_ body: Body) -> Int {
        place += body.count
        self.body = nil
        return body.count
    }

    private func nextBody() -> Body? {
        guard place < items.count else { return nil }
        let partLimit = max(IngestBatch.leastBytes, limit)
        if case .line(let line) = items[place] { return Body(bytes: line, isLine: true, count: 1, limit: partLimit) }
        var writer = EventBatchWriter()
        for item in items[place...] {
            guard case .event(let packed) = item,
                writer.count == 0
                    || writer.bytes.count + packed.count <= min(limit, IngestBatch.joinedBytes)
            else { break }
            writer.append(packed: packed)
        }
        return Body(bytes: writer.bytes, isLine: false, count: writer.count, limit: partLimit)
    }
}
