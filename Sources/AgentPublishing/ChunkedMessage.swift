internal import Stages

/// One body for EVENTS, in as many messages as its size needs: the same body always makes the same messages, so that repeating one is
/// harmless.
package struct ChunkedMessage: Sendable {
    package let tenant: String
    /// Of the subject.
    package let key: String
    /// No other body of the tenant has it.
    package let id: String
    package let contentType: String
    package let bytes: [UInt8]

    package init(tenant: String, key: String, id: String, contentType: String, bytes: [UInt8]) {
        self.tenant = tenant
        self.key = key
        self.id = id
        self.contentType = contentType
        self.bytes = bytes
    }

    /// - Parameter limit: bytes of a payload.
    package func count(limit: Int) -> Int { ChunkedMessage.count(of: bytes.count, limit: limit) }

    /// How many messages a body of so many bytes needs.
    package static func count(of bytes: Int, limit: Int) -> Int { max(1, (bytes + limit - 1) / limit) }

    /// Which of its bytes a message has, counted from 0. The count is part of the names, because it alone says how the body is cut: in
    /// another number of chunks, for another server, it is something else.
    package static func part(_ index: Int, of bytes: Int, limit: Int) -> Range<Int> {
        let count = count(of: bytes, limit: limit)
        let size = (bytes + count - 1) / count
        return min(index * size, bytes)..<min((index + 1) * size, bytes)
    }

    /// - Parameters:
    ///   - index: from 0.
    ///   - attempt: of a body in chunks that is sent once more from its beginning, what the broker knows this attempt by: it must not take
    ///     its messages for repetitions. To the collector they are, because the chunk id is the same.
    package func message(_ index: Int, limit: Int, attempt: String? = nil) -> EventMessage {
        let count = count(limit: limit)
        let subject = SkeinSubjects.events(tenant: tenant, key: key)
        let type = EventMessage.Header(name: SkeinHeaders.contentType, value: contentType)
        guard count > 1 else {
            return EventMessage(
                subject: subject, headers: [.init(name: SkeinHeaders.messageID, value: "\(tenant)/\(id)"), type],
                payload: bytes)
        }
        let suffix = attempt.map { "/\($0)" } ?? ""
        return EventMessage(
            subject: subject,
            headers: [
                .init(name: SkeinHeaders.messageID, value: "\(tenant)/\(id)/\(index + 1)/\(count)\(suffix)"), type,
                .init(name: SkeinHeaders.chunk, value: "\(index + 1)/\(count)"),
                .init(name: SkeinHeaders.chunkID, value: "\(id)/\(count)"),
            ], payload: Array(bytes[ChunkedMessage.part(index, of: bytes.count, limit: limit)]))
    }
}
