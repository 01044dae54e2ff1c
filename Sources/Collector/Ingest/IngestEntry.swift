internal import Synchronization

/// What one call of a producer's connection hands over, in order; stored as a whole or tried again.
final class IngestEntry: Sendable {
    enum Item: Sendable {
        /// A packed event.
        case event([UInt8])
        /// A line that is none: `process` makes it a dead letter, with its own bytes.
        case line([UInt8])

        var bytes: [UInt8] {
            switch self {
            case .event(let bytes), .line(let bytes): bytes
            }
        }
    }

    let items: [Item]
    let size: Int
    /// Nil waits as long as it takes.
    let deadline: ContinuousClock.Instant?
    private let completion: Mutex<(@Sendable (String?) -> Void)?>

    /// - Parameter completion: called once, on any thread: nil when the broker has stored all of it, else why not.
    init(
        _ items: [Item], size: Int, deadline: ContinuousClock.Instant?,
        completion: @escaping @Sendable (String?) -> Void
    ) {
        self.items = items
        self.size = size
        self.deadline = deadline
        self.completion = Mutex(completion)
    }

    /// Nobody waits for it any longer.
    var isComplete: Bool { completion.withLock { $0 == nil } }

    /// Does nothing the second time.
    func complete(_ failure: String?) { completion.withLock { $0.take() }?(failure) }
}
