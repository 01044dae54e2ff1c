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
        /// The server, or the cluster behind it, cannot do it now: it has no leader yet, too few peers, or is starting.
        case unavailable
        /// Nobody listens on the subject. The request had no effect.
        case noResponders
        /// The stream, consumer or bucket does not exist.
        case notFound
        /// A stream or bucket of the name exists with another configuration.
        case nameTaken
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
        /// The stream is not the one that was read: it was deleted and made again, or its storage has lost messages.
        case streamChanged
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

    /// Whether the same request may succeed later: the broker is away, busy, full, or between two leaders.
    package var isTemporary: Bool {
        switch code {
        case .timeout, .disconnected, .noResponders, .streamFull, .unreachable, .unavailable: true
        // A broker that is short of resources, or in the middle of an election, says so with its own 5xx.
        case .api(let code, _): code >= 500
        case .configuration, .authorization, .tls, .notFound, .nameTaken, .noMessage, .wrongLastSequence,
            .wrongLastRevision,
            .payloadTooLarge, .streamChanged, .closed, .fenced, .cancelled, .protocolViolation:
            false
        }
    }
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
        // Too few peers answer (10004, 10005), no leader (10008, 10009), offline (10118, 10119, 10194, 10195), a message
        // with the same id is under way (10158), last sequences not known yet (10163), too many requests (10167).
        case 10004, 10005, 10008, 10009, 10118, 10119, 10158, 10163, 10167, 10194, 10195:
            return NATSError(.unavailable, "\(about): \(text); try again.")
        // The server says 500 to these, but they stay as they are.
        case 10052, 10074:
            return NATSError(.configuration, "\(about): \(text).")
        case 10058:
            return NATSError(.nameTaken, "\(about): \(text).")
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
