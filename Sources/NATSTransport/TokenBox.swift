internal import Synchronization

/// Carries a reply's token from where it is made to where the wait is cancelled.
final class TokenBox: Sendable {
    private let token = Atomic<UInt64>(0)

    /// Tokens start at 1, so that 0 is none.
    var value: UInt64? {
        get {
            let value = token.load(ordering: .acquiring)
            return value == 0 ? nil : value
        }
        set { token.store(newValue ?? 0, ordering: .releasing) }
    }
}
