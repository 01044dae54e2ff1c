internal import ATOF
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
        var isStopping = false
        /// A task looks at the deadlines.
        var isExpiring = false
    }

    private let jetStream: JetStream
    private let memory: IngestMemory
    /// Of this collector's life: with a number it makes message ids that nobody has used before.
    private let instance: String
    private let metrics: Metrics
    private let state = Mutex(State())

    private static let batchBytes = 512 << 10
    private static let batchEvents = 4096

    init(_ jetStream: JetStream, instance: String, memory: IngestMemory, metrics: Metrics) {
        self.jetStream = jetStream
        self.instance = instance
        self.memory = memory
        self.metrics = metrics
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
                    || (bytes + entry.size <= IngestPublisher.batchBytes
                        && events + entry.items.count <= IngestPublisher.batchEvents)
            }.count
            let batch = Array(lane.waiting.prefix(count))
            lane.waiting.removeFirst(count)
            (lane.sending, lane.error) = (batch, nil)
            state.lanes[sender] = lane
            return batch
        }
    }

    /// - Returns: why it is not stored, or not known to be.
    private func store(_ entries: [IngestEntry], _ sender: IngestAccess.Sender) async -> String? {
        var deadline: ContinuousClock.Instant? = .now
        for entry in entries {
            // As long as one waits without an end, all do.
            if let own = entry.deadline, let latest = deadline { deadline = max(own, latest) } else { deadline = nil }
        }
        for message in messages(entries.flatMap(\.items), sender) {
            var pause = Duration.milliseconds(20)
            while let error = await failure(message) {
                guard error.isTemporary else { return error.description }
                state.withLock { $0.lanes[sender]?.error = error.description }
                metrics.add("skein_ingest_publish_retries_total")
                if let deadline, ContinuousClock.now + pause > deadline { return error.description }
                if state.withLock({ $0.isStopping }) { return "the collector is stopping" }
                do { try await Task.sleep(for: pause) } catch { return "the collector is stopping" }
                pause = min(pause * 2, .milliseconds(500))
            }
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

    private func messages(_ items: [IngestEntry.Item], _ sender: IngestAccess.Sender) -> [LaneMessage] {
        let limit = max(1024, jetStream.connection.maxPayload - 2048)
        let batchLimit = min(limit, IngestPublisher.batchBytes)
        var messages: [LaneMessage] = []
        var writer = EventBatchWriter()
        for item in items {
            switch item {
            case .event(let packed):
                if writer.count > 0, writer.bytes.count + packed.count > batchLimit {
                    messages += message(writer.bytes, SkeinHeaders.protobuf, sender, limit)
                    writer = EventBatchWriter()
                }
                writer.append(packed: packed)
            case .line(let line):
                if writer.count > 0 { messages += message(writer.bytes, SkeinHeaders.protobuf, sender, limit) }
                writer = EventBatchWriter()
                messages += message(line, SkeinHeaders.jsonLines, sender, limit)
            }
        }
        if writer.count > 0 { messages += message(writer.bytes, SkeinHeaders.protobuf, sender, limit) }
        return messages
    }

    /// One message, or the chunks of one that is larger than the server takes.
    private func message(
        _ payload: [UInt8], _ contentType: String, _ sender: IngestAccess.Sender, _ limit: Int
    ) -> [LaneMessage] {
        let number = state.withLock { state in
            state.numbers += 1
            return state.numbers
        }
        let id = "\(instance)/\(number)"
        let count = max(1, (payload.count + limit - 1) / limit)
        return (0..<count).map { part in
            var headers: NATSHeaders = [
                SkeinHeaders.messageID: count == 1
                    ? "\(sender.tenant)/\(id)" : "\(sender.tenant)/\(id)/\(part + 1)",
                SkeinHeaders.contentType: contentType,
            ]
            if count > 1 {
                headers[SkeinHeaders.chunk] = "\(part + 1)/\(count)"
                headers[SkeinHeaders.chunkID] = id
            }
            let bytes = payload[(part * limit)..<min((part + 1) * limit, payload.count)]
            return LaneMessage(
                subject: SkeinSubjects.events(tenant: sender.tenant, key: sender.key), headers: headers,
                payload: count == 1 ? payload : Array(bytes))
        }
    }
}
