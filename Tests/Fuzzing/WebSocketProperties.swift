internal import HTTPProtocol

enum WebSocketProperties {
    private static let maximumBytes = 300

    private static func frame(_ first: UInt8, _ payload: [UInt8], length: [UInt8]? = nil) -> [UInt8] {
        [first] + (length ?? [0x80 | UInt8(payload.count & 0x7F)]) + [1, 2, 3, 4]
            + payload.enumerated().map { $1 ^ UInt8($0 & 3 + 1) }
    }

    static let seeds: [[UInt8]] = [
        [0] + frame(0x81, Array("hello".utf8)) + frame(0x89, [7]) + frame(0x88, [0x03, 0xE8]),
        [2] + frame(0x01, Array("é".utf8)) + frame(0x8A, []) + frame(0x00, [0xC3]) + frame(0x80, [0xA9])
            + frame(0x88, []),
        [6] + frame(0x81, [UInt8](repeating: 0x61, count: 200), length: [0xFE, 0, 200]) + frame(0x82, [1]),
        [1] + frame(0x81, [0x61], length: [0xFF, 0, 0, 0, 0, 0, 0, 0, 1]),
        [3] + frame(0x81, [], length: [0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        [7] + frame(0x81, [UInt8](repeating: 0x61, count: 400), length: [0xFE, 1, 144]) + frame(0x81, [0x62]),
        [4] + frame(0x01, [UInt8](repeating: 0x61, count: 120)) + frame(0x00, [UInt8](repeating: 0x61, count: 120))
            + frame(0x80, [UInt8](repeating: 0x61, count: 61)),
    ]

    /// Pieces change nothing, and the bound on what is held is kept.
    static func check(_ input: [UInt8]) throws(FuzzFailure) {
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        var whole = WebSocketFrameReader(maximumBytes: maximumBytes)
        let expected = whole.receive(bytes)
        var reader = WebSocketFrameReader(maximumBytes: maximumBytes)
        var found: [WebSocketFrameReader.Input] = []
        let size = Int(first & 15) + 1
        for start in stride(from: 0, to: bytes.count, by: size) {
            found += reader.receive(bytes[start..<min(start + size, bytes.count)])
            try FuzzFailure.unless(reader.heldBytes <= maximumBytes + 125, "\(reader.heldBytes) bytes are held")
        }
        try FuzzFailure.unless(found == expected, "in pieces of \(size): \(found), not \(expected)")
        try FuzzFailure.unless(reader.heldBytes == whole.heldBytes, "in pieces another number of bytes is held")
        for input in expected {
            switch input {
            case .text(let text):
                try FuzzFailure.unless(String(validating: text, as: UTF8.self) != nil, "a text is not UTF-8")
                try FuzzFailure.unless(text.count <= maximumBytes, "a message is too long")
            case .tooLong(let bytes):
                try FuzzFailure.unless(bytes > maximumBytes, "a message of \(bytes) bytes is skipped")
            case .close, .failure: try FuzzFailure.unless(input == expected.last, "something comes after the end")
            case .binary, .ping, .pong: break
            }
        }
    }
}
