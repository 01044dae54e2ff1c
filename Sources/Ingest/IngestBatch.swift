internal import ATOF

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

    /// A body of events or a line, or a part of one that is larger than a message.
    package struct Message: Sendable, Hashable {
        package let payload: [UInt8]
        package let isLine: Bool
        /// Counted from 1, which begins a body of its own, also when it was cut before.
        package let part: Int
        package let parts: Int
    }

    private struct Body {
        var bytes: [UInt8]
        var isLine: Bool
        /// The items in it.
        var count: Int
        /// Bytes of a part.
        var size: Int
        /// Parts that are stored.
        var stored = 0

        var parts: Int { max(1, (bytes.count + size - 1) / size) }
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

    /// The message to be sent, of which `stored` or `refused` tells what became of it; nil when nothing is left.
    package mutating func next() -> Message? {
        guard let body = body ?? nextBody() else { return nil }
        self.body = body
        let start = body.stored * body.size
        let payload = body.parts == 1 ? body.bytes : Array(body.bytes[start..<min(start + body.size, body.bytes.count)])
        return Message(payload: payload, isLine: body.isLine, part: body.stored + 1, parts: body.parts)
    }

    /// The broker has the message.
    ///
    /// - Returns: how many of the items, in order, are stored with it.
    package mutating func stored() -> Int {
        guard var body else { return 0 }
        body.stored += 1
        self.body = body
        return body.stored == body.parts ? end(body) : 0
    }

    /// The broker does not take the message, and will not take it later.
    ///
    /// - Returns: how many of the items, in order, are given up with it: none when they are cut smaller.
    package mutating func refused(isTooLarge: Bool) -> Int {
        guard let body else { return 0 }
        let sent = min(body.size, body.bytes.count - body.stored * body.size)
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
        let size = max(IngestBatch.leastBytes, limit)
        if case .line(let line) = items[place] { return Body(bytes: line, isLine: true, count: 1, size: size) }
        var writer = EventBatchWriter()
        for item in items[place...] {
            guard case .event(let packed) = item,
                writer.count == 0
                    || writer.bytes.count + packed.count <= min(limit, IngestBatch.joinedBytes)
            else { break }
            writer.append(packed: packed)
        }
        return Body(bytes: writer.bytes, isLine: false, count: writer.count, size: size)
    }
}
