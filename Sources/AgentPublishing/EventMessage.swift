internal import Stages

/// One message on the way to `SKEIN_EVENTS`: a batch of events, or a part of one that is larger than a message.
package struct EventMessage: Sendable, Equatable {
    package let subject: String
    package let headers: [Header]
    package let payload: [UInt8]

    package struct Header: Sendable, Equatable {
        package let name: String
        package let value: String
    }

    package var id: String? { headers.first { $0.name == SkeinHeaders.messageID }?.value }
}
