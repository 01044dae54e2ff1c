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

/// The end of a streamed call, whoever brings it about.
final class StreamState: Sendable {
    private let call: RunningModelCall
    private let body: StreamBody
    private let sent: Double
    private let leases: [ContinuationLease]

    /// - Parameter sent: when, by the clock that is never set.
    init(_ call: RunningModelCall, _ body: StreamBody, sent: Double, leases: [ContinuationLease]) {
        self.call = call
        self.body = body
        self.sent = sent
        self.leases = leases
    }

    deinit { dropped() }

    var isEnded: Bool { call.isEnded }

    /// - Returns: false when the call has ended before.
    /// - Throws: `AgentKitError` for a chunk that cannot belong to the response.
    func received(_ chunk: JSON) throws -> Bool {
        let scope = call.scope
        let (now, elapsed) = (scope.runtime.clock.now(), scope.runtime.clock.elapsed() - sent)
        var refusal: CodecError?
        let isNoted = call.note { machine in
            refusal = body.append(chunk)
            return machine.chunk(chunk, elapsed: elapsed, at: now, makeUUID: scope.makeUUID)
        }
        if let refusal { throw AgentKitError(.internalError, refusal.message) }
        return isNoted
    }

    /// - Throws: when the provider ended the stream before its time.
    func finished() throws {
        if body.isIncomplete, !isEnded { throw missingEnd }
        end { machine, value, now in machine.succeeded(response: value, at: now) }
    }

    func failed(_ error: any Error) {
        let failure = CallFailure(error, isCancelled: false)
        end { machine, value, now in machine.failed(failure, partial: value, at: now) }
    }

    func dropped() { end { machine, value, now in machine.dropped(partial: value, at: now) } }

    private func end(_ end: @escaping @Sendable (inout ModelCallMachine, JSON?, EventTime) -> [EventFields]) {
        for lease in leases { lease.revoke() }
        // Of this object nothing may stay: it may be on its way out of memory.
        let (scope, registrations, body) = (call.scope, call.registrations, body)
        call.end { machine, now in
            let value = body.taken()
            let name = machine.call.name
            let sanitized =
                value.isNull
                ? nil : scope.sanitized(value, name: name, \.modelResponseSanitizers, through: registrations)
            return end(&machine, sanitized, now)
        }
    }
}

/// What has come of a streamed response. It grows only while its call runs.
final class StreamBody: Sendable {
    private struct State: Sendable {
        var aggregator: (any StreamAggregator)?
        /// Kept only for `finalize`.
        var chunks: [JSON] = []
    }

    private let finalize: (@Sendable ([JSON]) -> JSON)?
    private let state: Mutex<State>

    /// - Parameter aggregator: without it, and without `finalize`, nothing is kept.
    init(_ aggregator: (any StreamAggregator)?, finalize: (@Sendable ([JSON]) -> JSON)?) {
        self.finalize = finalize
        state = Mutex(State(aggregator: finalize == nil ? aggregator : nil))
    }

    /// Whether the provider has more to say before it is whole.
    var isIncomplete: Bool { state.withLock { $0.aggregator?.isComplete == false } }

    /// - Returns: why the chunk cannot belong to the response.
    func append(_ chunk: JSON) -> CodecError? {
        let keeps = finalize != nil
        return state.withLock { state in
            if keeps { state.chunks.append(chunk) }
            do throws(CodecError) {
                try state.aggregator?.receive(chunk.value)
                return nil
            } catch {
                return error
            }
        }
    }

    /// All of it, once the call has ended.
    func taken() -> JSON {
        let (aggregator, chunks) = state.withLock { state in
            defer { state.chunks = [] }
            return (state.aggregator, state.chunks)
        }
        return finalize.map { $0(chunks) } ?? aggregator.map { JSON($0.body) } ?? .null
    }
}
