internal import Synchronization

/// Bounds the bytes that all pull consumers of the process have asked for or hold.
///
/// Above the bound go only: the smallest pull of each consumer that would otherwise have nothing, and single messages
/// that are larger than the pull they answer. So the most is `total + consumers × (smallest pull + two of the largest
/// messages)`.
package final class PrefetchBudget: Sendable {
    private struct Waiter {
        let token: UInt64
        let bytes: Int
        let grant: @Sendable (Int) -> Void
    }

    private struct State {
        var used = 0
        var peak = 0
        /// First come, first served.
        var waiters: [Waiter] = []

        mutating func use(_ bytes: Int) {
            used += bytes
            peak = max(peak, used)
        }
    }

    package let total: Int
    private let state = Mutex(State())

    package init(total: Int) {
        self.total = total
    }

    /// Bytes asked for or held now.
    package var used: Int { state.withLock { $0.used } }

    /// The most bytes that were in use at once.
    package var peak: Int { state.withLock { $0.peak } }

    /// Takes `preferred` bytes, at most an eighth of the budget, if they are free and nobody waits; else `guaranteed`
    /// bytes in any case if that is more than 0.
    ///
    /// - Returns: the bytes taken; 0 when the consumer has been queued, and `grant` will be called later with what it
    ///   gets.
    func reserve(
        preferred: Int, guaranteed: Int, token: UInt64, grant: @escaping @Sendable (Int) -> Void
    ) -> Int {
        let preferred = min(preferred, max(total / 8, 1))
        return state.withLock { state in
            state.waiters.removeAll { $0.token == token }
            let isFree = state.waiters.isEmpty && state.used + preferred <= total
            let taken = isFree ? preferred : guaranteed
            if taken == 0 { state.waiters.append(Waiter(token: token, bytes: preferred, grant: grant)) }
            state.use(taken)
            return taken
        }
    }

    /// Counts bytes that have arrived without having been reserved.
    func overdraw(_ bytes: Int) {
        state.withLock { $0.use(bytes) }
    }

    func release(_ bytes: Int) {
        let granted = state.withLock { state in
            state.used -= bytes
            var granted: [Waiter] = []
            while let first = state.waiters.first, state.used + first.bytes <= total {
                state.use(first.bytes)
                granted.append(state.waiters.removeFirst())
            }
            return granted
        }
        granted.forEach { $0.grant($0.bytes) }
    }

    /// Takes a consumer out of the queue.
    func cancel(_ token: UInt64) {
        state.withLock { $0.waiters.removeAll { $0.token == token } }
        release(0)
    }
}
