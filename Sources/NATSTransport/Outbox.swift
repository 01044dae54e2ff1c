internal import CNATS
internal import Dispatch
internal import Synchronization

/// Queues what is to be sent and hands it to cnats on a thread of its own, because cnats blocks while the socket is
/// full.
///
/// Bound: `bound` bytes and one message more for each task that publishes; those tasks wait. Order is kept.
final class Outbox: Sendable {
    struct Entry: Sendable {
        let subject: String
        let reply: String?
        /// The reply's token in the router, which hears when sending fails.
        let token: UInt64?
        let headers: NATSHeaders
        let payload: [UInt8]

        var size: Int { subject.utf8.count + headers.encodedSize + payload.count }
    }

    private struct State {
        var handle: ConnectionHandle?
        var entries: [Entry] = []
        var queuedBytes = 0
        var isScheduled = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private static let bound = 4 << 20

    /// Every cnats call on the connection runs here.
    let queue = DispatchQueue(label: "skein.nats.outbox")
    private let state = Mutex(State())
    private let onFailure: @Sendable (Entry, NATSError) -> Void

    init(onFailure: @escaping @Sendable (Entry, NATSError) -> Void) {
        self.onFailure = onFailure
    }

    func open(_ handle: ConnectionHandle) {
        state.withLock { $0.handle = handle }
    }

    var current: ConnectionHandle? { state.withLock { $0.handle } }

    /// Gives the handle back; what is enqueued from now on fails.
    func shut() -> ConnectionHandle? {
        state.withLock { $0.handle.take() }
    }

    /// Queues a message without waiting.
    func enqueue(_ entry: Entry) {
        let mustSchedule = state.withLock { state in
            state.entries.append(entry)
            state.queuedBytes += entry.size
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { queue.async { self.drain() } }
    }

    var hasRoom: Bool { state.withLock { $0.queuedBytes <= Self.bound } }

    /// Waits while more than the bound is queued.
    func room() async {
        guard state.withLock({ $0.queuedBytes > Self.bound }) else { return }
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.queuedBytes > Self.bound { state.waiters.append(continuation) }
                return state.queuedBytes <= Self.bound
            }
            if isFree { continuation.resume() }
        }
    }

    private func drain() {
        while true {
            let (handle, batch) = state.withLock { state in
                if state.entries.isEmpty { state.isScheduled = false }
                return (state.handle, state.entries.takeAll())
            }
            guard !batch.isEmpty else { return }
            var written = 0
            for entry in batch {
                written += entry.size
                if let error = write(entry, to: handle) { onFailure(entry, error) }
            }
            let resumed = state.withLock { state in
                state.queuedBytes -= written
                return state.queuedBytes <= Self.bound ? state.waiters.takeAll() : []
            }
            resumed.forEach { $0.resume() }
        }
    }

    private func write(_ entry: Entry, to handle: ConnectionHandle?) -> NATSError? {
        guard let connection = handle?.pointer else {
            return NATSError(.closed, "The message on \(entry.subject) was not sent: the connection is closed.")
        }
        let status = entry.payload.withUnsafeBytes { bytes in
            let (data, count) = (bytes.baseAddress, Int32(clamping: bytes.count))
            if entry.headers.isEmpty {
                guard let reply = entry.reply else {
                    return natsConnection_Publish(connection, entry.subject, data, count)
                }
                return natsConnection_PublishRequest(connection, entry.subject, reply, data, count)
            }
            var message: OpaquePointer?
            var status = natsMsg_Create(
                &message, entry.subject, entry.reply, data?.assumingMemoryBound(to: CChar.self), count)
            for pair in entry.headers.pairs where status == NATS_OK {
                status = natsMsgHeader_Add(message, pair.name, pair.value)
            }
            if status == NATS_OK { status = natsConnection_PublishMsg(connection, message) }
            natsMsg_Destroy(message)
            return status
        }
        return status == NATS_OK ? nil : .sending(status, subject: entry.subject)
    }
}

extension NATSError {
    /// Maps what cnats said when a message was handed to it.
    fileprivate static func sending(_ status: natsStatus, subject: String) -> NATSError {
        switch status {
        case NATS_MAX_PAYLOAD:
            return NATSError(
                .payloadTooLarge,
                "The message on \(subject) is larger than the server's max_payload; send less at once.")
        case NATS_CONNECTION_CLOSED, NATS_DRAINING:
            return NATSError(.closed, "The message on \(subject) was not sent: the connection is closed.")
        default:
            return NATSError(
                .disconnected,
                "The message on \(subject) was not sent: \(String(cString: natsStatus_GetText(status))); try again.")
        }
    }
}

extension Array {
    /// Empties the array and returns what was in it.
    mutating func takeAll() -> [Element] {
        var taken: [Element] = []
        swap(&self, &taken)
        return taken
    }
}
