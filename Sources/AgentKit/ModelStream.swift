internal import ATOF
internal import LLMCodecs
internal import Synchronization

/// The chunks of a managed model call. They are read once; whoever stops reading ends the call.
public struct ModelStream: AsyncSequence, Sendable {
    /// A chunk.
    public typealias Element = JSON

    let chunks: ModelChunks
    let state: StreamState

    /// Begins to read. The call ends when the iterator is gone.
    public func makeAsyncIterator() -> Iterator {
        Iterator(chunks: chunks.makeAsyncIterator(), reader: Reader(state: state))
    }

    /// Ends the call now; what comes later is not read. A chunk that another task is being given at this moment is the last: the end of
    /// the call follows its mark.
    public func close() { state.dropped() }

    /// Reads one chunk after the other, and notes each.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var chunks: ModelChunks.Iterator
        fileprivate let reader: Reader

        /// The next chunk; nil at the end. Throws what the provider's stream throws.
        public mutating func next() async throws -> JSON? {
            let state = reader.state
            if state.isEnded { return nil }
            do {
                guard let chunk = try await chunks.next() else {
                    // A stream that is cancelled ends as if it were complete.
                    if Task.isCancelled { state.dropped() } else { try state.finished() }
                    return nil
                }
                return try state.received(chunk) ? chunk : nil
            } catch {
                // Whatever a source throws when its reader is cancelled, the reader has stopped.
                if Task.isCancelled { state.dropped() } else { state.failed(error) }
                throw error
            }
        }
    }

    /// Notices that an iterator is gone.
    fileprivate final class Reader: Sendable {
        let state: StreamState

        init(state: StreamState) { self.state = state }

        deinit { state.dropped() }
    }
}

/// Why a stream that its provider ended is not whole.
private let missingEnd = AgentKitError(.upstreamError, "the stream ended before its last event")

/// The end of a streamed call, which comes once, whoever brings it about.
final class StreamState: Sendable {
    private let scope: AgentScope
    private let sent: Double
    private let leases: [ContinuationLease]
    private let finalize: (@Sendable ([JSON]) -> JSON)?
    private let state: Mutex<State>

    private typealias End = @Sendable (inout ModelCallMachine, JSON?, EventTime) -> [EventFields]

    private struct State: Sendable {
        var machine: ModelCallMachine
        var aggregator: (any StreamAggregator)?
        /// Kept only for `finalize`.
        var chunks: [JSON] = []
        /// How many marks of chunks are on their way out: the end follows them.
        var publishing = 0
        var isEnded = false
        /// The end that waits for them.
        var waiting: End?
    }

    init(
        scope: AgentScope, machine: ModelCallMachine, sent: Double, leases: [ContinuationLease],
        aggregator: (any StreamAggregator)?, finalize: (@Sendable ([JSON]) -> JSON)?
    ) {
        self.scope = scope
        self.sent = sent
        self.leases = leases
        self.finalize = finalize
        state = Mutex(State(machine: machine, aggregator: aggregator))
    }

    deinit { dropped() }

    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// - Returns: false when the call has ended before.
    /// - Throws: `AgentKitError` for a chunk that cannot belong to the response.
    func received(_ chunk: JSON) throws -> Bool {
        let (now, elapsed) = (scope.runtime.clock.now(), scope.runtime.clock.elapsed() - sent)
        let keeps = finalize != nil
        let noted = state.withLock { state -> (events: [EventFields], refusal: CodecError?)? in
            if state.isEnded { return nil }
            state.publishing += 1
            let events = state.machine.chunk(chunk, elapsed: elapsed, at: now, makeUUID: scope.makeUUID)
            if keeps { state.chunks.append(chunk) }
            do throws(CodecError) {
                try state.aggregator?.receive(chunk.value)
                return (events, nil)
            } catch {
                return (events, error)
            }
        }
        guard let noted else { return false }
        // Not under the lock: sanitizers and subscribers look at it.
        scope.publish(noted.events)
        let end = state.withLock { state in
            state.publishing -= 1
            return state.publishing == 0 ? state.waiting.take() : nil
        }
        if let end { publish(end) }
        if let refusal = noted.refusal { throw AgentKitError(.internalError, refusal.message) }
        return true
    }

    /// - Throws: when the provider ended the stream before its time.
    func finished() throws {
        if state.withLock({ $0.aggregator?.isComplete == false && !$0.isEnded }) { throw missingEnd }
        end { machine, value, now in machine.succeeded(response: value, at: now) }
    }

    func failed(_ error: any Error) {
        let failure = CallFailure(error, isCancelled: false)
        end { machine, value, now in machine.failed(failure, partial: value, at: now) }
    }

    func dropped() { end { machine, value, now in machine.dropped(partial: value, at: now) } }

    private func end(_ end: @escaping End) {
        let (isFirst, waits) = state.withLock { state in
            if state.isEnded { return (false, false) }
            state.isEnded = true
            if state.publishing > 0 { state.waiting = end }
            return (true, state.publishing > 0)
        }
        guard isFirst else { return }
        for lease in leases { lease.revoke() }
        if !waits { publish(end) }
    }

    /// Comes once: nothing of the state changes any more.
    private func publish(_ end: End) {
        let (taken, aggregator, chunks) = state.withLock { state in
            defer { state.chunks = [] }
            return (state.machine, state.aggregator, state.chunks)
        }
        let value = finalize.map { $0(chunks) } ?? aggregator.map { JSON($0.body) } ?? .null
        var machine = taken
        let sanitized =
            value.isNull ? nil : scope.sanitized(value, name: machine.call.name, \.modelResponseSanitizers)
        scope.publish(end(&machine, sanitized, scope.runtime.clock.now()))
    }
}
