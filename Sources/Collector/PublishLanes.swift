package import AgentPublishing
package import NATSTransport
internal import Synchronization

/// A message that has to be stored.
package struct LaneMessage: Sendable {
    package let subject: String
    package let headers: NATSHeaders
    package let payload: [UInt8]

    package init(subject: String, headers: NATSHeaders, payload: [UInt8]) {
        self.subject = subject
        self.headers = headers
        self.payload = payload
    }

    /// A batch of events as every publisher of Skein sends it.
    package init(_ message: EventMessage) {
        var headers = NATSHeaders()
        for header in message.headers { headers.add(header.name, header.value) }
        self.init(subject: message.subject, headers: headers, payload: message.payload)
    }
}

/// Publishes to JetStream in lanes: of a lane one message is under way at a time, and the next one only when the broker has stored it.
///
/// A message whose ack does not come is sent again until its patience ends; its message id makes that harmless. Bounded by messages and
/// bytes: who sends waits. After a failure nothing more is sent.
package final class PublishLanes: Sendable {
    private struct State {
        /// The end of each lane, and how many messages it has.
        var lanes: [String: (last: Task<Void, Never>, count: Int)] = [:]
        var messages = 0
        var bytes = 0
        var failure: (any Error)?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let jetStream: JetStream
    private let patience: Duration
    private let maxMessages: Int
    private let maxBytes: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - patience: how long a message is sent again.
    ///   - maxMessages: that wait or are under way; one always may be, whatever its size.
    package init(
        _ jetStream: JetStream, patience: Duration = .seconds(30), maxMessages: Int = 1_024, maxBytes: Int = 16 << 20
    ) {
        self.jetStream = jetStream
        self.patience = patience
        self.maxMessages = maxMessages
        self.maxBytes = maxBytes
    }

    /// Hands messages to a lane, in order; waits while too much is under way. One caller at a time.
    ///
    /// - Throws: the first failure of any lane.
    package func send(_ messages: [LaneMessage], key: String) async throws {
        let bytes = messages.reduce(0) { $0 + $1.payload.count }
        while state.withLock({ $0.messages > 0 && ($0.messages >= maxMessages || $0.bytes + bytes > maxBytes) }) {
            await somethingEnds()
        }
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            let previous = state.lanes[key]
            state.messages += messages.count
            state.bytes += bytes
            let task = Task {
                await previous?.last.value
                await deliver(messages)
                ended(key, messages.count, bytes)
            }
            state.lanes[key] = (task, (previous?.count ?? 0) + messages.count)
        }
    }

    /// Returns when everything is stored.
    ///
    /// - Throws: the first failure of any lane.
    package func finish() async throws {
        while state.withLock({ $0.messages > 0 }) { await somethingEnds() }
        try state.withLock { if let failure = $0.failure { throw failure } }
    }

    private func somethingEnds() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.messages > 0 { state.waiters.append(continuation) }
                return state.messages == 0
            }
            if isIdle { continuation.resume() }
        }
    }

    private func ended(_ key: String, _ count: Int, _ bytes: Int) {
        let waiters = state.withLock { state in
            state.messages -= count
            state.bytes -= bytes
            state.lanes[key]?.count -= count
            if state.lanes[key]?.count == 0 { state.lanes[key] = nil }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func deliver(_ messages: [LaneMessage]) async {
        for message in messages {
            guard state.withLock({ $0.failure == nil }) else { return }
            do {
                try await store(message)
            } catch {
                return state.withLock { $0.failure = $0.failure ?? error }
            }
        }
    }

    private func store(_ message: LaneMessage) async throws {
        let deadline = ContinuousClock.now + patience
        while true {
            do throws(NATSError) {
                _ = try await jetStream.publish(
                    subject: message.subject, headers: message.headers, payload: message.payload)
                return
            } catch {
                guard error.isTemporary, ContinuousClock.now < deadline else { throw error }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
