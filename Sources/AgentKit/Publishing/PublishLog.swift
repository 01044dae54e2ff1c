internal import AgentPublishing
internal import Dispatch
internal import Logging
internal import NATSTransport

/// Says what an operator has to know, each thing once in a while: nothing for each event, and no payload.
struct PublishLog {
    private let logger: Logger
    private var times: [String: UInt64] = [:]
    private var logged: [DropReason: Int] = [:]
    private var loggedSyncs = 0

    private static let pause: UInt64 = 60_000_000_000

    init(_ logger: Logger) { self.logger = logger }

    func noSpool(_ error: PublisherError) {
        logger.error("the spool cannot be used, events stay in memory", metadata: ["error": "\(error)"])
    }

    func found(events: Int, tornBytes: Int, unreadableFiles: Int) {
        if events > 0 {
            logger.info("events of an earlier process are on disk and will be sent", metadata: ["events": "\(events)"])
        }
        if tornBytes > 0 {
            logger.warning(
                "a process was killed while it wrote to the spool; the torn record is left out",
                metadata: ["bytes": "\(tornBytes)"])
        }
        if unreadableFiles > 0 {
            logger.error(
                "files of the spool cannot be read; damaged ones were renamed to .damaged, those of a later version stay",
                metadata: ["files": "\(unreadableFiles)"])
        }
    }

    mutating func refused(_ error: NATSError) {
        guard isDue("refused \(error.code)", now: DispatchTime.now().uptimeNanoseconds) else { return }
        logger.warning("the broker did not take a message, it is sent again", metadata: ["error": "\(error)"])
    }

    mutating func notWritten(_ error: PublisherError) {
        guard isDue("disk", now: DispatchTime.now().uptimeNanoseconds) else { return }
        logger.error("events cannot be written to the spool and stay in memory", metadata: ["error": "\(error)"])
    }

    /// - Parameter count: of all.
    mutating func notForced(_ count: Int) {
        guard count > loggedSyncs, isDue("sync", now: DispatchTime.now().uptimeNanoseconds) else { return }
        loggedSyncs = count
        logger.error(
            "what was written to the spool could not be forced to the disk", metadata: ["failures_total": "\(count)"])
    }

    mutating func dropped(_ dropped: [DropReason: Int], now: UInt64) {
        for (reason, count) in dropped where count != logged[reason, default: 0] {
            guard isDue("dropped \(reason)", now: now) else { continue }
            logger.warning(
                "events were given up",
                metadata: [
                    "reason": "\(reason.rawValue)", "events": "\(count - logged[reason, default: 0])",
                    "events_total": "\(count)",
                ])
            logged[reason] = count
        }
    }

    func ended(lost: Int, onDisk bytes: Int) {
        if lost > 0 {
            logger.error(
                "the publisher ended with events in memory that the broker has not taken",
                metadata: ["events": "\(lost)"])
        }
        if bytes > 0 {
            logger.info("events wait on disk for the next process", metadata: ["bytes": "\(bytes)"])
        }
    }

    private mutating func isDue(_ what: String, now: UInt64) -> Bool {
        if let last = times[what], now < last + PublishLog.pause { return false }
        times[what] = now
        return true
    }
}
