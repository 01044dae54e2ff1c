internal import ATOF
internal import Ingest
internal import NATSTransport
internal import Stages
internal import Synchronization

/// Publishes to EVENTS what comes in over HTTP: of a producer one message is under way at a time, and what comes meanwhile goes together
/// with the next one.
///
/// A message is sent again under its id until the broker has it or nobody waits for it any longer.
final class IngestPublisher: Sendable {
    private struct Lane {
        var waiting: [IngestEntry] = []
    }

    private struct State {
        /// Lanes that are being worked on.
        var lanes: [IngestAccess.Sender: Lane] = [:]
        var heldBytes = 0
        var numbers: UInt64 = 0
        var isStopping = false
        /// Called when there is room again.
        var waiters: [@Sendable () -> Void] = []
    }

    private let jetStream: JetStream
    private let maximumHeldBytes: Int
    /// Of this collector's life: with a number it makes message ids that nobody has used before.
    private let instance: String
    private let metrics: Metrics
    private let state = Mutex(State())

    private static let batchBytes = 512 << 10
    private static let batchEvents = 4096

    init(_ jetStream: JetStream, instance: String, maximumHeldBytes: Int, metrics: Metrics) {
        self.jetStream = jetStream
        self.instance = instance
        self.maximumHeldBytes = maximumHeldBytes
        self.metrics = metrics
    }

    /// Whether what is held leaves room for more.
    var hasRoom: Bool { state.withLock { $0.heldBytes < maximumHeldBytes } }

    /// Bytes that somebody holds who is not a message yet.
    func reserve(_ bytes: Int) {
        guard bytes != 0 else { return }
        release(-bytes)
    }

    /// Calls back once there is room; at once when there is.
    func whenRoom(_ call: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            if state.heldBytes < maximumHeldBytes { return true }
            state.waiters.append(call)
            return false
        }
        if isNow { call() }
    }

    /// Takes an entry over; its completion follows, whatever happens.
    func submit(_ entry: IngestEntry, of sender: IngestAccess.Sender) {
        enum Step { case refuse, wait, begin }
        let step: Step = state.withLock { state in
            if state.isStopping { return .refuse }
            state.heldBytes += entry.size
            let isRunning = state.lanes[sender] != nil
            state.lanes[sender, default: Lane()].waiting.append(entry)
            return isRunning ? .wait : .begin
        }
        switch step {
        case .refuse: entry.completion("the collector is stopping")
        case .wait: break
        case .begin: Task { await work(sender) }
        }
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
            release(entries.reduce(0) { $0 + $1.size })
            for entry in entries { entry.completion(failure) }
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
            state.lanes[sender] = lane
            return batch
        }
    }

    private func release(_ bytes: Int) {
        let waiters = state.withLock { state in
            state.heldBytes -= bytes
            guard state.heldBytes < maximumHeldBytes else { return [@Sendable () -> Void]() }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
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
