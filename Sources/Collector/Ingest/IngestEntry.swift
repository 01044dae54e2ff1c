/// What one call of a producer's connection hands over, in order; stored as a whole or tried again.
struct IngestEntry: Sendable {
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
    /// Called once, on any thread: nil when the broker has stored all of it, else why not.
    let completion: @Sendable (String?) -> Void

    init(_ items: [Item], deadline: ContinuousClock.Instant?, completion: @escaping @Sendable (String?) -> Void) {
        self.items = items
        size = items.reduce(0) { $0 + $1.bytes.count }
        self.deadline = deadline
        self.completion = completion
    }
}
