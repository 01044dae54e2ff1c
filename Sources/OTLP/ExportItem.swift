/// One packed span, log record or metric on its way to a backend.
package struct ExportItem: Sendable, Equatable {
    /// The packed protobuf message, without tag and length.
    package let bytes: [UInt8]
    /// Stream sequence of the input message that the item came from.
    package let position: UInt64
    /// Number of the item among those of its message: the same each time the message is read.
    package let ordinal: Int

    package init(bytes: [UInt8], position: UInt64, ordinal: Int = 0) {
        self.bytes = bytes
        self.position = position
        self.ordinal = ordinal
    }

    /// Bytes that the item takes in a request, tag and length included.
    var framedSize: Int { OTLPRequestFraming.fieldSize(bytes.count) }
}
