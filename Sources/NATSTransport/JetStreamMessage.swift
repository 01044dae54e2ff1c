/// A message that a consumer delivered, with its place in the stream.
package struct JetStreamMessage: Sendable {
    package let subject: String
    package let headers: NATSHeaders
    package let payload: [UInt8]
    /// Its sequence in the stream.
    package let sequence: UInt64
    /// Its sequence in the consumer: without a gap within a generation.
    package let consumerSequence: UInt64
    /// Nanoseconds since 1970 at which the server stored it.
    package let timestampNanos: Int64
    /// How many messages for this consumer came after it when it was sent.
    package let pending: UInt64
    /// Bytes that it takes of the prefetch budget: as the server counts them against a pull.
    let size: Int
}
