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
    package func messageCount(limit: Int) -> Int { body.count(limit: limit) }

    /// - Parameters: as of `ChunkedMessage.message`.
    package func message(_ index: Int, limit: Int, attempt: String? = nil) -> EventMessage {
        body.message(index, limit: limit, attempt: attempt)
    }

    private var body: ChunkedMessage {
        ChunkedMessage(
            tenant: tenant, key: key, id: "\(producer)/\(sequence)", contentType: SkeinHeaders.protobuf, bytes: bytes)
    }
}
