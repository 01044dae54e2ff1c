/// Decides what one endpoint is sent and when: batches, repetitions, dead letters, and what is confirmed.
///
/// Pure and synchronous. Inputs are told the time (`now`, since any fixed instant, never going back) and return what
/// the shell must do afterwards. One request or dead letter is in flight at a time, so items leave in the order in
/// which they came. Nothing is dropped: an item stays until the backend has it or it is with the dead letters, unless it came
/// with a time when it expires. What is under way then stays, what waits is given up.
///
/// A batch is due when it is full (items, bytes), when its oldest item is `scheduledDelay` old, when no more would be
/// taken, or after a flush or stop. A batch that the backend refuses because of its content is sent again in halves,
/// until what is refused is a single item: that one becomes a dead letter. One bad item in 512 costs 18 requests.
package struct ExportMachine: Sendable {
    private enum Phase: Sendable {
        case idle
        case sending
        case backingOff(until: Duration)
        case deadLettering(ExportRefusal)
        case deadLetterBackingOff(ExportRefusal, until: Duration)
        case finished
    }

    private struct Waiting: Sendable {
        let item: ExportItem
        let since: Duration
        let expires: Duration?

        func isExpired(_ now: Duration) -> Bool { expires.map { $0 <= now } ?? false }
    }

    private let configuration: Configuration
    private var phase = Phase.idle
    /// Items that belong to no batch yet, in order.
    private var queue: [Waiting] = []
    private var queuedBytes = 0
    /// The batch in delivery, in as many parts as it was split into; the last part is next.
    private var parts: [ArraySlice<Waiting>] = []
    /// Items that expired behind the batch in delivery: they leave the window after it.
    private var expiredBehind = 0
    /// What left without being delivered and was not taken yet.
    private var losses: [ExportLoss] = []
    private var window = PositionWindow()
    /// Everything at or below it has arrived.
    private var through: UInt64
    /// Items with a number below it are due whatever their age.
    private var flushedNumber: UInt64 = 0

    /// Everything at or below this position is delivered or with the dead letters. Only ever grows.
    package private(set) var confirmedPosition: UInt64
    package private(set) var isStopping = false
    /// All fields but `bytesSent`, which the machine does not see.
    package private(set) var statistics = ExportStatistics()

    /// - Parameter position: What was confirmed before, by an earlier run.
    package init(configuration: Configuration, position: UInt64 = 0) {
        self.configuration = configuration
        through = position
        confirmedPosition = position
    }

    /// No further item is taken until one has left.
    package var isFull: Bool {
        statistics.queueItems >= configuration.maxQueueItems || statistics.queueBytes >= configuration.maxQueueBytes
    }

    /// Items that ever arrived, and items that ever left: a flush is complete when the second has reached the first.
    package var arrivedItems: UInt64 { window.arrived }
    package var departedItems: UInt64 { window.left }

    /// When `timePassed` has to be called, nil when time changes nothing.
    package var deadline: Duration? {
        let due: Duration?
        var expires = queue.first?.expires
        switch phase {
        case .idle:
            due = queue.first.map { $0.since + configuration.scheduledDelay }
        case .backingOff(let until), .deadLetterBackingOff(_, let until):
            due = until
            expires = parts.last?.first?.expires ?? expires
        case .sending, .deadLettering: due = nil
        case .finished: return nil
        }
        return [due, expires].compactMap { $0 }.min()
    }

    /// What left without being delivered since the last call. All of it that lies at or below `confirmedPosition` is there.
    package mutating func takeLosses() -> [ExportLoss] {
        defer { losses = [] }
        return losses
    }

    // MARK: Inputs from the producer

    /// Items came in, in the order in which they shall leave. Takes as many as fit and removes them from `items`;
    /// after `stopRequested` it takes none.
    ///
    /// - Parameter expires: when they are to be given up; not before that of earlier ones.
    package mutating func arrived(
        _ items: inout ArraySlice<ExportItem>, now: Duration, expires: Duration? = nil
    ) -> [ExportAction] {
        while !isStopping, !isFull, let item = items.popFirst() {
            queue.append(Waiting(item: item, since: now, expires: expires))
            queuedBytes += item.framedSize
            window.append(item.position)
            statistics.queueItems += 1
            statistics.queueBytes += item.framedSize
        }
        return proceed(now)
    }

    /// All items of messages up to this position have arrived.
    package mutating func advanced(through position: UInt64) -> [ExportAction] {
        through = max(through, position)
        return confirm()
    }

    /// What has arrived shall leave without waiting for a full batch. A wait after a failure is kept.
    package mutating func flushRequested(now: Duration) -> [ExportAction] {
        flushedNumber = window.arrived
        return proceed(now)
    }

    /// Nothing more will arrive, and what is there shall leave. Ends with `.finished`.
    package mutating func stopRequested(now: Duration) -> [ExportAction] {
        isStopping = true
        return proceed(now)
    }

    // MARK: Inputs from the world

    /// `deadline` was reached. Harmless when it was not.
    package mutating func timePassed(now: Duration) -> [ExportAction] {
        proceed(now)
    }

    /// The request of the last `.send` has ended.
    ///
    /// - Parameter jitter: From 0 up to 1, at random, so that collectors do not come back all at once.
    package mutating func answered(_ answer: ExportAnswer, now: Duration, jitter: Double) -> [ExportAction] {
        guard case .sending = phase, let part = parts.last else {
            preconditionFailure("an answer without a request")
        }
        var actions: [ExportAction] = []
        switch answer {
        case .delivered(let rejected, let message):
            let refused = min(rejected, part.count)
            statistics.rejected += refused
            statistics.delivered += part.count - refused
            // Nobody says which ones: as many as were refused.
            losses += part.suffix(refused).flatMap { ExportLoss.all(of: $0.item, .rejected) }
            if rejected > 0 || !message.isEmpty {
                actions = [.report(.itemsRejected(count: refused, message: message))]
            }
            actions += partLeft()
        case .deliveredUnreadable:
            statistics.unreadableAnswers += 1
            statistics.delivered += part.count
            actions = [.report(.answerUnreadable)] + partLeft()
        case .unavailable(let reason, let retryAfter):
            let wait = failed(reason, retryAfter: retryAfter, jitter: jitter)
            phase = .backingOff(until: now + wait)
            return [.report(.unavailable(reason: reason, retryIn: wait))]
        case .endpointRefused(let refusal, let retryAfter):
            let reason = refusal.reason.isEmpty ? "" : ": \(refusal.reason)"
            let wait = failed("status \(refusal.status)\(reason)", retryAfter: retryAfter, jitter: jitter)
            phase = .backingOff(until: now + wait)
            return [.report(.endpointRefused(refusal, retryIn: wait))]
        case .dataRefused(let refusal):
            actions = noteAnswer()
            guard part.count > 1 else {
                phase = .deadLettering(refusal)
                return actions + [.deadLetter(part[part.startIndex].item, refusal)]
            }
            let middle = part.startIndex + part.count / 2
            parts[parts.count - 1] = part[middle...]
            parts.append(part[..<middle])
            phase = .idle
        }
        return actions + proceed(now)
    }

    /// The item of the last `.deadLetter` is kept safe.
    package mutating func deadLettered(now: Duration) -> [ExportAction] {
        guard case .deadLettering = phase else { preconditionFailure("no dead letter was asked for") }
        statistics.deadLettered += 1
        losses += (parts.last ?? []).flatMap { ExportLoss.all(of: $0.item, .rejected) }
        return partLeft() + proceed(now)
    }

    /// The item of the last `.deadLetter` could not be kept; it is tried again later.
    package mutating func deadLetterFailed(reason: String, now: Duration, jitter: Double) -> [ExportAction] {
        guard case .deadLettering(let refusal) = phase else { preconditionFailure("no dead letter was asked for") }
        let wait = failed(reason, retryAfter: nil, jitter: jitter)
        phase = .deadLetterBackingOff(refusal, until: now + wait)
        return [.report(.deadLetterFailed(reason: reason, retryIn: wait))]
    }

    // MARK: Steps

    /// Gives up what has expired, and starts what is due and possible.
    private mutating func proceed(_ now: Duration) -> [ExportAction] {
        expire(now) + start(now)
    }

    /// What has expired and is not under way leaves.
    private mutating func expire(_ now: Duration) -> [ExportAction] {
        let before = statistics.expired
        switch phase {
        case .idle, .backingOff, .deadLetterBackingOff:
            while let part = parts.last {
                let rest = part.drop { $0.isExpired(now) }
                window.removeFirst(part.count - rest.count)
                give(up: part[..<rest.startIndex])
                guard rest.isEmpty else {
                    parts[parts.count - 1] = rest
                    break
                }
                parts.removeLast()
                // The refusal, if there was one, was about the item that is gone.
                if case .deadLetterBackingOff = phase { phase = .idle }
            }
            if parts.isEmpty { batchLeft() }
        case .sending, .deadLettering: break
        case .finished: return []
        }
        let rest = queue.drop { $0.isExpired(now) }
        let expired = queue[..<rest.startIndex]
        if !expired.isEmpty {
            queuedBytes -= expired.reduce(0) { $0 + $1.item.framedSize }
            give(up: expired)
            if parts.isEmpty { window.removeFirst(expired.count) } else { expiredBehind += expired.count }
            queue.removeFirst(expired.count)
        }
        return statistics.expired > before ? confirm() : []
    }

    private mutating func give(up expired: ArraySlice<Waiting>) {
        statistics.expired += expired.count
        statistics.queueItems -= expired.count
        statistics.queueBytes -= expired.reduce(0) { $0 + $1.item.framedSize }
        losses += expired.flatMap { ExportLoss.all(of: $0.item, .expired) }
    }

    /// Nothing is in delivery any more: what expired behind it has nothing before it.
    private mutating func batchLeft() {
        phase = .idle
        window.removeFirst(expiredBehind)
        expiredBehind = 0
    }

    private mutating func start(_ now: Duration) -> [ExportAction] {
        switch phase {
        case .idle:
            if parts.isEmpty, isDue(now) { parts = [nextBatch()] }
            if let part = parts.last {
                phase = .sending
                statistics.requests += 1
                return [.send(part.map(\.item))]
            }
            guard isStopping else { return [] }
            phase = .finished
            return [.finished]
        case .backingOff(let until):
            guard now >= until, let part = parts.last else { return [] }
            phase = .sending
            statistics.requests += 1
            statistics.retries += 1
            return [.send(part.map(\.item))]
        case .deadLetterBackingOff(let refusal, let until):
            guard now >= until, let item = parts.last?.first?.item else { return [] }
            phase = .deadLettering(refusal)
            return [.deadLetter(item, refusal)]
        case .sending, .deadLettering, .finished:
            return []
        }
    }

    private func isDue(_ now: Duration) -> Bool {
        guard let oldest = queue.first else { return false }
        return isStopping || isFull || window.left < flushedNumber
            || queue.count >= configuration.maxBatchItems || queuedBytes >= configuration.maxBatchBytes
            || now >= oldest.since + configuration.scheduledDelay
    }

    /// Takes the first items of the queue, as many as a request may have, at least one.
    private mutating func nextBatch() -> ArraySlice<Waiting> {
        var bytes = 0
        let batch = queue.prefix(configuration.maxBatchItems).prefix { waiting in
            bytes += waiting.item.framedSize
            return bytes <= configuration.maxBatchBytes
        }
        let count = max(1, batch.count)
        defer { queue.removeFirst(count) }
        let items = Array(queue.prefix(count))
        queuedBytes -= items.reduce(0) { $0 + $1.item.framedSize }
        return items[...]
    }

    /// The part in delivery has an end that is final.
    private mutating func partLeft() -> [ExportAction] {
        let part = parts.removeLast()
        phase = .idle
        window.removeFirst(part.count)
        statistics.queueItems -= part.count
        statistics.queueBytes -= part.reduce(0) { $0 + $1.item.framedSize }
        if parts.isEmpty { batchLeft() }
        return noteAnswer() + confirm()
    }

    /// The failures, if there were some, are over.
    private mutating func noteAnswer() -> [ExportAction] {
        let failures = statistics.consecutiveFailures
        statistics.consecutiveFailures = 0
        return failures > 0 ? [.report(.recovered(failures: failures))] : []
    }

    private mutating func confirm() -> [ExportAction] {
        var position = through
        // Position 0 would make everything wait for an item that has no predecessor.
        if let lowest = window.lowest { position = min(position, lowest == 0 ? 0 : lowest - 1) }
        guard position > confirmedPosition else { return [] }
        confirmedPosition = position
        return [.confirmed(position)]
    }

    /// Counts a failure and returns how long to wait after it.
    private mutating func failed(_ reason: String, retryAfter: Duration?, jitter: Double) -> Duration {
        statistics.consecutiveFailures += 1
        statistics.lastError = reason
        if let retryAfter {
            // Never below the first wait, or a server that asks for none would be asked in a tight loop.
            return max(configuration.initialBackoff, min(retryAfter, configuration.maxRetryAfter))
        }
        let doublings = min(statistics.consecutiveFailures - 1, 20)
        let backoff = min(configuration.initialBackoff * (1 << doublings), configuration.maxBackoff)
        return backoff * (0.5 + 0.5 * jitter)
    }
}
