internal import Stages

/// Events of one routing key with their numbers, ready to be sent: the same batch always makes the same messages, so that repeating it
/// is harmless.
package struct EventEnvelope: Sendable {
    /// Of the subject.
    package let tenant: String
    package let key: String
    /// Who counts the events; with the number of the first one it names the batch.
    package let producer: String
    package let sequence: UInt64
    /// A packed `EventBatch` with producer and sequence.
    package let bytes: [UInt8]

    package init(tenant: String, key: String, producer: String, sequence: UInt64, bytes: [UInt8]) {
        self.tenant = tenant
        self.key = key
        self.producer = producer
        self.sequence = sequence
        self.bytes = bytes
    }

    /// - Parameter limit: bytes of a payload.
    package func messageCount(limit: Int) -> Int { max(1, (bytes.count + limit - 1) / limit) }

    /// - Parameter index: from 0.
    package func message(_ index: Int, limit: Int) -> EventMessage {
        let count = messageCount(limit: limit)
        let subject = SkeinSubjects.events(tenant: tenant, key: key)
        let id = "\(tenant)/\(producer)/\(sequence)"
        let type = EventMessage.Header(name: SkeinHeaders.contentType, value: SkeinHeaders.protobuf)
        guard count > 1 else {
            return EventMessage(
                subject: subject, headers: [.init(name: SkeinHeaders.messageID, value: id), type], payload: bytes)
        }
        let start = index * limit
        // The count is part of the names: cut in another way, for another server, it is something else.
        return EventMessage(
            subject: subject,
            headers: [
                .init(name: SkeinHeaders.messageID, value: "\(id)/\(index + 1)/\(count)"), type,
                .init(name: SkeinHeaders.chunk, value: "\(index + 1)/\(count)"),
                .init(name: SkeinHeaders.chunkID, value: "\(producer)/\(sequence)/\(count)"),
            ], payload: Array(bytes[start..<min(start + limit, bytes.count)]))
    }
}
