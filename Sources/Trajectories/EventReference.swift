/// Where an event lies in the processed stream, from which its payload can be read again.
package struct EventReference: Sendable, Hashable, Comparable {
    /// The message's number in the stream.
    package let sequence: UInt64
    /// The event's position in the message's batch.
    package let index: UInt32

    package init(sequence: UInt64, index: UInt32) {
        self.sequence = sequence
        self.index = index
    }

    package static func < (left: EventReference, right: EventReference) -> Bool {
        (left.sequence, left.index) < (right.sequence, right.index)
    }
}
