internal import ATOF
internal import Logging
internal import NATSTransport
internal import Stages
internal import Synchronization

/// One subject of PROCESSED, written by one task: `skein.v1.processed.<tenant>.<partition>.<source>`.
///
/// One message is under way at a time; while it is, the next one grows. Every message names the last sequence of its subject that it
/// expects, and the last source event that it covers. So the broker refuses a second writer, a repetition, and what follows a failure,
/// and whoever reads the subject's last message knows what is stored.
///
/// An event that is larger than a message goes in chunks, one after the other under the same rule. All but the last chunk cover what the
/// message before them covered: who finds half of an event sends it again from its beginning, with another id.
final class ProcessedChain: Sendable {
    private struct Batch: Sendable {
        var first: UInt64
        var last: EventReference
        var frames: [UInt8]
        var ends: [(position: EventReference, end: Int)]

        /// Without what is stored already; nil when nothing is left.
        func dropping(through covered: EventReference) -> Batch? {
            guard let kept = ends.firstIndex(where: { $0.position > covered }) else { return nil }
            if kept == 0 { return self }
            let cut = ends[kept - 1].end
            return Batch(
                first: ends[kept].position.sequence, last: last, frames: Array(frames[cut...]),
                ends: ends[kept...].map { ($0.position, $0.end - cut) })
        }
    }

    private struct State: Sendable {
        var waiting: [Batch] = []
        var underWay: UInt64?
        var covered: EventReference
    }

    private let subject: String
    /// Creation time of EVENTS: positions of an earlier stream of the name say nothing about this one.
    private let incarnation: String
    private let context: StageContext
    private let room: Room
    private let state: Mutex<State>
    private let firstHead: ChainHead
    private let wakeups = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let maximumBatch: Int
    private let maximumMessage: Int

    /// Reads how far the subject is. The leader answers, since a replica may lag behind.
    init(subject: String, incarnation: String, context: StageContext, room: Room) async throws {
        self.subject = subject
        self.incarnation = incarnation
        self.context = context
        self.room = room
        maximumMessage = max(1024, context.jetStream.connection.maxPayload - 4096)
        // Readers unpack a message as a whole: half a MiB is where larger batches stop to gain.
        maximumBatch = min(maximumMessage, 512 << 10)
        firstHead = try await ChainHead(of: subject, incarnation, context.jetStream)
        state = Mutex(State(covered: firstHead.covered))
    }

    /// The source sequence of the oldest event that is not stored yet.
    var firstUnconfirmed: UInt64? {
        state.withLock { $0.underWay ?? $0.waiting.first?.first }
    }

    func append(_ piece: ProcessMachine.Piece, sequence: UInt64) {
        let added = state.withLock { state in
            var added = 0
            var start = 0
            for (index, end) in piece.ends {
                let position = EventReference(sequence: sequence, index: index)
                defer { start = end }
                guard position > state.covered else { continue }
                let frame = piece.frames.bytes[start..<end]
                added += frame.count
                if let last = state.waiting.indices.last, state.waiting[last].frames.count + frame.count <= maximumBatch
                {
                    state.waiting[last].frames += frame
                    state.waiting[last].last = position
                    state.waiting[last].ends.append((position, state.waiting[last].frames.count))
                } else {
                    state.waiting.append(
                        Batch(first: sequence, last: position, frames: Array(frame), ends: [(position, frame.count)]))
                }
            }
            return added
        }
        guard added > 0 else { return }
        room.take(added)
        wakeups.continuation.yield()
    }

    /// Publishes what is appended until the task is cancelled.
    func deliver() async throws {
        var head = firstHead
        for await _ in wakeups.stream {
            while let batch = take() {
                try await publish(batch, &head)
                state.withLock { $0.underWay = nil }
                room.give(batch.frames.count)
            }
        }
    }

    /// Lets `deliver` return; nothing may wait or be under way.
    func end() { wakeups.continuation.finish() }

    private func take() -> Batch? {
        state.withLock { state in
            guard !state.waiting.isEmpty else { return nil }
            let batch = state.waiting.removeFirst()
            state.underWay = batch.first
            return batch
        }
    }

