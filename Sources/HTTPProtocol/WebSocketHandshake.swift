/// The opening of a WebSocket (RFC 6455, 4).
package enum WebSocketHandshake {
    /// Why a request that wants to be a WebSocket cannot be one.
    package enum Refusal: Error, Sendable, Hashable {
        case version
        case key

        package var reason: String {
            switch self {
            case .version: "Sec-WebSocket-Version must be 13"
            case .key: "Sec-WebSocket-Key must be 16 bytes in base64"
            }
        }
    }

    /// What a client is told that asks for another version (RFC 6455, 4.4; RFC 9110, 15.5.22).
    package static let versionHeaders = [
        (name: "Sec-WebSocket-Version", value: "13"), (name: "Upgrade", value: "websocket"),
        (name: "Connection", value: "Upgrade"),
    ]

    /// Whether a request asks to become a WebSocket.
    ///
    /// - Parameters: values of the headers of these names.
    package static func isAsked(upgrade: String?, connection: String?) -> Bool {
        has("websocket", in: upgrade) && has("upgrade", in: connection)
    }

    /// The value of `Sec-WebSocket-Accept`.
    package static func accept(key: String?, version: String?) throws(Refusal) -> String {
        guard version == "13" else { throw .version }
        guard let key, key.utf8.count == 24, key.hasSuffix("=="),
            key.utf8.dropLast(2).allSatisfy({ alphabet.contains($0) })
        else { throw .key }
        return base64(SHA1.digest(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    /// A list of tokens, compared without case.
    private static func has(_ token: String, in list: String?) -> Bool {
        list?.split(separator: ",").contains { part in
            part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }.lowercased() == token
        } ?? false
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for place in 0..<4 {
                text.append(
                    place <= group.count ? alphabet[Int(bits >> (18 - 6 * UInt32(place))) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
