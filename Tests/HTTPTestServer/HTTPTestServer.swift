internal import CZlib
internal import Foundation
internal import Synchronization

/// A small HTTP/1.1 server on 127.0.0.1 whose answers the test writes. Each connection has a thread of its own, so an
/// answer may block for as long as the test likes.
package final class HTTPTestServer: Sendable {
    package struct Request: Sendable {
        package var method: String
        package var path: String
        /// Names in lower case.
        package var headers: [String: String]
        package var body: [UInt8]

        /// The body, decompressed when it says so.
        package var plainBody: [UInt8] {
            headers["content-encoding"] == "gzip" ? gunzip(body) : body
        }
    }

    package struct Reply: Sendable {
        package var status: Int
        package var headers: [String: String]
        package var body: [UInt8]

        package init(_ status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    package let port: UInt16
    private let listener: Int32
    private let answer: @Sendable (Request) -> Reply
    private struct State {
        var requests: [Request] = []
        var connections: [Int32] = []
    }
    private let state = Mutex(State())

    /// - Parameter listens: Without it connections are refused until `listen()` is called.
    package init(listens: Bool = true, answer: @escaping @Sendable (Request) -> Reply) {
        self.answer = answer
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                precondition(bind(listener, generic, length) == 0 && getsockname(listener, generic, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        if listens { listen() }
    }

    deinit {
        close(listener)
    }

    package var url: String { "http://127.0.0.1:\(port)" }
    package var requests: [Request] { state.withLock { $0.requests } }
    /// How many connections were ever opened.
    package var connectionCount: Int { state.withLock { $0.connections.count } }

    package func listen() {
        precondition(Glibc.listen(listener, 16) == 0)
        Thread.detachNewThread { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                if connection < 0 { return }
                state.withLock { $0.connections.append(connection) }
                Thread.detachNewThread { [self] in serve(connection) }
            }
        }
    }

    /// Ends the threads. Call it at the end of a test.
    package func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        for connection in state.withLock({ $0.connections }) { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    private func serve(_ connection: Int32) {
        // The descriptor is not closed, so that `stop` never meets a number that was given out again.
        var received: [UInt8] = []
        while let request = read(connection, &received) {
            state.withLock { $0.requests.append(request) }
            let reply = answer(request)
            var head = "HTTP/1.1 \(reply.status) X\r\nContent-Length: \(reply.body.count)\r\n"
            for (name, value) in reply.headers { head += "\(name): \(value)\r\n" }
            var bytes = Array((head + "\r\n").utf8) + reply.body
            while !bytes.isEmpty {
                let count = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                if count <= 0 { return }
                bytes.removeFirst(count)
            }
        }
        shutdown(connection, Int32(SHUT_RDWR))
    }

    private func read(_ connection: Int32, _ received: inout [UInt8]) -> Request? {
        let blank = Array("\r\n\r\n".utf8)
        while true {
            if let end = received.firstRange(of: blank) {
                let lines = String(decoding: received[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                    guard parts.count == 2 else { return nil }
                    headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
                }
                let length = Int(headers["content-length"] ?? "0") ?? 0
                if received.count - end.upperBound >= length {
                    let words = lines[0].split(separator: " ")
                    guard words.count == 3 else { return nil }
                    let body = Array(received[end.upperBound..<(end.upperBound + length)])
                    received.removeFirst(end.upperBound + length)
                    return Request(method: String(words[0]), path: String(words[1]), headers: headers, body: body)
                }
            }
            var piece = [UInt8](repeating: 0, count: 65_536)
            let count = recv(connection, &piece, piece.count, 0)
            if count <= 0 { return nil }
            received += piece.prefix(count)
        }
    }
}

/// Decompresses one gzip member of up to 16 MiB.
package func gunzip(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return [] }
    defer { inflateEnd(&stream) }
    var input = bytes
    return [UInt8](unsafeUninitializedCapacity: 16 << 20) { output, count in
        input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(output.count)
            count = inflate(&stream, Z_FINISH) == Z_STREAM_END ? Int(stream.total_out) : 0
        }
    }
}
