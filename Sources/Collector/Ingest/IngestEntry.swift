internal import Ingest
internal import Synchronization

/// What one call of a producer's connection hands over, in order; stored as a whole or tried again.
final class IngestEntry: Sendable {
    /// Why something is not stored, and how many items.
    struct Failure {
        let reason: String
        let count: Int
    }

    private struct State {
        var completion: (@Sendable (Failure?) -> Void)?
        var stored = 0
        var refusal: String?
    }

    let items: [IngestBatch.Item]
    let size: Int
    /// Nil waits as long as it takes.
    let deadline: ContinuousClock.Instant?
    private let state: Mutex<State>

    /// - Parameter completion: called once, on any thread: nil when the broker has stored all of it, else what not, as far as is known, and why.
    init(
        _ items: [IngestBatch.Item], size: Int, deadline: ContinuousClock.Instant?,
        completion: @escaping @Sendable (Failure?) -> Void
    ) {
        self.items = items
        self.size = size
        self.deadline = deadline
        state = Mutex(State(completion: completion))
    }

    /// Nobody waits for it any longer.
    var isComplete: Bool { state.withLock { $0.completion == nil } }

    /// The broker has one more of its items.
    func itemStored() { state.withLock { $0.stored += 1 } }

    /// The broker will never take one of its items; the others go on.
    func itemRefused(_ reason: String) { state.withLock { $0.refusal = $0.refusal ?? reason } }

    /// Does nothing the second time.
    ///
    /// - Parameter failure: why the rest is not stored; nil when nothing is left.
    func complete(_ failure: String?) {
        let (completion, reason, stored) = state.withLock { state in
            (state.completion.take(), failure ?? state.refusal, state.stored)
        }
        completion?(reason.map { Failure(reason: $0, count: items.count - stored) })
    }
}
