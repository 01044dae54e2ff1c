/// What a publisher may hold, and what it does when that is not enough.
package struct PublishLimits: Sendable {
    /// What happens to events for which there is no room.
    package enum Policy: Sendable {
        /// Nothing is given up: who appends has to wait.
        case wait
        /// The oldest go, and are counted.
        case dropOldest
    }

    /// When events go to disk.
    package enum Spooling: Sendable {
        case never
        /// While the broker is away, or half of the memory is taken.
        case whenNeeded
        /// Before they are sent.
        case always
    }

    /// Bytes and events in memory.
    package var memoryBytes = 32 << 20
    package var memoryEvents = 100_000
    package var policy = Policy.dropOldest
    package var spooling = Spooling.never
    /// Bytes on disk.
    package var diskBytes = 1 << 30
    package var segmentBytes = 4 << 20
    /// Events and bytes of a batch, at most; one event always may be in it.
    package var batchEvents = 256
    package var batchBytes = 256 << 10
    /// On their way to the broker at the same time.
    package var flightMessages = 512
    package var flightBytes = 8 << 20
    /// Nanoseconds after which the numbers of a key are forgotten: it begins anew, under another producer name.
    package var idleLane: UInt64 = 300_000_000_000

    package init() {}

    /// What of the memory waits in batches before events go to disk.
    var spillBytes: Int { memoryBytes / 2 }
    var spillEvents: Int { memoryEvents / 2 }
    /// What comes back from disk and is not acknowledged yet has a part of its own, or a full memory could keep the disk full.
    var readWindow: Int { spooling == .never ? 0 : min(memoryBytes / 4, 8 << 20) }
    /// What new events may take.
    package var newBytes: Int { memoryBytes - readWindow }
    /// Of that, what the machine holds before it gives up the oldest. The rest is for what arrives until it comes round.
    var heldBytes: Int { newBytes / 4 * 3 }
    var heldEvents: Int { memoryEvents / 4 * 3 }
}
