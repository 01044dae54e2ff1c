internal import Ingest
internal import Synchronization

/// What requests hold that the broker has not stored yet, and who waits for room.
final class IngestMemory: Sendable {
    private struct State {
        var held: HeldBytes
        var lastHolder: UInt64 = 0
        var calls: [UInt64: @Sendable () -> Void] = [:]
    }

    private let state: Mutex<State>

    /// One tenant gets half of it at most.
    init(maximumBytes: Int) { state = Mutex(State(held: HeldBytes(most: maximumBytes, share: maximumBytes / 2))) }

    /// A number for a connection that may wait.
    func newHolder() -> UInt64 {
        state.withLock { state in
            state.lastHolder += 1
            return state.lastHolder
        }
    }

    func hasRoom(_ tenant: String) -> Bool { state.withLock { $0.held.hasRoom(tenant) } }

    /// - Parameters: as of `HeldBytes.add`.
    func add(_ bytes: Int, of tenant: String, isSending: Bool) {
        if bytes == 0 { return }
        change { $0.add(bytes, of: tenant, isSending: isSending) }
    }

    /// - Parameter call: follows, on any thread, when the answer is no, unless the holder leaves before.
    func mayGoOn(
        _ holder: UInt64, of tenant: String, isUnfinished: Bool, call: @escaping @Sendable () -> Void
    ) -> Bool {
        let mayGoOn = state.withLock { state in
            if state.held.mayGoOn(holder, of: tenant, isUnfinished: isUnfinished) { return true }
            state.calls[holder] = call
            return false
        }
        // It may have the turn.
        if !mayGoOn { change { _ in } }
        return mayGoOn
    }

    func finished(_ holder: UInt64) { change { $0.finished(holder) } }

    func left(_ holder: UInt64) {
        state.withLock { _ = $0.calls.removeValue(forKey: holder) }
        change { $0.left(holder) }
    }

    private func change(_ change: (inout HeldBytes) -> Void) {
        let calls = state.withLock { state in
            change(&state.held)
            return state.held.woken().compactMap { state.calls.removeValue(forKey: $0) }
        }
        for call in calls { call() }
    }
}
