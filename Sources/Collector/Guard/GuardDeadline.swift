internal import ATOF
internal import NATSTransport
internal import Stages

/// Until when whoever asks waits, as the headers of a question say it.
///
/// The time that is left counts from the arrival here; the instant is compared with the clock here, and shows what a question has waited
/// before it arrived. The earlier of both counts.
enum GuardDeadline {
    /// Of a question that says nothing.
    static let standard = Duration.seconds(2)
    /// Nobody waits longer.
    static let maximum = Duration.seconds(60)

    /// - Throws: `GuardFailure` that names the header.
    static func read(
        _ headers: NATSHeaders, arrived: ContinuousClock.Instant
    ) throws(GuardFailure) -> ContinuousClock.Instant {
        var left = standard
        if let text = headers[SkeinHeaders.timeout] {
            guard let millis = Int64(text), millis > 0 else {
                throw GuardFailure(
                    .badRequest, "\(SkeinHeaders.timeout): must be a whole number of milliseconds above 0")
            }
            left = min(.milliseconds(min(millis, 3_600_000)), maximum)
        }
        var deadline = arrived + left
        if let text = headers[SkeinHeaders.deadline] {
            guard let time = EventTime(rfc3339: text) else {
                throw GuardFailure(
                    .badRequest,
                    "\(SkeinHeaders.deadline): must be a time of RFC 3339, such as 2026-01-31T12:00:00.250Z")
            }
            let now = Wall.nanoseconds()
            // What is before 1970 is over, what is behind 2554 is far away.
            let instant = time.epochNanoseconds ?? (time.seconds < 0 ? 0 : .max)
            let rest: Duration =
                instant > now
                ? .nanoseconds(Int64(clamping: instant - now)) : .zero - .nanoseconds(Int64(clamping: now - instant))
            deadline = min(deadline, ContinuousClock.now + min(rest, maximum))
        }
        return deadline
    }

    /// What a client sends along: not the instant, for its clock may be another than the collectors'.
    static func headers(timeout: Duration) -> NATSHeaders {
        [SkeinHeaders.timeout: String(max(1, Int64(timeout / .milliseconds(1))))]
    }
}
