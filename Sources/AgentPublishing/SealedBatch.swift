package import ATOF

/// Events of one routing key that belong together from now on: in memory, on disk and on the way.
package struct SealedBatch: Sendable, Equatable {
    package let tenant: String
    package let key: EventUUID
    package let producer: String
    /// The number of the first event.
    package let sequence: UInt64
    package let events: Int
    /// A packed `EventBatch` with producer and sequence.
    package let bytes: [UInt8]

    package init(tenant: String, key: EventUUID, producer: String, sequence: UInt64, events: Int, bytes: [UInt8]) {
        self.tenant = tenant
        self.key = key
        self.producer = producer
        self.sequence = sequence
        self.events = events
        self.bytes = bytes
    }

    /// What it takes in memory, bytes.
    var cost: Int { bytes.count + 256 }

    var envelope: EventEnvelope {
        EventEnvelope(tenant: tenant, key: key.description, producer: producer, sequence: sequence, bytes: bytes)
    }
}
