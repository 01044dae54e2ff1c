internal import AgentPublishing
internal import Dispatch
internal import Ingest
internal import NATSTransport
internal import Stages
internal import Synchronization

/// Publishes to EVENTS what comes in over HTTP: of a producer one message is under way at a time, and what comes meanwhile goes together
/// with the next one.
///
/// A message is sent again under its id until the broker has it or nobody waits for it any longer. Who waits no longer is told so though what
/// it shares a message with goes on.
final class IngestPublisher: Sendable {
    private struct Lane {
        var waiting: [IngestEntry] = []
        /// On their way to the broker.
        var sending: [IngestEntry] = []
        /// Why they are not there yet.
        var error: String?

        var deadlines: [ContinuousClock.Instant] {
            (waiting + sending).compactMap { $0.isComplete ? nil : $0.deadline }
        }
    }

    private struct State {
        /// Lanes that are being worked on.
        var lanes: [IngestAccess.Sender: Lane] = [:]
        var numbers: UInt64 = 0
        /// Bytes that the stream takes, where it takes less than the server, and how long that is believed.
        var learned: (bytes: Int, until: ContinuousClock.Instant)?
        var isStopping = false
        /// A task looks at the deadlines.
        var isExpiring = false
    }

    private let jetStream: JetStream
    private let memory: IngestMemory
    /// Of this collector's life: with a number it makes message ids that nobody has used before.
    private let instance: String
    private let metrics: Metrics
    /// Nanoseconds.
    private let now: @Sendable () -> UInt64
    private let state = Mutex(State())

    private static let batchEvents = 4096

    init(
        _ jetStream: JetStream, instance: String, memory: IngestMemory, metrics: Metrics,
        now: @escaping @Sendable () -> UInt64 = { DispatchTime.now().uptimeNanoseconds }
    ) {
        self.jetStream = jetStream
        self.instance = instance
        self.memory = memory
        self.metrics = metrics
        self.now = now
    }

    /// Takes an entry over; its completion follows, whatever happens.
    func submit(_ entry: IngestEntry, of sender: IngestAccess.Sender) {
        enum Step { case refuse, wait, begin }
        // Before it can be stored, which releases it.
        memory.add(entry.size, of: sender.tenant, isSending: true)
        let (step, isFirstDeadline): (Step, Bool) = state.withLock { state in
            if state.isStopping { return (.refuse, false) }
            let isRunning = state.lanes[sender] != nil
            state.lanes[sender, default: Lane()].waiting.append(entry)
            let isFirstDeadline = entry.deadline != nil && !state.isExpiring
            if isFirstDeadline { state.isExpiring = true }
            return (isRunning ? .wait : .begin, isFirstDeadline)
        }
        switch step {
        case .refuse:
            memory.add(-entry.size, of: sender.tenant, isSending: true)
            entry.complete("the collector is stopping")
        case .wait: break
        case .begin: Task { await work(sender) }
        }
        if isFirstDeadline { Task { await expire() } }
    }

    // MARK: Deadlines

    /// Tells those whose time is over, as long as somebody has one.
    private func expire() async {
        while let next = expireDue() {
            // Cancellation only makes it earlier.
            try? await Task.sleep(until: next, clock: .continuous)
        }
    }

    /// - Returns: when to look again; nil when nobody has a deadline.
    private func expireDue() -> ContinuousClock.Instant? {
        let now = ContinuousClock.now
        var expired: [(entry: IngestEntry, error: String?)] = []
        var removed: [(bytes: Int, tenant: String)] = []
        let next = state.withLock { state in
            var next: ContinuousClock.Instant?
            for (sender, lane) in state.lanes {
                let deadlines = lane.deadlines
                if let earliest = deadlines.min(), earliest <= now {
                    func isDue(_ entry: IngestEntry) -> Bool { entry.deadline.map { $0 <= now } ?? false }
                    let (waiting, sending) = (lane.waiting.filter(isDue), lane.sending.filter(isDue))
                    expired += (waiting + sending).map { ($0, lane.error) }
                    removed.append((waiting.reduce(0) { $0 + $1.size }, sender.tenant))
                    state.lanes[sender]?.waiting.removeAll(where: isDue)
                }
                next = deadlines.filter { $0 > now }.reduce(next) { first, one in first.map { min($0, one) } ?? one }
            }
            if next == nil { state.isExpiring = false }
            return next
        }
        for (bytes, tenant) in removed { memory.add(-bytes, of: tenant, isSending: true) }
        for (entry, error) in expired { entry.complete(error ?? "the broker has not taken it in time") }
        return next
    }

