internal import AgentEvents
internal import Synchronization

/// How long `next` works: while the intercept that owns it runs (`middleware-guardrails-pii.md` 4.3).
final class ContinuationLease: Sendable {
    private let isActive = Atomic(true)

    func check() throws(AgentKitError) {
        if !isActive.load(ordering: .acquiring) {
            throw AgentKitError(.invalidArgument, "execution continuation is no longer active")
        }
    }

    func revoke() { isActive.store(false, ordering: .releasing) }
}

/// The marks of what an intercept called, in the order in which it called: which one returns first does not matter.
final class DownstreamMarks: Sendable {
    private let batches = Mutex<[[PendingMark]]>([])

    func reserve() -> Int {
        batches.withLock { batches in
            batches.append([])
            return batches.count - 1
        }
    }

    func fill(_ place: Int, _ marks: [PendingMark]) { batches.withLock { $0[place] = marks } }

    var ordered: [PendingMark] { batches.withLock { $0.flatMap(\.self) } }
}
