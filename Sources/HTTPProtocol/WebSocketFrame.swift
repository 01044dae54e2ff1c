/// Frames that a server sends: never masked, never in parts (RFC 6455, 5).
package enum WebSocketFrame {
    /// Why a connection is closed (RFC 6455, 7.4.1).
    package enum CloseCode: UInt16, Sendable {
        case normal = 1000
        case goingAway = 1001
        case protocolError = 1002
        case unsupportedData = 1003
        case notUTF8 = 1007
        case policyViolation = 1008
    }

    /// - Parameter payload: of a ping, at most 125 bytes.
    package static func pong(_ payload: [UInt8]) -> [UInt8] {
        [0x8A, UInt8(payload.count & 0x7F)] + payload.prefix(125)
    }

    /// - Parameters:
    ///   - code: nil echoes a close without one.
    ///   - reason: its first 123 bytes are sent.
    package static func close(_ code: UInt16?, _ reason: String = "") -> [UInt8] {
        guard let code else { return [0x88, 0] }
        var text = reason
        while text.utf8.count > 123 { text.removeLast() }
        return [0x88, UInt8(2 + text.utf8.count), UInt8(code >> 8), UInt8(code & 0xFF)] + text.utf8
    }
}
