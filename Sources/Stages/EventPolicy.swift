package import ATOF
package import Middleware

/// The policy over single events, and what its scopes need whatever it says: the end of a scope that has begun goes on, and no event
/// becomes too large. `process` and the offline projections follow it alike.
package struct EventPolicy: Sendable {
    package enum Outcome: Sendable {
        case unchanged
        case changed([UInt8])
        /// A mark or the start of a scope: whoever asks sees to it that the scope's end goes the same way.
        case dropped
    }

    private var chain: MiddlewareChain
    private let maximumEventBytes: Int

    /// - Parameter maximumEventBytes: of a packed event with its root.
    package init(_ chain: MiddlewareChain, maximumEventBytes: Int = ProcessMachine.maximumEventBytes) {
        self.chain = chain
        self.maximumEventBytes = maximumEventBytes
    }

    /// Whether no event is ever changed.
    package var isEmpty: Bool { chain.isEmpty }

    package mutating func apply(_ event: Event, tenant: String, _ notes: inout ChainNotes) -> Outcome {
        switch chain.apply(event, tenant: tenant, &notes) {
        case .unchanged: return .unchanged
        case .changed(let packed):
            guard EventBatchWriter.size(ofPacked: packed.count) > maximumEventBytes else { return .changed(packed) }
            notes.failures.append(
                .init(
                    step: "chain",
                    reason: "the event would take \(packed.count) bytes, the most is \(maximumEventBytes)"))
            return withoutPayloads(event, tenant: tenant)
        case .dropped:
            // Without its end a scope that has begun would stay open for all readers.
            return event.kind == .scopeEnd ? withoutPayloads(event, tenant: tenant) : .dropped
        }
    }

    private mutating func withoutPayloads(_ event: Event, tenant: String) -> Outcome {
        chain.withoutPayloads(event, tenant: tenant).map { .changed($0) } ?? .unchanged
    }
}