    /// Waits until nothing is under way, at most so long; what is left then fails.
    func drain(within time: Duration) async {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline, state.withLock({ !$0.lanes.isEmpty }) {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { break }
        }
        state.withLock { $0.isStopping = true }
    }

    // MARK: Lanes

    private func work(_ sender: IngestAccess.Sender) async {
        while let entries = takeBatch(sender) {
            let failure = await store(entries, sender)
            memory.add(-entries.reduce(0) { $0 + $1.size }, of: sender.tenant, isSending: true)
            for entry in entries { entry.complete(failure) }
        }
    }

    private func takeBatch(_ sender: IngestAccess.Sender) -> [IngestEntry]? {
        state.withLock { state in
            guard var lane = state.lanes[sender], !lane.waiting.isEmpty else {
                state.lanes[sender] = nil
                return nil
            }
            var bytes = 0
            var events = 0
            let count = lane.waiting.prefix { entry in
                defer {
                    bytes += entry.size
                    events += entry.items.count
                }
                return bytes == 0
                    || (bytes + entry.size <= IngestBatch.joinedBytes
                        && events + entry.items.count <= IngestPublisher.batchEvents)
            }.count
            let batch = Array(lane.waiting.prefix(count))
            lane.waiting.removeFirst(count)
            (lane.sending, lane.error) = (batch, nil)
            state.lanes[sender] = lane
            return batch
        }
    }

    /// Tells the entries what is stored of them and what is refused for good; what follows something refused goes on.
    ///
    /// - Returns: why the rest is not stored, or not known to be; nil when there is none.
    private func store(_ entries: [IngestEntry], _ sender: IngestAccess.Sender) async -> String? {
        var deadline: ContinuousClock.Instant? = .now
        for entry in entries {
            // As long as one waits without an end, all do.
            if let own = entry.deadline, let latest = deadline { deadline = max(own, latest) } else { deadline = nil }
        }
        var owners = entries.flatMap { Array(repeating: $0, count: $0.items.count) }[...]
        var batch = IngestBatch(entries.flatMap(\.items), limit: messageBytes)
        var id = ""
        var pause = Duration.milliseconds(20)
        while let part = batch.next(now: now()) {
            if part.isNew { id = newID() }
            guard let error = await failure(message(part, id, sender)) else {
                let count = batch.stored(now: now())
                for entry in owners.prefix(count) { entry.itemStored() }
                owners = owners.dropFirst(count)
                pause = .milliseconds(20)
                continue
            }
            guard error.isTemporary else {
                let count = batch.refused(isTooLarge: error.code == .payloadTooLarge)
                for entry in owners.prefix(count) { entry.itemRefused(error.description) }
                owners = owners.dropFirst(count)
                if count == 0 { learn(batch.limit) }
                continue
            }
            state.withLock { $0.lanes[sender]?.error = error.description }
            metrics.add("skein_ingest_publish_retries_total")
            if let deadline, ContinuousClock.now + pause > deadline { return error.description }
            if state.withLock({ $0.isStopping }) { return "the collector is stopping" }
            do { try await Task.sleep(for: pause) } catch { return "the collector is stopping" }
            pause = min(pause * 2, .milliseconds(500))
        }
        return nil
    }

    private func failure(_ message: LaneMessage) async -> NATSError? {
        do throws(NATSError) {
            _ = try await jetStream.publish(
                subject: message.subject, headers: message.headers, payload: message.payload)
            return nil
        } catch {
            return error
        }
    }

    // MARK: Messages

    /// Bytes of a message, without its headers and subject.
    private var messageBytes: Int {
        let most = max(IngestBatch.leastBytes, jetStream.connection.maxPayload - 2048)
        let now = ContinuousClock.now
        return state.withLock { state in
            guard let learned = state.learned, now < learned.until else { return most }
            return min(most, learned.bytes)
        }
    }

    /// Keeps for a while that the stream takes less than the server says, for all producers. Somebody may raise it again.
    private func learn(_ bytes: Int) {
        let until = ContinuousClock.now + .seconds(60)
        state.withLock { $0.learned = (bytes, until) }
    }

    private func newID() -> String {
        let number = state.withLock { state in
            state.numbers += 1
            return state.numbers
        }
        return "\(instance)/\(number)"
    }

    private func message(_ part: IngestBatch.Message, _ id: String, _ sender: IngestAccess.Sender) -> LaneMessage {
        let whole = ChunkedMessage(
            tenant: sender.tenant, key: sender.key, id: id,
            contentType: part.isLine ? SkeinHeaders.jsonLines : SkeinHeaders.protobuf, bytes: part.body)
        return LaneMessage(whole.message(part.index, limit: part.limit, attempt: part.attempt))
    }
}
