/// How far a body has come that goes in chunks, and when it has to begin again.
///
/// Collectors give up a half of which nothing came for `chunk_timeout_seconds`. Who was cut off for long between two chunks would go on
/// with what nobody waits for any more. So all of them are sent again, under other message ids and the same chunk id: a collector that still
/// has the half, or has the whole already, takes them for repetitions; one that gave it up begins it anew.
package struct ChunkProgress: Sendable {
    /// How long after a chunk was sent for the first time the next one may still be sent, nanoseconds. With the time that one takes to be
    /// stored it is less than the shortest timeout that collectors can be given.
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
        if index > 0, now > previous + ChunkProgress.patience {
            index = 0
            restarts += 1
            sent = nil
        }
        if sent == nil { sent = now }
    }

    /// The broker has stored the chunk.
    package mutating func stored() {
        index += 1
        previous = sent ?? previous
        sent = nil
    }
}
