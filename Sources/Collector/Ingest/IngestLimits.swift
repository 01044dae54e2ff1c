internal import Ingest
internal import Synchronization

/// What each producer has used of what it may, and what came from each address under whatever names.
final class IngestLimits: Sendable {
    /// Whose what was used is.
    struct Payer {
        fileprivate let producer: String
        /// What a client cannot choose: a producer's name is a header.
        fileprivate let origin: String
    }

    private struct Pair {
        var producers: RateLimiter
        var origins: RateLimiter

        /// - Parameter seconds: what each may use at once is what it may in so many.
        init(_ perSecond: Int, seconds: Int) {
            func limiter(_ factor: Int) -> RateLimiter {
                RateLimiter(perSecond: Double(perSecond * factor), burst: Double(perSecond * factor * seconds))
            }
            (producers, origins) = (limiter(1), limiter(IngestLimits.producersPerOrigin))
        }

        func wait(_ payer: Payer, now: Duration) -> Duration? {
            [producers.wait(payer.producer, now: now), origins.wait(payer.origin, now: now)].compactMap { $0 }.max()
        }

        mutating func use(_ amount: Int, _ payer: Payer, now: Duration) {
            producers.use(amount, payer.producer, now: now)
            origins.use(amount, payer.origin, now: now)
        }
    }

    private struct State {
        var events: Pair
        var bytes: Pair
        var invalid: Pair
    }

    /// An address may send what so many producers may.
    private static let producersPerOrigin = 8

    private let start = ContinuousClock.now
    private let state: Mutex<State>
    /// Without tokens a tenant is a word of the client's too.
    private let isTenantOfClient: Bool

    init(_ settings: CollectorConfiguration.Ingest) {
        isTenantOfClient = settings.access.tokens.isEmpty
        state = Mutex(
            State(
                events: Pair(settings.eventsPerSecond, seconds: 2), bytes: Pair(settings.bytesPerSecond, seconds: 2),
                invalid: Pair(settings.invalidLinesPerSecond, seconds: 10)))
    }

    private var now: Duration { ContinuousClock.now - start }

    /// - Parameter peer: the client's address.
    func payer(_ sender: IngestAccess.Sender, peer: String) -> Payer {
        Payer(
            producer: "\(sender.tenant)/\(sender.key)", origin: isTenantOfClient ? peer : "\(sender.tenant)/\(peer)")
    }

    /// How long the producer has to wait; nil when it has not.
    func wait(_ payer: Payer) -> Duration? {
        let now = now
        return state.withLock { state in
            [state.events.wait(payer, now: now), state.bytes.wait(payer, now: now)].compactMap { $0 }.max()
        }
    }

    func use(events: Int, bytes: Int, _ payer: Payer) {
        let now = now
        state.withLock { state in
            state.events.use(events, payer, now: now)
            state.bytes.use(bytes, payer, now: now)
        }
    }

    /// - Returns: whether the line may become a dead letter.
    func useInvalid(_ payer: Payer, bytes: Int) -> Bool {
        let now = now
        return state.withLock { state in
            guard state.invalid.wait(payer, now: now) == nil else { return false }
            // A long one counts for several, so that a flood of them does not fill the dead letters either.
            state.invalid.use(1 + bytes / 4096, payer, now: now)
            return true
        }
    }
}
