public import NATSTransport

/// How a subscriber finds the bus.
public struct SubscriberConfiguration: Sendable {
    /// `nats://` or `tls://` URLs of the broker.
    public var urls: [String]
    /// How the subscriber proves who it is.
    public var authentication = NATSOptions.Authentication.none
    /// Encryption with files of one's own.
    public var tls: NATSOptions.TLS?
    /// Bytes that a subscription without a durable name fetches ahead.
    public var prefetchBytes = 4 << 20
    /// How long a durable subscription gives the program to acknowledge a message; then it is delivered again.
    public var acknowledgementTime = Duration.seconds(30)

    /// Takes the broker's URLs; everything else has a default.
    public init(urls: [String]) { self.urls = urls }

    var natsOptions: NATSOptions {
        NATSOptions(urls: urls, name: "skein-agent subscriber", authentication: authentication, tls: tls)
    }
}

/// Says why a subscription cannot begin or has ended, in one sentence with what to do.
public struct SubscriberError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: Sendable, Hashable {
        /// A value cannot be used: a tenant, a durable name, a URL, a file.
        case configuration
        /// The broker refuses the credentials or cannot be reached.
        case refused
        /// The stream, or the durable consumer, does not exist or is gone.
        case notFound
        /// The stream was made anew or has lost messages.
        case streamChanged
        /// Anything else that the broker says.
        case broker
        /// `close` was called.
        case closed
    }

    /// What kind of failure it is.
    public let code: Code
    /// One sentence, with what to do.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    init(_ error: NATSError) {
        code =
            switch error.code {
            case .configuration, .nameTaken, .tls, .payloadTooLarge: .configuration
            case .authorization, .unreachable: .refused
            case .notFound, .noMessage: .notFound
            case .streamChanged: .streamChanged
            case .closed: .closed
            case .timeout, .unavailable, .noResponders, .wrongLastSequence, .wrongLastRevision, .streamFull,
                .disconnected,
                .fenced, .cancelled, .protocolViolation, .api:
                .broker
            }
        description = error.description
    }
}
