/// Collects an answer within its bounds while libcurl receives it. Used by one thread.
final class HTTPAnswerBuffer {
    private(set) var headers: [(name: String, value: String)] = []
    private(set) var body: [UInt8] = []
    private(set) var bodyWasCut = false
    private var headerBytes = 0

    func receive(headerLine line: UnsafeRawBufferPointer) {
        headerBytes += line.count
        guard headerBytes <= HTTPResponse.maxHeaderBytes else { return }
        // A status line begins the head of an answer, also after an informational one.
        if line.starts(with: "HTTP/".utf8) {
            headers = []
        } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            headers.append((Self.text(line[..<colon]), Self.text(line[(colon + 1)...])))
        }
    }

    /// Returns how many bytes it took.
    func receive(body piece: UnsafeRawBufferPointer) -> Int {
        let taken = min(piece.count, HTTPResponse.maxBodyBytes - body.count)
        body.append(contentsOf: piece.prefix(taken))
        bodyWasCut = taken < piece.count
        return taken
    }

    private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
        var bytes = bytes.drop(while: isBlank)
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
