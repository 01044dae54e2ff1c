/// Decides what an ordered pull consumer does next. Pure: time comes in as `now`, what is to be done comes out as
/// actions.
///
/// A *generation* is one consumer on the server. Whatever makes it doubtful that the next message is the next one (a
/// gap, silence, a deletion, a reconnect, another leader) ends the generation: the owner is asked whether it may go on,
/// and the next generation starts behind the last message received. So the owner gets each message once and in order,
/// and a fenced owner stops. A stream that is no longer the one that was read ends it, with an error that says so.
///
/// Bytes: `reserved` are asked for by pulls, `held` were received and not released; both are taken from the shared
/// budget.
struct PullConsumerMachine {
    enum Action: Equatable {
        /// Ask the owner whether it may go on; the answer is `ownerAnswered`.
        case askOwner
        case create(generation: Int, startSequence: UInt64)
        /// Remove a generation from the server, as far as possible.
        case delete(generation: Int)
        /// Take bytes from the budget; the answer is `bytesGranted`, at once or later. A new request replaces one that
        /// waits.
        case reserve(preferred: Int, guaranteed: Int)
        case release(Int)
        case overdraw(Int)
        /// Ask for messages of up to `maxBytes` together; `nil` asks for one of any size.
        case pull(id: Int, generation: Int, maxBytes: Int?)
        /// Nothing comes any more.
        case end(NATSError)
    }

    /// What the server says about a pull instead of a message.
    struct Status: Equatable {
        let code: Int
        let description: String
        /// Bytes of the pull that were not used.
        let pendingBytes: Int?
    }

    private enum State: Equatable {
        case new
        case asking
        case creating
        case pulling
        /// There is no connection.
        case offline
        /// Try again then.
        case pausing(until: Duration)
        case ended
    }

    private struct Pull {
        /// `nil`: one message of any size.
        let maxBytes: Int?
        let expires: Duration
    }

    private static let overlap = 2
    private static let shortestPause = Duration.milliseconds(250)
    private static let doubtsAllowed = 3
    private static let longestPause = Duration.seconds(2)

    private let configuration: PullConsumerConfiguration
    private var state = State.new
    private(set) var generation = 0
    private(set) var lastStreamSequence: UInt64
    private var lastConsumerSequence: UInt64 = 0
    private var pulls: [Int: Pull] = [:]
    private var nextPull = 0
    private var pullSize: Int
    /// A message waits that is larger than a pull.
    private var isOversized = false
    private var awaitsBudget = false
    private var lastSign = Duration.zero
    /// Restarts without a sign of life between them.
    private var failures = 0
    /// How often in turn the server said that the stream is gone or another one.
    private var doubts = 0
    private(set) var reserved = 0
    private(set) var held = 0

    init(_ configuration: PullConsumerConfiguration) {
        self.configuration = configuration
        lastStreamSequence = max(configuration.startSequence, 1) - 1
        pullSize = configuration.minimumPull
    }

    // MARK: Owner

    mutating func started() -> [Action] {
        guard state == .new else { return [] }
        return create()
    }

    mutating func ownerAnswered(_ decision: PullConsumer.Decision) -> [Action] {
        guard state == .asking else { return [] }
        switch decision {
        case .goOn:
            return create()
        case .fenced:
            return end(
                NATSError(.fenced, "Reading \(configuration.stream) ended: its task belongs to another owner now."))
        case .fail(let error):
            return end(error)
        }
    }

    /// The owner has finished with messages of so many bytes.
    mutating func released(_ bytes: Int, now: Duration) -> [Action] {
        guard state != .ended, bytes > 0 else { return [] }
        held -= bytes
        return [.release(bytes)] + refill(now)
    }

    mutating func stopped() -> [Action] {
        end(NATSError(.closed, "Reading \(configuration.stream) was stopped."))
    }

    // MARK: Server

    mutating func created(generation created: Int, now: Duration) -> [Action] {
        guard state == .creating, created == generation else { return [.delete(generation: created)] }
        state = .pulling
        lastSign = now
        doubts = 0
        return refill(now)
    }

    mutating func creationFailed(generation failed: Int, _ error: NATSError, now: Duration) -> [Action] {
        guard state == .creating, failed == generation else { return [] }
        switch error.code {
        case .timeout:
            // It was pause enough.
            failures = 0
            return restart(now)
        case .noResponders, .disconnected, .streamFull, .unavailable, .cancelled, .protocolViolation:
            return restart(now)
        // A cluster whose members have just started may not know yet what it holds: it must say so several times, unless
        // nothing was read before.
        case .notFound, .streamChanged:
            doubts += 1
            return generation == 1 || doubts > Self.doubtsAllowed ? end(error) : restart(now)
        case .api(let code, _) where code >= 500:
            return restart(now)
        case .configuration, .unreachable, .authorization, .tls, .nameTaken, .noMessage, .wrongLastSequence,
            .wrongLastRevision,
            .payloadTooLarge, .closed, .fenced, .api:
            return end(error)
        }
    }

    /// - Returns: whether the message is the next one, and what to do.
    mutating func messageReceived(
        generation received: Int, streamSequence: UInt64, consumerSequence: UInt64, size: Int, now: Duration
    ) -> (isNext: Bool, actions: [Action]) {
        guard state == .pulling, received == generation else { return (false, []) }
        guard consumerSequence == lastConsumerSequence + 1 else { return (false, restart(now)) }
        lastConsumerSequence = consumerSequence
        lastStreamSequence = streamSequence
        lastSign = now
        failures = 0
        let covered = min(size, reserved)
        reserved -= covered
        held += size
        // A pull of one message of any size ends with the message, without a status.
        if let id = pulls.first(where: { $0.value.maxBytes == nil })?.key { pulls[id] = nil }
        var actions: [Action] = covered < size ? [.overdraw(size - covered)] : []
        if pulls.count < Self.overlap { actions += refill(now) }
        return (true, actions)
    }