    private func publish(_ whole: Batch, _ head: inout ChainHead) async throws {
        // What was found at the head may cover more than the batch that was refused: another owner cuts its batches elsewhere.
        var rest = whole.dropping(through: head.covered)
        var pause = Duration.milliseconds(20)
        var chunks = Chunks(epoch: context.epoch)
        var isFull = false
        defer { if isFull { context.metrics.set("skein_processed_full", 0, context.labels) } }
        while let batch = rest {
            guard let error = await send(batch, &chunks, &head) else { return }
            guard error.isTemporary || error.code == .wrongLastSequence else { throw error }
            if error.code == .streamFull {
                isFull = true
                context.logger.error(
                    "PROCESSED is full, nothing is lost and processing waits", metadata: ["error": "\(error)"])
                context.metrics.add("skein_processed_full_total")
                context.metrics.set("skein_processed_full", 1, context.labels)
            }
            if error.isTemporary {
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(1))
            }
            // Whether the message is stored, only the stream knows.
            guard let found = try await headUnlessAway() else { continue }
            if found.epoch > context.epoch { throw FencedError(key: context.key) }
            chunks.found(found, instead: head)
            head = found
            rest = batch.dropping(through: head.covered)
        }
    }

    /// How far an event is sent that takes several messages.
    private struct Chunks {
        private let epoch: UInt64
        private var attempts = 0
        private(set) var sent = 0

        init(epoch: UInt64) { self.epoch = epoch }

        /// No other attempt's on the subject, by whomever.
        func id(of position: EventReference) -> String { "\(epoch).\(position).\(attempts)" }

        mutating func stored() { sent += 1 }

        /// After a failure it goes on behind the last chunk that is stored. Behind anything else readers take the half as void. So they do
        /// behind one that the server has forgotten: readers find a part by the sequence that the one behind it expects.
        mutating func found(_ head: ChainHead, instead expected: ChainHead) {
            if head.sequence == expected.sequence { return }
            if let chunk = head.chunk, head.sequence > 0, head.epoch == epoch, chunk.number == sent + 1,
                chunk.id.hasSuffix(".\(attempts)"), head.covered == expected.covered
            {
                sent += 1
            } else {
                sent = 0
                attempts += 1
            }
        }
    }

    /// - Returns: the error, if the broker did not say that all of it is stored.
    private func send(_ batch: Batch, _ chunks: inout Chunks, _ head: inout ChainHead) async -> NATSError? {
        guard batch.frames.count > maximumMessage else {
            return await send(batch.frames, covering: batch.last, chunk: nil, &head)
        }
        let count = (batch.frames.count + maximumMessage - 1) / maximumMessage
        while chunks.sent < count {
            let start = chunks.sent * maximumMessage
            let isLast = chunks.sent == count - 1
            let error = await send(
                Array(batch.frames[start..<min(start + maximumMessage, batch.frames.count)]),
                covering: isLast ? batch.last : head.covered,
                chunk: (chunks.id(of: batch.last), "\(chunks.sent + 1)/\(count)"), &head)
            if let error { return error }
            chunks.stored()
        }
        return nil
    }

    private func send(
        _ payload: [UInt8], covering covered: EventReference, chunk: (id: String, number: String)?,
        _ head: inout ChainHead
    ) async -> NATSError? {
        var headers = head.headers(covering: covered, incarnation: incarnation, epoch: context.epoch)
        if let chunk {
            headers[SkeinHeaders.chunkID] = chunk.id
            headers[SkeinHeaders.chunk] = chunk.number
        }
        // The broker refuses what a stale owner sends; one that knows better does not even send it.
        guard context.lease.isValid else {
            return NATSError(.fenced, "The lease of this member is over, so \(subject) is not written any more.")
        }
        do throws(NATSError) {
            let ack = try await context.jetStream.publish(subject: subject, headers: headers, payload: payload)
            head = ChainHead(sequence: ack.sequence, covered: covered, epoch: context.epoch)
            context.metrics.add("skein_messages_sent_total", 1, ["stage": "process"])
            return nil
        } catch {
            return error
        }
    }

    /// The subject's head; nil while the broker cannot be asked.
    private func headUnlessAway() async throws -> ChainHead? {
        do {
            return try await ChainHead(of: subject, incarnation, context.jetStream)
        } catch let error as NATSError where error.isTemporary {
            return nil
        }
    }

    /// The bytes that wait in all chains of a task.
    final class Room: Sendable {
        private let limit: Int
        private let used = Mutex(0)
        private let freed = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

        init(limit: Int) { self.limit = limit }

        /// Bytes that wait now.
        var bytes: Int { used.withLock { $0 } }

        func take(_ bytes: Int) { used.withLock { $0 += bytes } }

        func give(_ bytes: Int) {
            used.withLock { $0 -= bytes }
            freed.continuation.yield()
        }

        /// Waits while more than the limit is used. One task at a time may wait.
        func wait() async throws {
            var iterator = freed.stream.makeAsyncIterator()
            while used.withLock({ $0 }) > limit {
                guard await iterator.next() != nil else { throw CancellationError() }
            }
        }
    }
}
