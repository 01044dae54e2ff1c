/// What a publisher has done since it started, in events if not said otherwise.
package struct PublishCounts: Sendable, Equatable {
    package var appended = 0
    package var acknowledged = 0
    /// Messages handed to the broker, repeated ones too.
    package var messages = 0
    /// Messages that have to be sent again.
    package var failures = 0
    /// Written to disk.
    package var spooled = 0
    /// Read from disk, what earlier runs left too.
    package var replayed = 0
    /// Failed writes to disk.
    package var diskFailures = 0
    package var dropped: [DropReason: Int] = [:]

    package init() {}
}
