internal import Synchronization

/// Publishes to JetStream with many messages on their way at once, within a bound.
package final class Publisher: Sendable {
    package typealias Completion = @Sendable (Result<PubAck, NATSError>) -> Void

    private struct State {
        var messages = 0
        var bytes = 0
        /// Tasks that wait for room, first come first served.
        var waiters: [CheckedContinuation<Void, Never>] = []
        /// Tasks that wait until nothing is on its way.
        var drains: [CheckedContinuation<Void, Never>] = []

        func isFull(_ size: Int, _ maxMessages: Int, _ maxBytes: Int) -> Bool {
            messages >= maxMessages || (messages > 0 && bytes + size > maxBytes)
        }

        mutating func admit(_ size: Int, _ maxMessages: Int, _ maxBytes: Int) -> Bool {
            if isFull(size, maxMessages, maxBytes) { return false }
            messages += 1
            bytes += size
            return true
        }
    }

    private let jetStream: JetStream
    private let maxMessages: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    /// - Parameters: the most messages and bytes that are on their way; one message always may be.
    package init(_ jetStream: JetStream, maxMessages: Int = 1_024, maxBytes: Int = 16 << 20) {
        self.jetStream = jetStream
        self.maxMessages = maxMessages
        self.maxBytes = maxBytes
    }

    /// Sends a message, waiting first while the window is full.
    ///
    /// - Parameter completion: called exactly once with the ack or the error, on any thread; it must not block. It is
    ///   not called when this throws.
    /// - Throws: `.configuration`, `.payloadTooLarge`.
    package func publish(
        subject: String, headers: NATSHeaders = [:], payload: [UInt8], completion: @escaping Completion
    ) async throws(NATSError) {
        let connection = jetStream.connection
        try connection.check(subject: subject, headers: headers, payload: payload)
        let size = subject.utf8.count + headers.encodedSize + payload.count
        await enter(size)
        let token = connection.router.expectReply(subject: subject, timeout: jetStream.timeout) { reply in
            completion(reply.flatMap { PubAck.parse($0, subject: subject) })
            self.leave(size)
        }
        guard let token else { return }
        connection.enqueue(subject: subject, headers: headers, payload: payload, token: token)
        await connection.outbox.room()
    }

    /// Waits until every message has its ack or error.
    package func drain() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.messages > 0 { state.drains.append(continuation) }
                return state.messages == 0
            }
            if isEmpty { continuation.resume() }
        }
    }

    private func enter(_ size: Int) async {
        // A task that was woken competes with those that arrive; it asks again.
        while !state.withLock({ $0.admit(size, maxMessages, maxBytes) }) {
            await withCheckedContinuation { continuation in
                let isFull = state.withLock { state in
                    let isFull = state.isFull(size, maxMessages, maxBytes)
                    if isFull { state.waiters.append(continuation) }
                    return isFull
                }
                if !isFull { continuation.resume() }
            }
        }
    }

    private func leave(_ size: Int) {
        let resumed = state.withLock { state in
            state.messages -= 1
            state.bytes -= size
            // Half a window at once: waking a task for each ack costs more than the ack.
            let hasRoom = state.messages * 2 <= maxMessages && state.bytes * 2 <= maxBytes || state.messages == 0
            return (hasRoom ? state.waiters.takeAll() : []) + (state.messages == 0 ? state.drains.takeAll() : [])
        }
        resumed.forEach { $0.resume() }
    }
}
