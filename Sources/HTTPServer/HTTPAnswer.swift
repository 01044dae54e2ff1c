/// What a server answers a request.
package struct HTTPAnswer: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Sent in chunks as they come, until the source ends.
        case stream(any HTTPBodySource)
    }

    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: Body

    package init(_ status: Int, headers: [(name: String, value: String)] = [], body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package static func text(
        _ text: String, status: Int = 200, contentType: String = "text/plain; charset=utf-8"
    ) -> HTTPAnswer {
        HTTPAnswer(status, headers: [("Content-Type", contentType)], body: .bytes(Array(text.utf8)))
    }
}

/// Where the body of an answer comes from that is not known as a whole.
package protocol HTTPBodySource: AnyObject, Sendable {
    /// Hands over what there is, at most so many bytes; called on a thread of the server and must not block.
    ///
    /// - Returns: empty for "nothing now", after which `exchange.resume()` has to be called once there is; nil at the end.
    func next(_ count: Int, _ exchange: HTTPExchange) -> [UInt8]?

    /// The client has gone, or has everything.
    func ended()
}
