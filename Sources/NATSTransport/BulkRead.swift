internal import Synchronization

/// Reads many messages of a stream by sequence, with a bounded number of requests on their way.
///
/// Any replica may answer. What none of them has is asked of the leader, whose word counts: a replica may lag.
///
/// Bound: `window` requests, and fewer while messages are so large that the answers on their way would exceed
/// `maxBytes`; one always may be. Replies arrive on cnats' delivery thread, which sends the next requests.
final class BulkRead: Sendable {
    private enum Source {
        case replicas
        case leader
    }

    private struct State {
        var source = Source.replicas
        /// Sequences still to be asked for, the next one last.
        var waiting: [UInt64]
        var underWay = 0
        var misses: [UInt64] = []
        var found: [UInt64: StoredMessage] = [:]
        var failure: NATSError?
        var tokens: Set<UInt64> = []
        /// Of the largest message among the latest: it grows at once and shrinks slowly.
        var size = 64 << 10
        var continuation: CheckedContinuation<Void, Never>?
    }

    private static let window = 64
    private static let maxBytes = 8 << 20

    private let jetStream: JetStream
    private let stream: String
    private let state: Mutex<State>

    init(_ jetStream: JetStream, stream: String, sequences: some Sequence<UInt64>) {
        self.jetStream = jetStream
        self.stream = stream
        state = Mutex(State(waiting: Set(sequences).sorted(by: >)))
    }

    func run() async throws(NATSError) -> [UInt64: StoredMessage] {
        try await finishRequests()
        let misses = state.withLock { $0.misses.takeAll() }
        if !misses.isEmpty {
            // The leader knows what cannot be there, in one answer.
            let info = try await jetStream.streamInfo(stream)
            let range = info.messages == 0 ? 1..<1 : info.firstSequence..<(info.lastSequence + 1)
            state.withLock { state in
                state.source = .leader
                state.waiting = misses.filter { range.contains($0) }.sorted(by: >)
            }
            try await finishRequests()
        }
        return state.withLock { $0.found }
    }

    /// Returns when every waiting sequence has its answer.
    private func finishRequests() async throws(NATSError) {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.continuation = continuation }
                if Task.isCancelled { cancel() }
                advance()
            }
        } onCancel: {
            cancel()
        }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    private func cancel() {
        fail(NATSError(.cancelled, "Reading messages of \(stream) was cancelled."))
        advance()
    }

    private func fail(_ error: NATSError) {
        let tokens = state.withLock { state in
            if state.failure == nil { state.failure = error }
            state.waiting = []
            defer { state.tokens = [] }
            return state.tokens
        }
        for token in tokens { jetStream.connection.router.fail(token, error) }
    }

    /// Sends as many requests as the bounds allow; wakes the reader when nothing is left.
    private func advance() {
        let (next, source, finished) = state.withLock { state in
            let room = max(1, min(Self.window, Self.maxBytes / max(state.size, 1))) - state.underWay
            let next = Array(state.waiting.suffix(max(0, room)).reversed())
            state.waiting.removeLast(next.count)
            state.underWay += next.count
            let isOver = state.waiting.isEmpty && state.underWay == 0
            return (next, state.source, isOver ? state.continuation.take() : nil)
        }
        finished?.resume()
        for sequence in next { ask(sequence, source) }
    }

    private func ask(_ sequence: UInt64, _ source: Source) {
        let connection = jetStream.connection
        let subject =
            switch source {
            case .replicas: "$JS.API.DIRECT.GET.\(stream)"
            case .leader: "$JS.API.STREAM.MSG.GET.\(stream)"
            }
        let box = TokenBox()
        let token = connection.router.expectReply(subject: subject, timeout: jetStream.timeout) { reply in
            self.answered(sequence, reply, source, box.value)
            self.advance()
        }
        // Without a connection the completion has been called.
        guard let token else { return }
        box.value = token
        let hasFailed = state.withLock { state in
            if state.failure == nil { state.tokens.insert(token) }
            return state.failure
        }
        if let hasFailed { return connection.router.fail(token, hasFailed) }
        connection.enqueue(
            subject: subject, headers: [:], payload: Array("{\"seq\":\(sequence)}".utf8), token: token)
    }

    private func answered(
        _ sequence: UInt64, _ reply: Result<NATSMessage, NATSError>, _ source: Source, _ token: UInt64?
    ) {
        let outcome: Result<StoredMessage?, NATSError>
        do throws(NATSError) {
            switch source {
            case .replicas: outcome = .success(try Self.directAnswer(reply))
            case .leader: outcome = .success(try leaderAnswer(reply))
            }
        } catch {
            outcome = .failure(error)
        }
        let failure: NATSError? = state.withLock { state in
            state.underWay -= 1
            if let token { state.tokens.remove(token) }
            switch outcome {
            case .success(let message?):
                state.found[sequence] = message
                state.size = max(message.payload.count + 512, state.size - state.size / 16)
                return nil
            case .success(nil):
                if source == .replicas { state.misses.append(sequence) }
                return nil
            case .failure(let error):
                return error
            }
        }
        if let failure { fail(failure) }
    }

    /// Nil when the replica does not have it, or did not answer in time: it may have died with the request.
    private static func directAnswer(_ reply: Result<NATSMessage, NATSError>) throws(NATSError) -> StoredMessage? {
        do throws(NATSError) {
            let message = try reply.get()
            return message.status == nil ? StoredMessage(direct: message) : nil
        } catch let error where error.code == .timeout {
            return nil
        }
    }

    private func leaderAnswer(_ reply: Result<NATSMessage, NATSError>) throws(NATSError) -> StoredMessage? {
        let message = try reply.get()
        let suffix = "STREAM.MSG.GET.\(stream)"
        if message.status == 503 { throw .silent(suffix, jetStream.connection) }
        return try StoredMessage.leaderAnswer(message.payload, about: suffix)
    }
}
