/// What happened to a connection, for logs and metrics.
package enum NATSConnectionEvent: Sendable, Equatable {
    /// The connection is lost; cnats reconnects by itself until it succeeds or the server refuses the credentials
    /// twice.
    case disconnected
    case reconnected
    /// For good: by `close()`, or because a server refused the credentials on reconnecting.
    case closed
    /// A message could not be sent and nobody waited for its outcome.
    case publishFailed(NATSError)
    /// cnats dropped messages of a subscription because they were not taken fast enough.
    case slowConsumer
    /// Anything else that cnats reports, such as a permission violation.
    case error(String)
}
