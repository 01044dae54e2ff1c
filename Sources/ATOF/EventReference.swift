/// The place of an event in a stream: the message's sequence, and the event's index in its batch.
package struct EventReference: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let sequence: UInt64
    package let index: Int

    package init(sequence: UInt64, index: Int) {
        self.sequence = sequence
        self.index = index
    }

    /// Reads the written form, `<sequence>.<index>`.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let sequence = UInt64(parts[0]), let index = Int(parts[1]), index >= 0 else {
            return nil
        }
        self.init(sequence: sequence, index: index)
    }

    /// Before everything that a stream can hold.
    package static let start = EventReference(sequence: 0, index: 0)

    package static func < (left: EventReference, right: EventReference) -> Bool {
        (left.sequence, left.index) < (right.sequence, right.index)
    }

    package var description: String { "\(sequence).\(index)" }
}
