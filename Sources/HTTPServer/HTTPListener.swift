internal import CMicroHTTPD
internal import Foundation
internal import Glibc
internal import HTTPProtocol
internal import Synchronization

/// An HTTP/1.1 server over libmicrohttpd, with WebSockets: it listens from its making until `stop`.
///
/// The one owner of the daemon. libmicrohttpd's threads call the C functions below, which have the core as their context; it lives as long
/// as the daemon.
package final class HTTPListener: Sendable {
    /// Safe because only `stop` takes it, once, and reading the port is what it is for else.
    private struct Daemon: @unchecked Sendable { let pointer: OpaquePointer }

    private let core: HTTPServerCore
    private let daemon: Mutex<Daemon?>
    private let log: LogBox
    /// Where it listens; not 0.
    package let port: UInt16

    /// - Throws: `HTTPServerError` when it cannot listen.
    package init(_ options: HTTPServerOptions, _ handler: any HTTPHandler) throws(HTTPServerError) {
        let address = try SocketAddress(host: options.host, port: options.port)
        let core = HTTPServerCore(options, handler)
        let log = LogBox()
        guard let pointer = HTTPListener.start(options, address, core, log) else {
            throw HTTPListener.failure(options, errno, log.text)
        }
        self.core = core
        self.log = log
        port = UInt16(truncatingIfNeeded: skein_mhd_port(pointer))
        daemon = Mutex(Daemon(pointer: pointer))
        core.housekeeper.start(core)
    }

    /// Serves until the task is cancelled, then stops.
    package func run() async {
        let waiting = AsyncStream.makeStream(of: Void.self)
        for await _ in waiting.stream {}
        withExtendedLifetime(waiting.continuation) {}
        await stop()
    }

    /// Closes all connections and returns when no thread of the server runs any longer. Requests that wait for an answer get none.
    package func stop() async {
        guard let taken = daemon.withLock({ $0.take() }) else { return }
        let core = core
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            // It blocks until the daemon's threads have ended.
            let thread = Thread {
                core.stop()
                MHD_stop_daemon(taken.pointer)
                continuation.resume()
            }
            thread.name = "skein-http-stop"
            thread.start()
        }
    }

    deinit {
        guard let left = daemon.withLock({ $0.take() }) else { return }
        core.stop()
        MHD_stop_daemon(left.pointer)
    }

    // MARK: Start

    private static func start(
        _ options: HTTPServerOptions, _ address: SocketAddress, _ core: HTTPServerCore, _ log: LogBox
    ) -> OpaquePointer? {
        var settings = skein_mhd_options()
        settings.isIPv6 = address.isIPv6 ? 1 : 0
        settings.threads = UInt32(options.threads)
        settings.connectionLimit = UInt32(options.maximumConnections)
        settings.perAddressLimit = UInt32(options.maximumConnectionsPerAddress)
        settings.timeoutSeconds = UInt32(max(1, options.deadlines.idle / .seconds(1)))
        settings.connectionMemory = options.connectionBytes
        settings.context = Unmanaged.passUnretained(core).toOpaque()
        settings.log = log.pointer
        settings.onAccess = HTTPServerCore.access
        settings.onCompleted = HTTPServerCore.completed
        settings.onConnection = HTTPServerCore.connectionChanged
        settings.onRequestLine = HTTPServerCore.requestLine
        return address.withPointer { pointer in
            settings.address = pointer
            guard let tls = options.tls else { return skein_mhd_start(&settings) }
            // libmicrohttpd copies what it needs of them while it starts.
            return tls.certificate.withCString { certificate in
                tls.key.withCString { key in
                    settings.certificate = certificate
                    settings.key = key
                    return skein_mhd_start(&settings)
                }
            }
        }
    }

    private static func failure(_ options: HTTPServerOptions, _ number: Int32, _ text: String) -> HTTPServerError {
        let place = "\(options.host):\(options.port)"
        if options.tls != nil, !text.contains("bind") {
            return HTTPServerError(
                .tls, "the certificate and the key cannot be used together: are both PEM, and a pair?")
        }
        if text.contains("already in use") || number == EADDRINUSE {
            return HTTPServerError(.inUse, "\(place) is in use; free the port or choose another one")
        }
        let reason = text.isEmpty ? String(cString: strerror(number)) : String(text.prefix { $0 != "\n" })
        return HTTPServerError(.other, "\(place) cannot be used (\(reason)); choose another address or port")
    }
}

/// What libmicrohttpd says while it starts; it has the pointer as long as the daemon lives.
private final class LogBox: Sendable {
    /// Safe because only libmicrohttpd writes, while it starts, and it is read after that.
    nonisolated(unsafe) let pointer = UnsafeMutablePointer<skein_mhd_log>.allocate(capacity: 1)

    init() { pointer.initialize(to: skein_mhd_log()) }

    deinit { pointer.deallocate() }

    var text: String {
        withUnsafeBytes(of: pointer.pointee.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
