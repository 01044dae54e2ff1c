/// One packed span, log record or metric on its way to a backend.
package struct ExportItem: Sendable, Equatable {
    /// The packed protobuf message, without tag and length.
    package let bytes: [UInt8]
    /// Stream sequence of the input message that the item came from.
    package let position: UInt64

    package init(bytes: [UInt8], position: UInt64) {
        self.bytes = bytes
        self.position = position
    }

    /// Bytes that the item takes in a request, tag and length included.
    var framedSize: Int { OTLPRequestFraming.fieldSize(bytes.count) }
}
