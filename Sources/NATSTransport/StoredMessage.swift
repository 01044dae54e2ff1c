internal import Foundation

/// A message read from a stream by its sequence or subject.
package struct StoredMessage: Sendable {
    package let subject: String
    package let sequence: UInt64
    /// Nanoseconds since 1970 at which the server stored it.
    package let time: Int64
    package let headers: NATSHeaders
    package let payload: [UInt8]
}

extension StoredMessage {
    /// From the reply of a direct get, which carries the message's place in headers of its own.
    init?(direct reply: NATSMessage) {
        guard let subject = reply.headers["Nats-Subject"],
            let sequence = reply.headers["Nats-Sequence"].flatMap({ UInt64($0) }),
            let time = reply.headers["Nats-Time-Stamp"].flatMap({ ServerTime.nanoseconds($0) })
        else { return nil }
        self.subject = subject
        self.sequence = sequence
        self.time = time
        var headers = reply.headers
        for name in ["Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Stream", "Nats-Num-Pending"] {
            headers[name] = nil
        }
        self.headers = headers
        payload = reply.payload
    }

    /// From the reply of STREAM.MSG.GET.
    init?(leader json: LeaderReply) {
        guard let time = ServerTime.nanoseconds(json.message.time) else { return nil }
        subject = json.message.subject
        sequence = json.message.seq
        self.time = time
        headers = json.message.hdrs.flatMap { NATSHeaders(block: $0) } ?? [:]
        payload = json.message.data.map { [UInt8]($0) } ?? []
    }

    struct LeaderReply: Decodable {
        struct Message: Decodable {
            let subject: String
            let seq: UInt64
            let time: String
            let hdrs: Data?
            let data: Data?
        }
        let message: Message
    }
}
