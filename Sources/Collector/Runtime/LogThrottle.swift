internal import Synchronization

/// Lets a line through once a minute for each key, so that what happens to every event does not fill the log.
package final class LogThrottle: Sendable {
    private struct Entry {
        var last: ContinuousClock.Instant
        var suppressed = 0
    }

    /// Keys come from a closed vocabulary and the names in the configuration; whatever else it is, the table stays small.
    private static let bound = 1024
    private let interval: Duration
    private let entries = Mutex<[String: Entry]>([:])

    package init(interval: Duration = .seconds(60)) { self.interval = interval }

    /// - Returns: how many were kept back since the last one, when this one is to be logged; else nil.
    package func admit(_ key: String, now: ContinuousClock.Instant = .now) -> Int? {
        entries.withLock { entries in
            if entries[key] == nil, entries.count >= LogThrottle.bound { entries.removeAll() }
            guard let entry = entries[key] else {
                entries[key] = Entry(last: now)
                return 0
            }
            guard now - entry.last >= interval else {
                entries[key]?.suppressed += 1
                return nil
            }
            entries[key] = Entry(last: now)
            return entry.suppressed
        }
    }
}
