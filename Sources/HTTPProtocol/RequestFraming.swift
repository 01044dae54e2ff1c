/// Where the body of a request ends, and that nobody on the way can have understood it otherwise (RFC 9112, 6.3 and 11.2).
///
/// libmicrohttpd takes the first of several headers and passes over what it does not know. A proxy that does not is made to let a second
/// request through by that.
package enum RequestFraming: Sendable, Hashable {
    /// Without a body this many bytes are 0.
    case length(Int)
    case chunked

    /// Why a request is not taken; the connection cannot be used any longer.
    package struct Refusal: Error, Sendable, Hashable {
        package let status: Int
        package let reason: String

        init(_ status: Int, _ reason: String) {
            self.status = status
            self.reason = reason
        }
    }

    /// - Parameters:
    ///   - version: such as `HTTP/1.1`.
    ///   - target: of the request line, as it was sent.
    ///   - headers: in their order, names as they were sent.
    package init(
        version: String, target: String, headers: [(name: String, value: String)]
    ) throws(Refusal) {
        try RequestFraming.check(target)
        var values: [String: [String]] = [:]
        for header in headers {
            if header.name.isEmpty || header.name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
                throw Refusal(400, "the name of a header has white space in it")
            }
            values[header.name.lowercased(), default: []].append(header.value)
        }
        for name in ["content-length", "transfer-encoding", "host"] where values[name, default: []].count > 1 {
            throw Refusal(400, "the header \(name) is there more than once")
        }
        let (length, encoding) = (values["content-length"]?.first, values["transfer-encoding"]?.first)
        if let encoding {
            if length != nil { throw Refusal(400, "Content-Length and Transfer-Encoding exclude each other") }
            // As it is compared below: another word for it would not be understood there.
            if encoding.lowercased() != "chunked" { throw Refusal(400, "Transfer-Encoding must be chunked") }
            if version != "HTTP/1.1" { throw Refusal(400, "Transfer-Encoding needs HTTP/1.1") }
            self = .chunked
        } else {
            self = .length(try RequestFraming.length(length))
        }
        let upgrade = values["upgrade", default: []].joined(separator: ",")
        let connection = values["connection", default: []].joined(separator: ",")
        if self != .length(0), WebSocketHandshake.isAsked(upgrade: upgrade, connection: connection) {
            throw Refusal(400, "a request that becomes a WebSocket has no body")
        }
    }

    private static func length(_ text: String?) throws(Refusal) -> Int {
        guard let text else { return 0 }
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw Refusal(400, "Content-Length is no number")
        }
        guard let length = Int(text) else { throw Refusal(413, "Content-Length is more than there can be") }
        return length
    }

    /// A path is taken apart after its percent-encoding was undone.
    private static func check(_ target: String) throws(Refusal) {
        let path = Array(target.utf8.prefix { $0 != UInt8(ascii: "?") })
        if path.contains(0) { throw Refusal(400, "the path has a NUL in it") }
        for start in path.indices where path[start] == UInt8(ascii: "%") {
            switch String(decoding: path[start...].dropFirst().prefix(2), as: UTF8.self).lowercased() {
            case "00": throw Refusal(400, "the path has a NUL in it")
            case "2f": throw Refusal(400, "the path has an encoded slash in it")
            default: break
            }
        }
    }
}
