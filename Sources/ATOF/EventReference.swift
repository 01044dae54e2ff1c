/// Where an event lies in the processed stream, so that its payload can be read again.
package struct EventReference: Sendable, Hashable, Comparable {
    /// Stream sequence of the message.
    package let sequence: UInt64
    /// Position of the event in the message's batch.
    package let index: UInt32

    package init(sequence: UInt64, index: UInt32) {
        self.sequence = sequence
        self.index = index
    }

    package static func < (left: EventReference, right: EventReference) -> Bool {
        (left.sequence, left.index) < (right.sequence, right.index)
    }
}
