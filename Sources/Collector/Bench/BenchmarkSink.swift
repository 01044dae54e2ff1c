internal import Foundation
internal import Synchronization

/// An OTLP/HTTP backend on 127.0.0.1 that reads requests and answers 200 at once.
///
/// It is one thread that counts its own CPU time, so that the exporter's can be told apart from it.
final class BenchmarkSink: Sendable {
    private struct Peer {
        var descriptor: Int32
        /// Of the head that is not complete yet.
        var head: [UInt8] = []
        /// Bytes of the body that are still to come.
        var rest = 0
    }

    let port: Int
    private let listener: Int32
    private let nanoseconds = Atomic<Int64>(0)
    private let isStopped = Atomic(false)

    /// CPU time that the sink has used.
    var cpu: Duration { .nanoseconds(nanoseconds.load(ordering: .relaxed)) }

    /// - Throws: `CollectorError` when there is no free port.
    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { [listener] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard isListening else {
            close(listener)
            throw CollectorError("no port of 127.0.0.1 can be opened for the benchmark's sink (errno \(errno))")
        }
        let thread = Thread { self.serve() }
        thread.name = "bench-sink"
        thread.start()
    }

    /// Makes the thread end within its next tenth of a second.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func serve() {
        var peers: [Peer] = []
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while !isStopped.load(ordering: .relaxed) {
            var polls = ([listener] + peers.map(\.descriptor)).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&polls, nfds_t(polls.count), 100) > 0 else { continue }
            for index in peers.indices.reversed() where polls[index + 1].revents != 0 {
                let count = read(peers[index].descriptor, &buffer, buffer.count)
                if count > 0 {
                    BenchmarkSink.received(buffer[..<count], &peers[index])
                } else {
                    close(peers.remove(at: index).descriptor)
                }
            }
            if polls[0].revents != 0 {
                let descriptor = accept(listener, nil, nil)
                if descriptor >= 0 { peers.append(Peer(descriptor: descriptor)) }
            }
            nanoseconds.store(ResourceUsage.threadCPU.wholeNanoseconds, ordering: .relaxed)
        }
        for peer in peers { close(peer.descriptor) }
        close(listener)
    }

    /// Our client sends a request at a time on a connection, with `Content-Length`.
    private static func received(_ bytes: ArraySlice<UInt8>, _ peer: inout Peer) {
        if peer.rest > 0 {
            peer.rest -= bytes.count
        } else {
            peer.head += bytes
            let text = String(decoding: peer.head.prefix(4096), as: UTF8.self)
            guard let end = text.range(of: "\r\n\r\n") else { return }
            let head = text[..<end.lowerBound]
            let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
            let length = line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
            peer.rest = length - (peer.head.count - head.utf8.count - 4)
            peer.head = []
        }
        guard peer.rest <= 0 else { return }
        peer.rest = 0
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n".utf8)
        send(peer.descriptor, answer, answer.count, Int32(MSG_NOSIGNAL))
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
