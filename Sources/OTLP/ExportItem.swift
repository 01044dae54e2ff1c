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
    /// What it stands for besides, of the same tenant.
    package let furtherShares: [ExportShare]
    /// A packed Resource that the item belongs to instead of the endpoint's.
    package let resource: [UInt8]?

    package init(
        bytes: [UInt8], position: UInt64, ordinal: Int = 0, share: ExportShare = ExportShare(),
        furtherShares: [ExportShare] = [], resource: [UInt8]? = nil
    ) {
        self.bytes = bytes
        self.position = position
        self.ordinal = ordinal
        self.share = share
        self.furtherShares = furtherShares
        self.resource = resource
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

    private init(position: UInt64, share: ExportShare, reason: Reason) {
        self.position = position
        self.share = share
        self.reason = reason
    }

    /// One for each share of the item.
    static func all(of item: ExportItem, _ reason: Reason) -> [ExportLoss] {
        ([item.share] + item.furtherShares).map {
            ExportLoss(position: item.position, share: $0, reason: reason)
        }
    }
}
