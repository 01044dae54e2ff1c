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

    /// Ends the call now; what comes later is not read.
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
                try state.received(chunk)
                return chunk
            } catch {
                state.failed(error)
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

    private struct State: Sendable {
        var machine: ModelCallMachine
        var aggregator: (any StreamAggregator)?
        /// Kept only for `finalize`.
        var chunks: [JSON] = []
        var isEnded = false
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

    /// - Throws: `AgentKitError` for a chunk that cannot belong to the response.
    func received(_ chunk: JSON) throws {
        let (now, elapsed) = (scope.runtime.clock.now(), scope.runtime.clock.elapsed() - sent)
        let keeps = finalize != nil
        let (events, refusal) = state.withLock { state -> ([EventFields], CodecError?) in
            let events = state.machine.chunk(chunk, elapsed: elapsed, at: now, makeUUID: scope.makeUUID)
            if keeps { state.chunks.append(chunk) }
            do throws(CodecError) {
                try state.aggregator?.receive(chunk.value)
                return (events, nil)
            } catch {
                return (events, error)
            }
        }
        scope.publish(events)
        if let refusal { throw AgentKitError(.internalError, refusal.message) }
    }

    /// - Throws: when the provider ended the stream before its time.
    func finished() throws {
        if state.withLock({ $0.aggregator?.isComplete == false && !$0.isEnded }) { throw missingEnd }
        end { machine, value, now in machine.succeeded(response: value, at: now) }
    }

    func failed(_ error: any Error) {
        let failure = CallFailure(error)
        end { machine, value, now in machine.failed(failure, partial: value, at: now) }
    }

    func dropped() { end { machine, value, now in machine.dropped(partial: value, at: now) } }

    private func end(_ event: (inout ModelCallMachine, JSON?, EventTime) -> [EventFields]) {
        let taken = state.withLock { state -> (ModelCallMachine, JSON)? in
            if state.isEnded { return nil }
            state.isEnded = true
            defer { state.chunks = [] }
            let value = finalize.map { $0(state.chunks) } ?? state.aggregator.map { JSON($0.body) } ?? .null
            return (state.machine, value)
        }
        guard case (var machine, let value)? = taken else { return }
        for lease in leases { lease.revoke() }
        let sanitized =
            value.isNull
            ? nil : scope.sanitized(value, name: machine.call.name, \.modelResponseSanitizers)
        scope.publish(event(&machine, sanitized, scope.runtime.clock.now()))
    }
}
