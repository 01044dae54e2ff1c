internal import Foundation

/// A message read from a stream by its sequence or subject.
package struct StoredMessage: Sendable {
    package let subject: String
    package let sequence: UInt64
    /// Nanoseconds since 1970 at which the server stored it.
    package let time: Int64
    package let headers: NATSHeaders
    package let payload: [UInt8]
    /// Whether the server says that the subject has no message (`JetStream.forgottenMessage`).
    package internal(set) var isForgotten = false

    /// What the server compares with `Nats-Expected-Last-Subject-Sequence` when this is the last message of its subject.
    package var expectedSequence: UInt64 { isForgotten ? 0 : sequence }
}

extension StoredMessage {
    private static let placeHeaders = [
        "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Stream", "Nats-Num-Pending", "Nats-Last-Sequence",
        "Nats-UpTo-Sequence",
    ]

    /// From the reply of a direct get, which carries the message's place in headers of its own.
    init?(direct reply: NATSMessage) {
        guard let subject = reply.headers["Nats-Subject"],
            let sequence = reply.headers["Nats-Sequence"].flatMap({ UInt64($0) }),
            let time = reply.headers["Nats-Time-Stamp"].flatMap({ ServerTime.nanoseconds($0) })
        else { return nil }
        self.subject = subject
        self.sequence = sequence
        self.time = time
        headers = reply.headers.removing(StoredMessage.placeHeaders)
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

    /// Reads the answer to STREAM.MSG.GET; nil when the stream has no such message.
    static func leaderAnswer(_ bytes: [UInt8], about suffix: String) throws(NATSError) -> StoredMessage? {
        do throws(NATSError) {
            let reply = try JSON.decode(LeaderReply.self, from: try JetStream.checked(bytes, suffix), about: suffix)
            guard let message = StoredMessage(leader: reply) else {
                throw NATSError(.protocolViolation, "The server's answer about \(suffix) cannot be understood.")
            }
            return message
        } catch let error where error.code == .noMessage {
            return nil
        }
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
