package import ATOF

/// One packed span, log record or metric on its way to a backend.
package struct ExportItem: Sendable, Equatable {
    /// The packed protobuf message, without tag and length.
    package let bytes: [UInt8]
    /// Stream sequence of the input message that the item came from.
    package let position: UInt64
    /// Number of the item among those of its message: the same each time the message is read.
    package let ordinal: Int
    /// Whose it is, and what it stands for.
    package let share: ExportShare

    package init(bytes: [UInt8], position: UInt64, ordinal: Int = 0, share: ExportShare = ExportShare()) {
        self.bytes = bytes
        self.position = position
        self.ordinal = ordinal
        self.share = share
    }

    /// Bytes that the item takes in a request, tag and length included.
    var framedSize: Int { OTLPRequestFraming.fieldSize(bytes.count) }
}

/// What an item counts for in the books: so many events of a tenant's run.
package struct ExportShare: Sendable, Equatable {
    package let tenant: String
    /// The run's root.
    package let root: EventUUID
    package let events: Int

    package init(tenant: String = "_", root: EventUUID = EventUUID(high: 0, low: 0), events: Int = 1) {
        self.tenant = tenant
        self.root = root
        self.events = events
    }
}

/// An item that left without being delivered.
package struct ExportLoss: Sendable, Equatable {
    package enum Reason: Sendable, Equatable {
        /// The backend refused it, with or without a dead letter.
        case rejected
        /// It had waited for too long.
        case expired
    }

    package let position: UInt64
    package let share: ExportShare
    package let reason: Reason

    init(_ item: ExportItem, _ reason: Reason) {
        position = item.position
        share = item.share
        self.reason = reason
    }
}
