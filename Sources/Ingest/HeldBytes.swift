/// What requests hold in memory that the broker has not stored yet, against what all of them and what those of one tenant may hold.
///
/// Who finds no room waits until there is some. Unfinished lines alone could fill it, and none of them would ever be finished then: while
/// nothing is on its way to the broker that would make room, one of those that wait has the turn and goes on all the same.
package struct HeldBytes: Sendable {
    private struct Use {
        var bytes = 0
        /// Of them on their way to the broker.
        var sending = 0
    }

    private struct Waiter {
        let holder: UInt64
        let tenant: String
        /// It has begun a line.
        let isUnfinished: Bool
    }

    private let most: Int
    private let share: Int
    private var all = Use()
    private var tenants: [String: Use] = [:]
    private var waiters: [Waiter] = []
    /// Who goes on without room, until its line is complete.
    private var turn: UInt64?

    /// - Parameters:
    ///   - most: of all.
    ///   - share: of one tenant.
    package init(most: Int, share: Int) {
        self.most = most
        self.share = share
    }

    package var bytes: Int { all.bytes }

    package func hasRoom(_ tenant: String) -> Bool {
        all.bytes < most && tenants[tenant, default: Use()].bytes < share
    }

    /// More or less is held.
    ///
    /// - Parameter isSending: it is on its way to the broker; else it is a part of a line or a message.
    package mutating func add(_ bytes: Int, of tenant: String, isSending: Bool) {
        var use = tenants[tenant, default: Use()]
        use.bytes += bytes
        all.bytes += bytes
        if isSending {
            use.sending += bytes
            all.sending += bytes
        }
        tenants[tenant] = use.bytes == 0 ? nil : use
    }

    /// Whether a holder may read more; if not, `woken` names it when it may.
    package mutating func mayGoOn(_ holder: UInt64, of tenant: String, isUnfinished: Bool) -> Bool {
        if hasRoom(tenant) || turn == holder { return true }
        waiters.append(Waiter(holder: holder, tenant: tenant, isUnfinished: isUnfinished))
        return false
    }

    /// The holder has no unfinished line any longer.
    package mutating func finished(_ holder: UInt64) {
        if turn == holder { turn = nil }
    }

    /// The holder has gone.
    package mutating func left(_ holder: UInt64) {
        finished(holder)
        waiters.removeAll { $0.holder == holder }
    }

    /// Takes those that wait no longer.
    package mutating func woken() -> [UInt64] {
        if waiters.isEmpty { return [] }
        var woken: [UInt64] = []
        waiters = waiters.filter { waiter in
            let goesOn = hasRoom(waiter.tenant) || takesTurn(waiter)
            if goesOn { woken.append(waiter.holder) }
            return !goesOn
        }
        return woken
    }

    private mutating func takesTurn(_ waiter: Waiter) -> Bool {
        guard turn == nil, waiter.isUnfinished, tenants[waiter.tenant, default: Use()].sending == 0,
            all.bytes < most || all.sending == 0
        else { return false }
        turn = waiter.holder
        return true
    }
}
