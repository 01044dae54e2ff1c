/// Reads what a client sends over a WebSocket, from pieces of any size (RFC 6455, 5).
///
/// After a failure or a close it reads no more. What it holds of a message is at most `maximumBytes`.
package struct WebSocketFrameReader: Sendable {
    package enum Input: Sendable, Hashable {
        case text([UInt8])
        case binary([UInt8])
        /// A text longer than the limit: it was thrown away as it came, and this is how long it was. A client that has its queue's head
        /// refused with its connection sends the same again for ever.
        case tooLong(bytes: Int)
        case ping([UInt8])
        case pong
        /// The code is nil when the frame has none.
        case close(code: UInt16?)
        /// The client broke the protocol: the connection has to be closed with this code.
        case failure(WebSocketFrame.CloseCode, String)
    }

    private enum Opcode: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    private struct Frame {
        var opcode: Opcode
        var isFinal: Bool
        var remaining: Int
        var mask: [UInt8]
        var maskPlace = 0
    }

    private let maximumBytes: Int
    private var header: [UInt8] = []
    private var frame: Frame?
    /// Of the message whose frames are coming; nil between messages.
    private var kind: Opcode?
    private var message: [UInt8] = []
    /// Bytes of a message that is being thrown away; nil when none is.
    private var skipped: Int?
    private var control: [UInt8] = []
    package private(set) var hasEnded = false

    /// - Parameter maximumBytes: of a message, however many frames it comes in.
    package init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// Whether a message or frame has begun and is not complete.
    package var isInMessage: Bool { frame != nil || kind != nil || !header.isEmpty }
    /// Bytes of the incomplete message that are kept.
    package var heldBytes: Int { message.count + control.count }

    package mutating func receive(_ bytes: some Collection<UInt8>) -> [Input] {
        var inputs: [Input] = []
        var rest = bytes[...]
        while !hasEnded {
            if frame == nil {
                guard let missing = missingHeaderBytes else {
                    if let failure = begin() { end(&inputs, failure) }
                    // A frame without payload is complete already.
                    if let input = completed() { end(&inputs, input) }
                    continue
                }
                let part = rest.prefix(missing)
                if part.isEmpty { break }
                header += part
                rest = rest.dropFirst(part.count)
                if let failure = firstBytesFailure { end(&inputs, failure) }
            } else {
                let part = rest.prefix(frame?.remaining ?? 0)
                if part.isEmpty { break }
                unmask(part)
                rest = rest.dropFirst(part.count)
                if let input = completed() { end(&inputs, input) }
            }
        }
        return inputs
    }

    private mutating func end(_ inputs: inout [Input], _ input: Input) {
        inputs.append(input)
        switch input {
        case .failure, .close:
            hasEnded = true
            message = []
            header = []
        case .text, .binary, .tooLong, .ping, .pong: break
        }
    }

    // MARK: Header

    /// How many bytes of the header have to come; nil when it is complete.
    private var missingHeaderBytes: Int? {
        guard header.count >= 2 else { return 2 - header.count }
        let extended =
            switch header[1] & 0x7F {
            case 126: 2;
            case 127: 8;
            default: 0
            }
        let missing = 2 + extended + 4 - header.count
        return missing > 0 ? missing : nil
    }

    /// What is wrong with the first two bytes; told before the rest has come.
    private var firstBytesFailure: Input? {
        guard header.count >= 2 else { return nil }
        if header[0] & 0x70 != 0 { return .failure(.protocolError, "a reserved bit is set") }
        if Opcode(rawValue: header[0] & 0x0F) == nil { return .failure(.protocolError, "the opcode is not known") }
        if header[1] & 0x80 == 0 { return .failure(.protocolError, "a frame of a client must be masked") }
        return nil
    }

    /// Begins the frame whose header is complete.
    private mutating func begin() -> Input? {
        guard let opcode = Opcode(rawValue: header[0] & 0x0F) else { return nil }
        let isFinal = header[0] & 0x80 != 0
        let short = header[1] & 0x7F
        let extended = header[2..<(header.count - 4)]
        let length = extended.isEmpty ? UInt64(short) : extended.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let mask = Array(header.suffix(4))
        header = []
        guard let remaining = Int(exactly: length) else {
            return .failure(.protocolError, "the highest bit of a length must be 0")
        }
        if opcode.isControl {
            if !isFinal || length > 125 {
                return .failure(.protocolError, "a control frame must be whole and at most 125 bytes")
            }
        } else {
            if (opcode == .continuation) != (kind != nil) {
                return .failure(
                    .protocolError, "a continuation must follow the beginning of a message, and only it may")
            }
            if kind == nil { kind = opcode }
            if skipped == nil, remaining > maximumBytes - message.count {
                skipped = message.count
                message = []
            }
        }
        frame = Frame(opcode: opcode, isFinal: isFinal, remaining: remaining, mask: mask)
        return nil
    }

    // MARK: Payload

    private mutating func unmask(_ part: some Collection<UInt8>) {
        guard var current = frame else { return }
        frame = nil
        var place = current.maskPlace
        let mask = current.mask
        if current.opcode.isControl {
            for byte in part {
                control.append(byte ^ mask[place & 3])
                place += 1
            }
        } else if let skipped {
            self.skipped = skipped + part.count
        } else {
            for byte in part {
                message.append(byte ^ mask[place & 3])
                place += 1
            }
        }
        current.maskPlace = place & 3
        current.remaining -= part.count
        frame = current
    }

    /// Takes the frame that is complete, and what it completes.
    private mutating func completed() -> Input? {
        guard let complete = frame, complete.remaining == 0 else { return nil }
        frame = nil
        if complete.opcode.isControl {
            defer { control = [] }
            switch complete.opcode {
            case .ping: return .ping(control)
            case .pong: return .pong
            case .close: return close(control)
            case .continuation, .text, .binary: return nil
            }
        }
        guard complete.isFinal else { return nil }
        defer {
            message = []
            skipped = nil
            kind = nil
        }
        guard kind == .text else { return .binary(message) }
        if let skipped { return .tooLong(bytes: skipped) }
        if String(validating: message, as: UTF8.self) == nil {
            return .failure(.notUTF8, "a text message must be UTF-8")
        }
        return .text(message)
    }

    private func close(_ payload: [UInt8]) -> Input {
        if payload.isEmpty { return .close(code: nil) }
        guard payload.count >= 2 else { return .failure(.protocolError, "a close frame has no whole code") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        switch code {
        case 1000...1003, 1007...1011, 3000...4999: break
        default: return .failure(.protocolError, "the close code may not be sent")
        }
        if String(validating: payload.dropFirst(2), as: UTF8.self) == nil {
            return .failure(.notUTF8, "the reason of a close must be UTF-8")
        }
        return .close(code: code)
    }
}
