/// Builds the packed form of an `EventBatch` from events that are packed already.
///
/// Protobuf puts fields one after the other, so a batch is the concatenation of its events' fields, and a field appended to a packed
/// event replaces the one before: no event is unpacked to be passed on.
package struct EventBatchWriter: Sendable {
    /// The packed batch so far.
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package init() {}

    /// Makes room for so many bytes.
    package mutating func reserve(_ capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Appends a packed event as it is.
    package mutating func append(packed event: UnsafeBufferPointer<UInt8>) {
        bytes.appendField(1, bytes: event)
        count += 1
    }

    /// Appends a packed event as it is.
    package mutating func append(packed event: [UInt8]) {
        event.withUnsafeBufferPointer { append(packed: $0) }
    }

    /// Appends a packed event with its resolved root: field 16, after all others.
    package mutating func append(packed event: UnsafeBufferPointer<UInt8>, root: EventUUID) {
        bytes.appendHeader(1, count: event.count + EventBatchWriter.rootSize)
        bytes.append(contentsOf: event)
        bytes.appendField(16, uuid: root)
        count += 1
    }

    /// What `root` adds to an event: two bytes of tag, one of length, 16 of UUID.
    private static let rootSize = 3 + 16

    /// The most that appending an event with its root takes.
    package static func size(ofPacked count: Int) -> Int { count + rootSize + 11 }

    /// Says who publishes the batch, and the number of its first event.
    package mutating func setProducer(_ producer: String, sequence: UInt64) {
        bytes.appendField(2, bytes: producer.utf8)
        bytes.appendField(3, varint: sequence)
    }
}