    mutating func statusReceived(pull id: Int, _ status: Status, now: Duration) -> [Action] {
        guard state == .pulling, let pull = pulls[id] else { return [] }
        switch (status.code, status.description) {
        case (100, _):
            lastSign = now
            failures = 0
            return []
        case (404, _), (408, _):
            lastSign = now
            failures = 0
            if status.pendingBytes == pull.maxBytes { pullSize = configuration.minimumPull }
            return ended(id, pull, status, now)
        case (409, let words) where words.hasPrefix("Message Size Exceeds"):
            lastSign = now
            failures = 0
            pullSize = min(pullSize * 2, configuration.maximumPull)
            if status.pendingBytes == pull.maxBytes { isOversized = true }
            return ended(id, pull, status, now)
        case (409, "Batch Completed"):
            return ended(id, pull, status, now)
        case (400, let words):
            return end(
                NATSError(
                    .protocolViolation,
                    "The server refused to be asked for messages of \(configuration.stream): \(words)."))
        default:
            return restart(now)
        }
    }

    mutating func bytesGranted(_ bytes: Int, now: Duration) -> [Action] {
        awaitsBudget = false
        guard state == .pulling, pulls.count < Self.overlap else { return [.release(bytes)] }
        nextPull += 1
        let maxBytes = isOversized ? nil : bytes
        isOversized = false
        reserved += bytes
        pulls[nextPull] = Pull(maxBytes: maxBytes, expires: now + configuration.expires)
        lastSign = max(lastSign, now)
        return [.pull(id: nextPull, generation: generation, maxBytes: maxBytes)] + refill(now)
    }

    // MARK: Connection and time

    mutating func connectionLost() -> [Action] {
        guard state != .ended, state != .new else { return [] }
        state = .offline
        return [.release(forgetPulls())]
    }

    mutating func connectionRestored() -> [Action] {
        guard state == .offline else { return [] }
        state = .asking
        return [.delete(generation: generation), .askOwner]
    }

    mutating func connectionClosed() -> [Action] {
        end(NATSError(.closed, "Reading \(configuration.stream) ended: the connection is closed."))
    }

    mutating func timeAdvanced(now: Duration) -> [Action] {
        switch state {
        case .pausing(let until) where until <= now:
            state = .asking
            return [.askOwner]
        case .pulling:
            if !pulls.isEmpty, now - lastSign > configuration.heartbeat * 5 / 2 { return restart(now) }
            // The status of an expired pull may be lost; heartbeats of another would hide that.
            let stale = pulls.filter { $0.value.expires + configuration.heartbeat < now }.keys
            guard !stale.isEmpty else { return [] }
            stale.forEach { pulls[$0] = nil }
            return forgetReservationIfIdle() + refill(now)
        case .new, .asking, .creating, .offline, .pausing, .ended:
            return []
        }
    }

    // MARK: Steps

    private mutating func create() -> [Action] {
        generation += 1
        lastConsumerSequence = 0
        state = .creating
        return [.create(generation: generation, startSequence: lastStreamSequence + 1)]
    }

    /// Leaves the generation: at once the first time, later with growing pauses.
    private mutating func restart(_ now: Duration) -> [Action] {
        let freed = forgetPulls()
        let pause = failures == 0 ? .zero : min(Self.shortestPause * (1 << min(failures - 1, 10)), Self.longestPause)
        failures += 1
        state = pause == .zero ? .asking : .pausing(until: now + pause)
        let left: [Action] = [.release(freed), .delete(generation: generation)]
        return pause == .zero ? left + [.askOwner] : left
    }

    private mutating func end(_ error: NATSError) -> [Action] {
        guard state != .ended else { return [] }
        let freed = forgetPulls() + held
        held = 0
        let left: [Action] = state == .new ? [] : [.delete(generation: generation)]
        state = .ended
        return left + [.release(freed), .end(error)]
    }

    private mutating func forgetPulls() -> Int {
        defer { reserved = 0 }
        pulls = [:]
        isOversized = false
        return reserved
    }

    /// A pull has ended with a status; what it did not use goes back.
    private mutating func ended(_ id: Int, _ pull: Pull, _ status: Status, _ now: Duration) -> [Action] {
        pulls[id] = nil
        let unused = min(reserved, status.pendingBytes ?? 0)
        reserved -= unused
        return (unused > 0 ? [.release(unused)] : []) + forgetReservationIfIdle() + refill(now)
    }

    /// Our count of a message's bytes may differ from the server's by its headers' spelling: without pulls nothing is
    /// reserved.
    private mutating func forgetReservationIfIdle() -> [Action] {
        guard pulls.isEmpty, reserved > 0 else { return [] }
        defer { reserved = 0 }
        return [.release(reserved)]
    }

    /// Asks the budget for the next pull, if there is room for one.
    private mutating func refill(_ now: Duration) -> [Action] {
        let isStarved = reserved + held == 0
        guard state == .pulling, pulls.count < Self.overlap, !awaitsBudget || isStarved else { return [] }
        // The server serves overlapping pulls in turn: of the same size they would end together, and leave it nothing
        // to do.
        let size = pulls.isEmpty ? max(configuration.minimumPull, pullSize / 2) : pullSize
        guard isStarved || reserved + held + size <= configuration.window else { return [] }
        awaitsBudget = true
        return [.reserve(preferred: size, guaranteed: isStarved ? configuration.minimumPull : 0)]
    }
}
