internal import CMicroHTTPD
internal import Glibc
package import HTTPProtocol
internal import Synchronization

/// A WebSocket of a client, on the server's thread for them. `pause`, `resume` and `close` may be called from any thread.
package final class WebSocketConnection: Sendable {
    private struct Wishes {
        var isPaused = false
        var close: (code: WebSocketFrame.CloseCode, reason: String)?
        var isGivenBack = false
    }

    /// What only the thread touches.
    private struct Work {
        var reader: WebSocketFrameReader
        /// What the client has not taken yet; of a client that does not read it stays small.
        var outgoing: [UInt8] = []
        var deadline: RecordDeadline
        var isOpen = true
        /// The client has gone, and what it sent before is not read yet, because it is paused.
        var hasHungUp = false
        var early: [UInt8]
    }

    let socket: Int32
    /// Safe because it is used once, by `giveBack`, and libmicrohttpd keeps it until then.
    private nonisolated(unsafe) let handle: OpaquePointer
    private let receiver: any WebSocketReceiver
    private let wishes = Mutex(Wishes())
    /// Safe because only the housekeeper's thread uses it, and `giveBack` when that thread has it not.
    private nonisolated(unsafe) var work: Work
    /// Strong: what waits for the broker may resume the socket after the server has ended.
    private let housekeeper: HTTPHousekeeper

    private static let outgoingLimit = 16 << 10

    private let start = ContinuousClock.now
    private var now: Duration { ContinuousClock.now - start }

    init(
        socket: Int32, handle: OpaquePointer, _ receiver: any WebSocketReceiver,
        early: [UInt8], _ housekeeper: HTTPHousekeeper, limits: RecordDeadline.Limits
    ) {
        self.socket = socket
        self.handle = handle
        self.receiver = receiver
        self.housekeeper = housekeeper
        work = Work(
            reader: WebSocketFrameReader(maximumBytes: receiver.maximumMessageBytes), deadline: RecordDeadline(limits),
            early: early)
        _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK)
    }

    // MARK: Any thread

    /// Reads no more until `resume`; what was read already is still handed over.
    package func pause() { wishes.withLock { $0.isPaused = true } }

    /// What a `pause` of the same call has asked for is not needed. Nobody has to be woken.
    package func takeBackPause() { wishes.withLock { $0.isPaused = false } }

    package func resume() {
        wishes.withLock { $0.isPaused = false }
        housekeeper.changed(self)
    }

    package func close(_ code: WebSocketFrame.CloseCode, _ reason: String) {
        wishes.withLock { $0.close = $0.close ?? (code, reason) }
        housekeeper.changed(self)
    }

    // MARK: Housekeeper's thread

    var isPaused: Bool { wishes.withLock { $0.isPaused } }
    var isOpen: Bool { work.isOpen }
    var wantsToWrite: Bool { !work.outgoing.isEmpty && !work.hasHungUp }
    /// A hang-up would be told again and again.
    var mustNotBeWatched: Bool { work.hasHungUp && isPaused }

    func open() {
        receiver.opened(self)
        let early = work.early
        work.early = []
        early.withUnsafeBytes { take($0) }
        obey()
    }

    func read(_ buffer: UnsafeMutableRawBufferPointer) {
        guard work.isOpen else { return }
        if isPaused {
            // Only a hang-up is told now. What came before it is read when there is room again.
            work.hasHungUp = true
            return
        }
        let count = recv(socket, buffer.baseAddress, buffer.count, 0)
        if count > 0 {
            take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            end()
        }
    }

    func write() {
        guard work.isOpen, !work.outgoing.isEmpty else { return }
        let count = work.outgoing.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count > 0 {
            work.outgoing.removeFirst(count)
        } else if count < 0, errno != EAGAIN, errno != EINTR {
            // Nobody listens any longer; what was sent before is read all the same, and its end is found there.
            work.outgoing = []
        }
    }

    /// Does what was asked for from other threads.
    func obey() {
        guard let close = wishes.withLock({ $0.close }) else { return }
        shut(close.code.rawValue, close.reason)
    }

    func goAway() { shut(WebSocketFrame.CloseCode.goingAway.rawValue, "the server ends") }

    /// Ends a connection whose message drips.
    func endIfOverdue() -> Bool {
        guard work.isOpen else { return false }
        if isPaused { work.deadline.paused(now) } else { work.deadline.resumed(now) }
        guard work.deadline.isOverdue(now) else { return false }
        shut(WebSocketFrame.CloseCode.policyViolation.rawValue, "the message takes too long")
        return true
    }

    /// Gives the socket back to libmicrohttpd, which closes it.
    func giveBack() {
        guard
            wishes.withLock({ wishes in
                defer { wishes.isGivenBack = true }
                return !wishes.isGivenBack
            })
        else { return }
        work.isOpen = false
        receiver.closed()
        skein_mhd_close_upgraded(handle)
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        var isNew = !work.reader.isInMessage
        for input in work.reader.receive(bytes) {
            switch input {
            case .text(let text):
                isNew = true
                receiver.received(text, self)
            case .tooLong(let bytes):
                isNew = true
                receiver.skipped(bytes, self)
            case .binary:
                receiver.failed("a binary message came; an event is a text message")
                return shut(WebSocketFrame.CloseCode.unsupportedData.rawValue, "an event is a text message")
            case .ping(let payload):
                // A client that pings and does not read gets no more pongs.
                if work.outgoing.count < WebSocketConnection.outgoingLimit {
                    work.outgoing += WebSocketFrame.pong(payload)
                    write()
                }
            case .pong: break
            case .close(let code): return shut(code)
            case .failure(let code, let reason):
                receiver.failed(reason)
                return shut(code.rawValue, reason)
            }
        }
        // A header that drips is a message too.
        let begun = work.reader.isInMessage ? max(1, work.reader.heldBytes) : 0
        work.deadline.came(bytes.count, heldBytes: begun, isNew: isNew, now)
        receiver.came(bytes.count, heldBytes: work.reader.heldBytes, self)
    }

    private func shut(_ code: UInt16?, _ reason: String = "") {
        guard work.isOpen else { return }
        work.outgoing += WebSocketFrame.close(code, reason)
        write()
        end()
    }

    private func end() { work.isOpen = false }
}
