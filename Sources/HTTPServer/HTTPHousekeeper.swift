internal import CMicroHTTPD
internal import Foundation
internal import Glibc
internal import Synchronization

/// A server's thread for what libmicrohttpd does not do: it serves WebSockets and ends connections that take too long.
final class HTTPHousekeeper: Sendable {
    private struct State {
        var added: [WebSocketConnection] = []
        /// Those that have something to do for the thread, by their sockets.
        var changed: [WebSocketConnection] = []
        var isStopping = false
        var hasStarted = false
    }

    private let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
    private let bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    private let state = Mutex(State())
    private let end = DispatchSemaphore(value: 0)

    deinit {
        close(poll)
        close(bell)
    }

    func start(_ core: HTTPServerCore) {
        state.withLock { $0.hasStarted = true }
        let thread = Thread { [self] in
            run(core)
            end.signal()
        }
        thread.name = "skein-http-housekeeper"
        thread.start()
    }

    func add(_ connection: WebSocketConnection) {
        let isStopping = state.withLock { state in
            if !state.isStopping { state.added.append(connection) }
            return state.isStopping
        }
        if isStopping { connection.giveBack() } else { ring() }
    }

    /// Something was asked of the connection from another thread.
    func changed(_ connection: WebSocketConnection) {
        state.withLock { $0.changed.append(connection) }
        ring()
    }

    func stop() {
        state.withLock { $0.isStopping = true }
        ring()
        // Before the daemon stops, all sockets have to be given back.
        if state.withLock({ $0.hasStarted }) { end.wait() }
    }

    private func ring() {
        var one: UInt64 = 1
        _ = write(bell, &one, 8)
    }

    // MARK: Thread

    private func run(_ core: HTTPServerCore) {
        var connections: [Int32: WebSocketConnection] = [:]
        watch(bell, UInt32(EPOLLIN.rawValue), EPOLL_CTL_ADD)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        var nextSweep = ContinuousClock.now + .seconds(1)
        while true {
            let count = epoll_wait(poll, &events, 64, 500)
            for event in events.prefix(Int(max(0, count))) {
                if event.data.fd == bell {
                    var value: UInt64 = 0
                    _ = read(bell, &value, 8)
                } else if let connection = connections[event.data.fd] {
                    if event.events & UInt32(EPOLLOUT.rawValue) != 0 { connection.write() }
                    let other = UInt32(EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue)
                    if event.events & other != 0 { connection.read(buffer) }
                    settle(connection, &connections)
                }
            }
            let (added, changed, isStopping) = state.withLock { state in
                defer {
                    state.added = []
                    state.changed = []
                }
                return (state.added, state.changed, state.isStopping)
            }
            for connection in added {
                connections[connection.socket] = connection
                watch(connection.socket, 0, EPOLL_CTL_ADD)
                connection.open()
                settle(connection, &connections)
            }
            for connection in changed where connections[connection.socket] === connection {
                connection.obey()
                settle(connection, &connections)
            }
            if ContinuousClock.now >= nextSweep {
                nextSweep = ContinuousClock.now + .seconds(1)
                core.reapOverdue()
                core.endStreamsOfGoneClients()
                for connection in Array(connections.values) where connection.endIfOverdue() {
                    core.handler.reaped(.webSocketMessage)
                    settle(connection, &connections)
                }
            }
            if isStopping {
                for connection in Array(connections.values) {
                    connection.goAway()
                    settle(connection, &connections)
                }
                return
            }
        }
    }

    /// Watches for what the connection waits for, or lets go of it.
    private func settle(_ connection: WebSocketConnection, _ connections: inout [Int32: WebSocketConnection]) {
        guard connection.isOpen else {
            guard connections.removeValue(forKey: connection.socket) != nil else { return }
            epoll_ctl(poll, EPOLL_CTL_DEL, connection.socket, nil)
            connection.giveBack()
            return
        }
        if connection.mustNotBeWatched {
            epoll_ctl(poll, EPOLL_CTL_DEL, connection.socket, nil)
            return
        }
        var interest: UInt32 = 0
        if !connection.isPaused { interest |= UInt32(EPOLLIN.rawValue) }
        if connection.wantsToWrite { interest |= UInt32(EPOLLOUT.rawValue) }
        watch(connection.socket, interest, EPOLL_CTL_MOD)
    }

    private func watch(_ socket: Int32, _ interest: UInt32, _ operation: Int32) {
        var event = epoll_event()
        event.events = interest
        event.data.fd = socket
        if epoll_ctl(poll, operation, socket, &event) != 0, operation == EPOLL_CTL_MOD, errno == ENOENT {
            epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event)
        }
    }
}
