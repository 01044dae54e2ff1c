package import HTTPProtocol

/// What a server does with requests. Called on the server's threads: it must not block, and hands on what takes time.
package protocol HTTPHandler: Sendable {
    /// The headers are there. Exactly one of the exchange's `answer`, `receive` and `upgrade` follows, at
    /// once or later; `upgrade` at once.
    func began(_ request: HTTPServerRequest, _ exchange: HTTPExchange)

    /// A request came that cannot be taken, whatever it is for.
    ///
    /// - Returns: its answer, after which the connection is closed.
    func refused(_ refusal: RequestFraming.Refusal) -> HTTPAnswer

    /// A connection was closed because it took too long.
    func reaped(_ reason: HTTPReapReason)
}

/// What a connection took too long for.
package enum HTTPReapReason: String, Sendable {
    case headers
    case body
    case line
    case webSocketMessage = "websocket_message"
}

/// Takes the body of a request. Calls come one at a time, in order, on the server's threads, and must not block.
package protocol HTTPBodyReceiver: AnyObject, Sendable {
    /// - Parameter bytes: valid during the call only.
    func received(_ bytes: UnsafeRawBufferPointer, _ exchange: HTTPExchange)

    /// The whole body was received.
    func ended(_ exchange: HTTPExchange)

    /// The request is over: it was answered, or the client has gone before. The last call, always.
    func closed(wasAnswered: Bool)
}

/// Takes what comes over a WebSocket. Calls come one at a time, in order, on the server's thread for WebSockets, and must not block.
package protocol WebSocketReceiver: AnyObject, Sendable {
    /// Bytes that one message may have; a longer one is skipped.
    var maximumMessageBytes: Int { get }

    func opened(_ socket: WebSocketConnection)

    func received(_ text: [UInt8], _ socket: WebSocketConnection)

    /// A message of so many bytes, more than it may have, was thrown away as it came.
    func skipped(_ bytes: Int, _ socket: WebSocketConnection)

    /// So many bytes came, whose messages were handed over before.
    ///
    /// - Parameter heldBytes: of the message that is not complete.
    func came(_ bytes: Int, heldBytes: Int, _ socket: WebSocketConnection)

    /// The client broke the protocol; the connection is closed.
    func failed(_ reason: String)

    /// The last call, always.
    func closed()
}
