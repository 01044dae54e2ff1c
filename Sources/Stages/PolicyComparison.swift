/// Notices when members have different policies. Pure: time comes in as `now`, on a monotonic clock.
///
/// Members take a new policy over one after the other, so a difference is told when it has been the same for a while, and once.
package struct PolicyComparison: Sendable {
    package enum Notice: Sendable, Hashable {
        /// Ids of the members that have another policy, by that policy.
        case differ([String: [String]])
        /// What was told is over.
        case agree
    }

    private let patience: Duration
    private var policies: Set<String> = []
    private var since = Duration.zero
    private var isTold = false
    /// Members that have another policy.
    package private(set) var differing = 0

    /// - Parameter patience: how long a difference has to last.
    package init(patience: Duration) { self.patience = patience }

    /// - Parameter others: those that live and stay. One that does not say its policy has the same.
    package mutating func compared(
        _ own: String, with others: [MembershipMachine.Sighting], now: Duration
    ) -> Notice? {
        var found: [String: [String]] = [:]
        for other in others {
            if let policy = other.policy, policy != own { found[policy, default: []].append(other.member.id) }
        }
        differing = found.values.reduce(0) { $0 + $1.count }
        if found.isEmpty {
            defer { (policies, isTold) = ([], false) }
            return isTold ? .agree : nil
        }
        let all = Set(found.keys).union([own])
        if all != policies { (policies, since, isTold) = (all, now, false) }
        guard !isTold, now - since >= patience else { return nil }
        isTold = true
        return .differ(found.mapValues { $0.sorted() })
    }
}
