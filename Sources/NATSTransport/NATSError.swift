/// Says what failed in talking to NATS, on which server, subject or stream, and what to do. Never carries a secret or a
/// payload.
package struct NATSError: Error, Equatable, CustomStringConvertible {
    /// What kind of failure it is: what callers decide on.
    package enum Code: Sendable, Hashable {
        /// An option, subject, header or file that cannot be used as given.
        case configuration
        /// No server answered at any of the URLs within the connect timeout.
        case unreachable
        /// The server refused the credentials or the permission.
        case authorization
        /// The TLS handshake failed, or only one side wanted TLS.
        case tls
        /// No answer came in time. Whether the server acted is unknown.
        case timeout
        /// Nobody listens on the subject. The request had no effect.
        case noResponders
        /// The stream, consumer or bucket does not exist.
        case notFound
        /// The stream has no message with the sequence or subject.
        case noMessage
        /// The publish expected another last sequence: someone else wrote, or it was stored before.
        case wrongLastSequence
        /// The compare-and-set expected another revision of the key.
        case wrongLastRevision
        /// The stream or its storage is full and refuses messages.
        case streamFull
        /// The message is larger than the server or the stream accepts.
        case payloadTooLarge
        /// There is no connection now. If the message was already handed over, whether it arrived is unknown.
        case disconnected
        /// The connection or consumer was closed.
        case closed
        /// The owner said that it no longer owns what the consumer reads.
        case fenced
        /// The task that waited was cancelled.
        case cancelled
        /// The server sent something that cannot be understood.
        case protocolViolation
        /// Any other JetStream error, with the server's numbers.
        case api(code: Int, errCode: Int)
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}

extension NATSError {
    /// Maps an error of the JetStream API; `about` names the stream, subject or consumer.
    static func api(_ error: APIError, about: String) -> NATSError {
        let text = error.description ?? "no description"
        switch error.errCode ?? 0 {
        case 10071, 10164:
            return NATSError(.wrongLastSequence, "\(about): \(text); read the last message of the subject again.")
        case 10077 where text.contains("maximum"), 10002, 10023, 10028, 10047:
            return NATSError(.streamFull, "\(about) refused the message: \(text); raise its limits or free space.")
        case 10054:
            return NATSError(
                .payloadTooLarge, "\(about) refused the message: \(text); raise max_msg_size or send less.")
        case 10014, 10059:
            return NATSError(.notFound, "\(about): \(text).")
        case 10037, 10043:
            return NATSError(.noMessage, "\(about): \(text).")
        case let errCode:
            return NATSError(
                .api(code: error.code, errCode: errCode), "\(about): \(text) (code \(error.code), error \(errCode)).")
        }
    }
}

/// The `error` object of a JetStream API reply.
struct APIError: Decodable, Sendable {
    let code: Int
    let errCode: Int?
    let description: String?
}
