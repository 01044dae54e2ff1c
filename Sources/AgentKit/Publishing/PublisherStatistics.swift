/// What a publisher has done since it started, in events if not said otherwise.
///
/// `appended` + found on disk = `acknowledged` + `dropped` + what is in memory and on disk.
public struct PublisherStatistics: Sendable, Equatable {
    /// Why events were given up.
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        /// There was no room in memory, and they were the oldest.
        case memoryFull = "memory_full"
        /// There was no room on disk, and they were the oldest there.
        case diskFull = "disk_full"
        /// There was no room in time, and they were the newest.
        case timedOut = "timed_out"
        /// They were larger than the maximum, or than the whole spool.
        case tooLarge = "too_large"
        /// The broker will never take them.
        case refused
        /// They were damaged on disk.
        case damaged
        /// They came after the end, or were in memory at the end.
        case closed
    }

    /// Handed to the publisher, also those that were given up.
    public internal(set) var appended = 0
    /// Stored by the broker.
    public internal(set) var acknowledged = 0
    /// Written to disk.
    public internal(set) var spooled = 0
    /// Read from disk to be sent.
    public internal(set) var replayed = 0
    /// Given up, by reason.
    public internal(set) var dropped: [Reason: Int] = [:]
    /// Messages handed to the connection, repeated ones too.
    public internal(set) var messages = 0
    /// Messages that were not acknowledged and had to be sent again.
    public internal(set) var failedMessages = 0
    /// Writes to disk that failed, and what was written and could not be forced to it.
    public internal(set) var diskFailures = 0
    /// Spool files of earlier processes of which nothing can be read: damaged ones, which are renamed to `….damaged`, and those of a later
    /// version of the library, which stay as they are.
    public internal(set) var unreadableFiles = 0
    /// Bytes at the end of spool files that a process left when it was killed in the middle of a write.
    public internal(set) var tornBytes = 0
    /// Events on disk that an earlier process had left.
    public internal(set) var found = 0
    /// In memory now, with what is on its way.
    public internal(set) var memoryBytes = 0
    /// Events in memory now.
    public internal(set) var memoryEvents = 0
    /// On disk now, also what is acknowledged and not removed yet.
    public internal(set) var diskBytes = 0
    /// The most bytes that were in memory at any time.
    public internal(set) var peakMemoryBytes = 0
    /// Runs whose numbers are remembered.
    public internal(set) var keys = 0
    /// Whether there is a connection to the broker now.
    public internal(set) var isConnected = false

    /// Of all reasons.
    public var droppedTotal: Int { dropped.values.reduce(0, +) }

    /// Nothing has happened yet.
    public init() {}
}
