internal import Foundation
internal import Glibc

/// A TCP connection that says exactly what a test wants it to say.
package final class SocketClient: @unchecked Sendable {
    // Safe because a test uses it from one thread at a time.
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    package struct Answer: Sendable, Equatable {
        package var status: Int
        package var head: String
        package var body: String
    }

    package struct Problem: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs blocking work on a thread of its own.
    package static func onThread<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws
        -> Result
    {
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Swift.Result { try work() }) }.start()
        }
    }

    package init(port: UInt16, seconds: Int = 30) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw Problem(description: "connect: \(errno)") }
    }

    deinit { close(descriptor) }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Problem(description: "send: \(errno)") }
            sent += count
        }
    }

    /// Empty at the end; throws when nothing comes for too long.
    package func receive() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        if count < 0, errno == ECONNRESET { return [] }
        guard count >= 0 else { throw Problem(description: "receive: \(errno)") }
        return Array(bytes.prefix(count))
    }

    package func receive(_ count: Int) throws -> [UInt8] {
        while buffer.count < count {
            let more = try receive()
            if more.isEmpty { throw Problem(description: "the end came after \(buffer.count) of \(count) bytes") }
            buffer += more
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    /// One whole answer with a length, or without a body.
    package func answer() throws -> Answer {
        let end = Array("\r\n\r\n".utf8)
        var place = find(end)
        while place == nil {
            let more = try receive()
            if more.isEmpty { throw Problem(description: "the end came within the headers: \(buffer.count) bytes") }
            buffer += more
            place = find(end)
        }
        let head = String(decoding: try receive(place! + 4), as: UTF8.self)
        let status = Int(head.split(separator: " ")[1]) ?? 0
        var length = 0
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("content-length:") {
            length = Int(line.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) ?? 0
        }
        return Answer(status: status, head: head, body: String(decoding: try receive(length), as: UTF8.self))
    }

    private func find(_ pattern: [UInt8]) -> Int? {
        var start = 0
        while let place = buffer[start...].firstIndex(of: pattern[0]), place + pattern.count <= buffer.count {
            if buffer[place..<(place + pattern.count)].elementsEqual(pattern) { return place }
            start = place + 1
        }
        return nil
    }

    /// A masked WebSocket frame.
    package static func frame(_ opcode: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0x80 | opcode]
        switch payload.count {
        case ..<126: bytes.append(0x80 | UInt8(payload.count))
        case ..<65_536: bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            bytes.append(0x80 | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: payload.count >> shift))
            }
        }
        let mask: [UInt8] = [1, 2, 3, 4]
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    package static func frame(_ text: String) -> [UInt8] { frame(1, Array(text.utf8)) }

    package static let upgrade = """
        GET /v1/atof HTTP/1.1\r
        Host: localhost\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        \r

        """
}
