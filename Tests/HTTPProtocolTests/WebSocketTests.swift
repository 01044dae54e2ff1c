import HTTPProtocol
import Testing

@Suite("WebSocket handshake")
struct WebSocketHandshakeTests {
    @Test("answers the key of RFC 6455, 1.3")
    func key() throws {
        #expect(
            try WebSocketHandshake.accept(key: "dGhlIHNhbXBsZSBub25jZQ==", version: "13")
                == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    private static let refused: [(key: String?, version: String?, refusal: WebSocketHandshake.Refusal)] = [
        (nil, "13", .key), ("short==", "13", .key), ("dGhlIHNhbXBsZSBub25jZQ==", "8", .version),
        ("dGhlIHNhbXBsZSBub25jZQ==", nil, .version), ("dGhlIHNhbXBsZSBub25j!Q==", "13", .key),
    ]

    @Test("refuses what is no key and no version", arguments: refused)
    func refusals(_ key: String?, _ version: String?, _ refusal: WebSocketHandshake.Refusal) {
        #expect(throws: refusal) { try WebSocketHandshake.accept(key: key, version: version) }
    }

    private static let requests: [(upgrade: String?, connection: String?, isAsked: Bool)] = [
        ("websocket", "Upgrade", true), ("h2c, WebSocket", "keep-alive, upgrade", true), ("h2c", "Upgrade", false),
        ("websocket", "keep-alive", false), (nil, "Upgrade", false), ("websocket", nil, false),
    ]

    @Test("finds the request in lists, without case", arguments: requests)
    func asked(_ upgrade: String?, _ connection: String?, _ isAsked: Bool) {
        #expect(WebSocketHandshake.isAsked(upgrade: upgrade, connection: connection) == isAsked)
    }
}

@Suite("WebSocket frames of a client")
struct WebSocketFrameReaderTests {
    /// A masked frame.
    static func frame(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, length: UInt64? = nil) -> [UInt8] {
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        let count = length ?? UInt64(payload.count)
        var bytes: [UInt8] = [opcode | (isFinal ? 0x80 : 0)]
        switch count {
        case 0..<126: bytes.append(0x80 | UInt8(count))
        case 126..<65_536: bytes += [0x80 | 126, UInt8(count >> 8), UInt8(count & 0xFF)]
        default:
            bytes.append(0x80 | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    static func text(_ text: String, isFinal: Bool = true) -> [UInt8] { frame(1, Array(text.utf8), isFinal: isFinal) }

    static let cases: [(name: String, bytes: [UInt8], inputs: [WebSocketFrameReader.Input])] = [
        (
            "Hello of RFC 6455, 5.7", [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58],
            [.text(Array("Hello".utf8))]
        ),
        ("an empty text", text(""), [.text([])]),
        ("two frames at once", text("a") + text("b"), [.text([0x61]), .text([0x62])]),
        ("a long one", text(String(repeating: "x", count: 70_000)), [.text(Array(repeating: 0x78, count: 70_000))]),
        ("200 bytes", text(String(repeating: "y", count: 200)), [.text(Array(repeating: 0x79, count: 200))]),
        (
            "parts with a ping between them", text("a", isFinal: false) + frame(9, [1, 2]) + frame(0, [0x62]),
            [.ping([1, 2]), .text([0x61, 0x62])]
        ),
        ("a character over two parts", frame(1, [0xC3], isFinal: false) + frame(0, [0xA9]), [.text([0xC3, 0xA9])]),
        ("a binary message", frame(2, [0, 255]), [.binary([0, 255])]),
        ("a pong", frame(10, []), [.pong]),
        ("a close, and nothing behind it", frame(8, []) + text("a"), [.close(code: nil)]),
        ("a close with a code", frame(8, [0x03, 0xE8] + Array("bye".utf8)), [.close(code: 1000)]),
        ("half a close code", frame(8, [3]), [.failure(.protocolError, "a close frame has no whole code")]),
        (
            "a close code that may not be sent", frame(8, [0x03, 0xED]),
            [.failure(.protocolError, "the close code may not be sent")]
        ),
        ("bytes that are not UTF-8", frame(1, [0xC3, 0x28]), [.failure(.notUTF8, "a text message must be UTF-8")]),
        ("a reserved bit", [0xC1, 0x80], [.failure(.protocolError, "a reserved bit is set")]),
        ("an unknown opcode", [0x83, 0x80], [.failure(.protocolError, "the opcode is not known")]),
        ("no mask", [0x81, 0x01, 0x61], [.failure(.protocolError, "a frame of a client must be masked")]),
        (
            "a continuation of nothing", frame(0, [1]),
            [.failure(.protocolError, "a continuation must follow the beginning of a message, and only it may")]
        ),
        (
            "a text within a text", text("a", isFinal: false) + text("b"),
            [.failure(.protocolError, "a continuation must follow the beginning of a message, and only it may")]
        ),
        (
            "a ping in parts", frame(9, [], isFinal: false),
            [.failure(.protocolError, "a control frame must be whole and at most 125 bytes")]
        ),
        (
            "a long ping", frame(9, Array(repeating: 0, count: 126)),
            [.failure(.protocolError, "a control frame must be whole and at most 125 bytes")]
        ),
        (
            "more than there may be, which is skipped",
            frame(1, Array(repeating: 0x61, count: 100_001)) + text("behind"),
            [.tooLong(bytes: 100_001), .text(Array("behind".utf8))]
        ),
        (
            "more than fits a number", frame(1, [], length: .max),
            [.failure(.protocolError, "the highest bit of a length must be 0")]
        ),
        ("no end of more than there may be", frame(1, [1], length: .max >> 1), []),
        (
            "more than there may be, in parts, with a ping between them",
            frame(1, Array(repeating: 0x61, count: 60_000), isFinal: false)
                + frame(0, Array(repeating: 0x61, count: 40_001), isFinal: false) + frame(9, [1])
                + frame(0, [0xFF]) + text("behind"),
            [.ping([1]), .tooLong(bytes: 100_002), .text(Array("behind".utf8))]
        ),
        (
            "more than there may be of a binary message",
            frame(2, Array(repeating: 0, count: 100_001)), [.binary([])]
        ),
    ]

    @Test("are read the same in pieces of any size", arguments: [1, 2, 3, 7, 100, 1 << 20])
    func cases(_ size: Int) {
        for example in WebSocketFrameReaderTests.cases {
            var reader = WebSocketFrameReader(maximumBytes: 100_000)
            var inputs: [WebSocketFrameReader.Input] = []
            for start in stride(from: 0, to: example.bytes.count, by: size) {
                inputs += reader.receive(example.bytes[start..<min(start + size, example.bytes.count)])
            }
            #expect(inputs == example.inputs, "\(example.name) in pieces of \(size)")
        }
    }

    @Test("hold no more of a message than came")
    func held() {
        var reader = WebSocketFrameReader(maximumBytes: 1 << 40)
        #expect(reader.receive(WebSocketFrameReaderTests.frame(1, [1, 2, 3], length: 1 << 39)) == [])
        #expect(reader.heldBytes == 3)
        #expect(reader.isInMessage)
    }

    @Test("hold nothing of a message that is skipped")
    func skipped() {
        var reader = WebSocketFrameReader(maximumBytes: 100)
        #expect(reader.receive(WebSocketFrameReaderTests.frame(1, [1, 2, 3], isFinal: false)) == [])
        #expect(reader.receive(WebSocketFrameReaderTests.frame(0, [1, 2, 3], length: 98)) == [])
        #expect(reader.heldBytes == 0)
        #expect(reader.isInMessage)
    }
}

@Suite("WebSocket frames of a server")
struct WebSocketFrameTests {
    @Test("are not masked")
    func frames() {
        #expect(WebSocketFrame.pong([1, 2]) == [0x8A, 2, 1, 2])
        #expect(WebSocketFrame.close(nil) == [0x88, 0])
        #expect(WebSocketFrame.close(1002, "no") == [0x88, 4, 0x03, 0xEA, 0x6E, 0x6F])
        #expect(WebSocketFrame.close(1002, String(repeating: "é", count: 100)).count == 2 + 2 + 122)
    }
}
