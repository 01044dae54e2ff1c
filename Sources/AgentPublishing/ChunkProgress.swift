/// How far a body has come that goes in chunks, and when it has to begin again.
///
/// Collectors give up a half of which nothing came for `chunk_timeout_seconds`. Who was cut off for long between two chunks would go on
/// with what nobody waits for any more. So all of them are sent again, under other message ids and the same chunk id: a collector that still
/// has the half, or has the whole already, takes them for repetitions; one that gave it up begins it anew.
package struct ChunkProgress: Sendable {
    /// How long after a chunk was sent for the first time the broker may still say that it has the next one, nanoseconds: the two are not
    /// further apart in the stream then. It is half of the shortest timeout that collectors can be given.
    package static let patience: UInt64 = 30_000_000_000

    /// The chunk that has to be stored next, from 0.
    package private(set) var index = 0
    private var restarts = 0
    /// When this chunk, and the one before it, were sent for the first time.
    private var sent: UInt64?
    private var previous: UInt64 = 0

    package init() {}

    /// What tells the messages from those of the attempts before; nil for the first one.
    package var attempt: String? { restarts == 0 ? nil : "\(restarts)" }

    /// The chunk is about to be sent, for the first time or again; it may be the first one once more.
    package mutating func sending(now: UInt64) {
        if isLate(now) { restart() }
        if sent == nil { sent = now }
    }

    /// The broker says that it has stored the chunk. When it says so late, nobody knows whether that was in time.
    package mutating func stored(now: UInt64) {
        if isLate(now) { return restart() }
        index += 1
        previous = sent ?? previous
        sent = nil
    }

    private func isLate(_ now: UInt64) -> Bool { index > 0 && now > previous + ChunkProgress.patience }

    private mutating func restart() {
        index = 0
        restarts += 1
        sent = nil
    }
}
