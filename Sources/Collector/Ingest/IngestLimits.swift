internal import Ingest
internal import Synchronization

/// What each producer has used of what it may.
final class IngestLimits: Sendable {
    private struct State {
        var events: RateLimiter
        var bytes: RateLimiter
        var invalid: RateLimiter
    }

    private let start = ContinuousClock.now
    private let state: Mutex<State>

    /// Each may use at once what it may in two seconds; of invalid lines in ten.
    init(_ settings: CollectorConfiguration.Ingest) {
        func limiter(_ perSecond: Int, seconds: Int) -> RateLimiter {
            RateLimiter(perSecond: Double(perSecond), burst: Double(perSecond * seconds))
        }
        state = Mutex(
            State(
                events: limiter(settings.eventsPerSecond, seconds: 2),
                bytes: limiter(settings.bytesPerSecond, seconds: 2),
                invalid: limiter(settings.invalidLinesPerSecond, seconds: 10)))
    }

    private var now: Duration { ContinuousClock.now - start }

    /// How long the producer has to wait; nil when it has not.
    func wait(_ sender: IngestAccess.Sender) -> Duration? {
        let (key, now) = (IngestLimits.key(sender), now)
        return state.withLock { state in
            let waits = [state.events.wait(key, now: now), state.bytes.wait(key, now: now)]
            return waits.compactMap { $0 }.max()
        }
    }

    func use(events: Int, bytes: Int, _ sender: IngestAccess.Sender) {
        let (key, now) = (IngestLimits.key(sender), now)
        state.withLock { state in
            state.events.use(events, key, now: now)
            state.bytes.use(bytes, key, now: now)
        }
    }

    /// - Returns: whether the line may become a dead letter.
    func useInvalid(_ sender: IngestAccess.Sender, bytes: Int) -> Bool {
        let (key, now) = (IngestLimits.key(sender), now)
        return state.withLock { state in
            guard state.invalid.wait(key, now: now) == nil else { return false }
            // A long one counts for several, so that a flood of them does not fill the dead letters either.
            state.invalid.use(1 + bytes / 4096, key, now: now)
            return true
        }
    }

    private static func key(_ sender: IngestAccess.Sender) -> String { "\(sender.tenant)/\(sender.key)" }
}
