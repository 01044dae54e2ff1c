/// Why events were given up.
package enum DropReason: String, Sendable, CaseIterable {
    /// There was no room, and they were the oldest.
    case memoryFull = "memory_full"
    /// There was no room on disk, and they were the oldest there.
    case diskFull = "disk_full"
    /// There was no room in time for the newest.
    case timedOut = "timed_out"
    case tooLarge = "too_large"
    /// The broker will never take them.
    case refused
    /// They are damaged on disk.
    case damaged
    /// The publisher had ended, or ended with them in memory.
    case closed
}
