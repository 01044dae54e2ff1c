internal import CMicroHTTPD
internal import Glibc
internal import HTTPProtocol
internal import Synchronization

/// What libmicrohttpd's threads work on: the connections and exchanges that are there.
///
/// Of a connection all calls come from one thread, one at a time. The pointers that libmicrohttpd passes are its own and live as long as
/// the call, those of a connection until its last callback. No call may block: it would hold up all connections of the thread.
final class HTTPServerCore: Sendable {
    private struct State {
        var connections: [ObjectIdentifier: HTTPConnection] = [:]
        var exchanges: [ObjectIdentifier: HTTPExchange] = [:]
        var isStopping = false
    }

    let options: HTTPServerOptions
    let handler: any HTTPHandler
    let housekeeper = HTTPHousekeeper()
    private let state = Mutex(State())
    /// Up to so many bytes of a refused body are read before the answer, so that the connection can be used again.
    private static let drainLimit = 1 << 20

    init(_ options: HTTPServerOptions, _ handler: any HTTPHandler) {
        self.options = options
        self.handler = handler
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Nobody waits any longer: libmicrohttpd must have no connection that is suspended when it stops.
    func stop() {
        let exchanges = state.withLock { state in
            state.isStopping = true
            return Array(state.exchanges.values)
        }
        housekeeper.stop()
        for exchange in exchanges { exchange.shutDown() }
    }

    func reapOverdue() {
        let connections = state.withLock { Array($0.connections.values) }
        // Of an address and of all together: who is silent must not keep others out.
        let areScarce = connections.count > options.maximumConnections * 3 / 4
        let crowded = Dictionary(grouping: connections, by: \.peer).filter {
            $1.count > options.maximumConnectionsPerAddress * 3 / 4
        }
        for connection in connections {
            switch connection.reapIfOverdue(areScarce: areScarce || crowded[connection.peer] != nil) {
            case .headers?: handler.reaped(.headers)
            case .body?: handler.reaped(.body)
            case .record?: handler.reaped(.line)
            case nil: break
            }
        }
    }

    /// Streams that are sent wait in libmicrohttpd for what comes next, and it does not look at their sockets meanwhile.
    func endStreamsOfGoneClients() {
        for exchange in state.withLock({ Array($0.exchanges.values) }) { exchange.endIfGone() }
    }

    // MARK: Callbacks

    private static func core(_ context: UnsafeMutableRawPointer?) -> HTTPServerCore? {
        context.map { Unmanaged<HTTPServerCore>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func connection(_ pointer: UnsafeMutableRawPointer?) -> HTTPConnection? {
        pointer.map { Unmanaged<HTTPConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    /// A connection was accepted, or is about to be closed. It owns its `HTTPConnection` in between.
    static let connectionChanged: MHD_NotifyConnectionCallback = { context, connection, place, change in
        guard let core = core(context), let connection, let place else { return }
        if skein_mhd_is_start(change) != 0 {
            let socket = skein_mhd_socket(connection)
            keepAlive(socket)
            let made = HTTPConnection(
                socket: socket, peer: HTTPServerRequest.peer(of: connection), limits: core.options.deadlines)
            place.pointee = Unmanaged.passRetained(made).toOpaque()
            core.state.withLock { $0.connections[ObjectIdentifier(made)] = made }
        } else if let pointer = place.pointee {
            let gone = Unmanaged<HTTPConnection>.fromOpaque(pointer).takeRetainedValue()
            place.pointee = nil
            gone.closes()
            core.state.withLock { _ = $0.connections.removeValue(forKey: ObjectIdentifier(gone)) }
        }
    }

    /// Of a peer that has vanished without a word the system tells after some minutes: streams may be silent for hours.
    private static func keepAlive(_ socket: Int32) {
        for (level, option, value) in [
            (SOL_SOCKET, SO_KEEPALIVE, Int32(1)), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 60),
            (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 20), (Int32(IPPROTO_TCP), TCP_KEEPCNT, 4),
        ] {
            var value = value
            setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// The first line of a request is there. What is returned becomes the request's context, which is made later.
    static let requestLine:
        @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? = {
            _, target, connection in
            guard let connection else { return nil }
            let target = target.map { String(cString: $0) } ?? ""
            HTTPServerCore.connection(skein_mhd_socket_context(connection))?.requestLineCame(target)
            return nil
        }

    /// Headers, a piece of the body, or its end. The request's context owns its exchange until `completed`.
    static let access: MHD_AccessHandlerCallback = {
        context, connection, path, method, version, bytes, count, place in
        guard let core = core(context), let connection, let count, let place else { return .NO }
        if let pointer = place.pointee {
            let exchange = Unmanaged<HTTPExchange>.fromOpaque(pointer).takeUnretainedValue()
            return core.goOn(exchange, connection, bytes, count)
        }
        guard let made = HTTPServerCore.connection(skein_mhd_socket_context(connection)) else { return .NO }
        let exchange = HTTPExchange(connection, made, core)
        place.pointee = Unmanaged.passRetained(exchange).toOpaque()
        let isStopping = core.state.withLock { state in
            state.exchanges[ObjectIdentifier(exchange)] = exchange
            return state.isStopping
        }
        if isStopping { return .NO }
        let request: HTTPServerRequest
        do throws(RequestFraming.Refusal) {
            request = try HTTPServerRequest(
                connection, method: method, path: path, version: version, target: made.target, peer: made.peer)
        } catch {
            var answer = core.handler.refused(error)
            // Nobody knows where the next request begins.
            answer.headers.append(("Connection", "close"))
            exchange.answer(answer)
            return core.settle(exchange, connection, mayAnswer: true, isBeginning: true)
        }
        made.note { $0.headersCame($1, isStream: request.isStream) }
        if request.isStream {
            skein_mhd_no_timeout(connection)
        } else {
            skein_mhd_timeout(connection, UInt32(max(1, core.options.deadlines.idle / .seconds(1))))
        }
        core.handler.began(request, exchange)
        let drains = request.contentLength.map { $0 <= HTTPServerCore.drainLimit } ?? false
        return core.settle(exchange, connection, mayAnswer: true, drains: drains, isBeginning: true)
    }

    /// The request is over, however. Releases its exchange.
    static let completed: MHD_RequestCompletedCallback = { context, connection, place, _ in
        guard let core = core(context), let pointer = place?.pointee else { return }
        place?.pointee = nil
        let exchange = Unmanaged<HTTPExchange>.fromOpaque(pointer).takeRetainedValue()
        core.state.withLock { _ = $0.exchanges.removeValue(forKey: ObjectIdentifier(exchange)) }
        exchange.context.note { $0.answered($1) }
        let over = exchange.over()
        over.source?.ended()
        over.receiver?.closed(wasAnswered: over.wasAnswered)
    }

    /// Hands the socket over to the thread for WebSockets, with what libmicrohttpd has read beyond the handshake.
    static let upgraded: MHD_UpgradeHandler = { context, _, request, extra, extraCount, socket, handle in
        guard let core = core(context), let handle, let request,
            let receiver = Unmanaged<HTTPExchange>.fromOpaque(request).takeUnretainedValue().takeUpgrade()
        else { return }
        let early = extra.map { Array(UnsafeRawBufferPointer(start: $0, count: extraCount)) } ?? []
        core.housekeeper.add(
            WebSocketConnection(
                socket: socket, handle: handle, receiver, early: early, core.housekeeper,
                limits: core.options.deadlines.record))
    }

    // MARK: One exchange

    private func goOn(
        _ exchange: HTTPExchange, _ connection: OpaquePointer, _ bytes: UnsafePointer<CChar>?,
        _ count: UnsafeMutablePointer<Int>
    ) -> MHD_Result {
        exchange.context.note { $0.resumed($1) }
        let isPaused = exchange.looked()
        if count.pointee > 0 {
            if isPaused {
                exchange.context.note { $0.paused($1) }
                exchange.suspend()
                return .YES
            }
            let bytes = UnsafeRawBufferPointer(start: bytes, count: count.pointee)
            count.pointee = 0
            exchange.context.note { deadlines, _ in deadlines.bodyCame(bytes.count) }
            let (receiver, isTooMuch) = exchange.receiver(for: bytes.count, discardLimit: options.discardLimit)
            if isTooMuch { return .NO }
            receiver?.received(bytes, exchange)
            // libmicrohttpd goes on with the next chunk of its buffer, also when the connection was suspended, and breaks when one is
            // suspended twice: a pause begins when it comes with more, which is left where it is.
            return settle(exchange, connection, mayAnswer: false, maySuspend: false)
        }
        exchange.context.note { deadlines, _ in deadlines.bodyEnded() }
        exchange.bodyEnded()?.ended(exchange)
        return settle(exchange, connection, mayAnswer: true)
    }

    private func settle(
        _ exchange: HTTPExchange, _ connection: OpaquePointer, mayAnswer: Bool, drains: Bool = false,
        isBeginning: Bool = false, maySuspend: Bool = true
    ) -> MHD_Result {
        switch exchange.next(mayAnswer: mayAnswer, drains: drains, isBeginning: isBeginning) {
        case .goOn: return .YES
        case .close: return .NO
        case .suspend:
            guard maySuspend else { return .YES }
            exchange.context.note { $0.paused($1) }
            exchange.suspend()
            return .YES
        case .answer(let answer): return HTTPServerCore.queue(answer, connection, exchange)
        case .upgrade(_, let accept):
            guard
                let response = MHD_create_response_for_upgrade(
                    HTTPServerCore.upgraded, Unmanaged.passUnretained(self).toOpaque())
            else { return .NO }
            MHD_add_response_header(response, "Upgrade", "websocket")
            MHD_add_response_header(response, "Sec-WebSocket-Accept", accept)
            defer { MHD_destroy_response(response) }
            exchange.context.note { deadlines, _ in deadlines.bodyEnded() }
            return MHD_queue_response(connection, UInt32(MHD_HTTP_SWITCHING_PROTOCOLS), response)
        }
    }

    private static func queue(_ answer: HTTPAnswer, _ connection: OpaquePointer, _ exchange: HTTPExchange) -> MHD_Result
    {
        let response: OpaquePointer?
        switch answer.body {
        case .bytes(var bytes):
            response = skein_mhd_answer(&bytes, bytes.count)
        case .stream:
            response = MHD_create_response_from_callback(
                UInt64.max, 16 << 10, read, Unmanaged.passRetained(exchange).toOpaque(), freeReader)
        }
        guard let response else { return .NO }
        defer { MHD_destroy_response(response) }
        for header in answer.headers { MHD_add_response_header(response, header.name, header.value) }
        return MHD_queue_response(connection, UInt32(answer.status), response)
    }

    /// Hands over a piece of a streamed answer. The response owns a reference to the exchange until `freeReader`.
    private static let read: MHD_ContentReaderCallback = { context, _, buffer, count in
        guard let context, let buffer else { return Int(MHD_CONTENT_READER_END_WITH_ERROR) }
        let exchange = Unmanaged<HTTPExchange>.fromOpaque(context).takeUnretainedValue()
        _ = exchange.looked()
        guard !exchange.isClosing, let piece = exchange.nextPiece(count) else { return -1 }
        if piece.isEmpty {
            exchange.suspend()
            return 0
        }
        piece.withUnsafeBytes { UnsafeMutableRawPointer(buffer).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        return piece.count
    }

    private static let freeReader: MHD_ContentReaderFreeCallback = { context in
        if let context { Unmanaged<HTTPExchange>.fromOpaque(context).release() }
    }
}
