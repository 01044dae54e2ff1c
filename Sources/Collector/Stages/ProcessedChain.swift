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

    /// What the last stored message of the subject says.
    private struct Head: Sendable {
        var sequence: UInt64 = 0
        var covered = EventReference.start
        var epoch: UInt64 = 0
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
    private let firstHead: Head
    private let wakeups = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let maximumBatch: Int

    /// Reads how far the subject is. The leader answers, since a replica may lag behind.
    init(subject: String, incarnation: String, context: StageContext, room: Room) async throws {
        self.subject = subject
        self.incarnation = incarnation
        self.context = context
        self.room = room
        // Readers unpack a message as a whole: half a MiB is where larger batches stop to gain.
        maximumBatch = min(context.jetStream.connection.maxPayload - 4096, 512 << 10)
        firstHead = try await ProcessedChain.head(of: subject, incarnation, context)
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
                if let last = state.waiting.indices.last, state.waiting[last].frames.count + frame.count <= maximumBatch {
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

    private func take() -> Batch? {
        state.withLock { state in
            guard !state.waiting.isEmpty else { return nil }
            let batch = state.waiting.removeFirst()
            state.underWay = batch.first
            return batch
        }
    }

    private func publish(_ whole: Batch, _ head: inout Head) async throws {
        // What was found at the head may cover more than the batch that was refused: another owner cuts its batches elsewhere.
        var rest = whole.dropping(through: head.covered)
        var pause = Duration.milliseconds(20)
        while let batch = rest {
            guard let error = await send(batch, &head) else { return }
            if error.code == .payloadTooLarge, batch.ends.count == 1 { return try await refuse(batch, error) }
            guard error.isTemporary || error.code == .wrongLastSequence else { throw error }
            if error.code == .streamFull {
                context.logger.error("PROCESSED is full, nothing is lost and processing waits", metadata: ["error": "\(error)"])
                context.metrics.add("skein_processed_full_total")
            }
            if error.isTemporary {
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(2))
            }
            // Whether the message is stored, only the stream knows.
            guard let found = try await headUnlessAway() else { continue }
            head = found
            if head.epoch > context.epoch { throw FencedError(key: context.key) }
            rest = batch.dropping(through: head.covered)
        }
    }

    /// - Returns: the error, if the broker did not say that the message is stored.
    private func send(_ batch: Batch, _ head: inout Head) async -> NATSError? {
        let headers: NATSHeaders = [
            SkeinHeaders.expectedLastSubjectSequence: String(head.sequence),
            SkeinHeaders.source: batch.last.description,
            SkeinHeaders.sourceCreated: incarnation,
            SkeinHeaders.epoch: String(context.epoch),
        ]
        do throws(NATSError) {
            let ack = try await context.jetStream.publish(subject: subject, headers: headers, payload: batch.frames)
            head = Head(sequence: ack.sequence, covered: batch.last, epoch: context.epoch)
            context.metrics.add("skein_messages_sent_total", 1, ["stage": "process"])
            return nil
        } catch {
            return error
        }
    }

    /// The subject's head; nil while the broker cannot be asked.
    private func headUnlessAway() async throws -> Head? {
        do {
            return try await ProcessedChain.head(of: subject, incarnation, context)
        } catch let error as NATSError where error.isTemporary {
            return nil
        }
    }

    /// An event that PROCESSED cannot hold: the stamped root made it larger than the server's limit.
    private func refuse(_ batch: Batch, _ error: NATSError) async throws {
        try await context.deadLetters.write(
            DeadLetter(
                stage: "process", tenant: SkeinSubjects.tenant(ofProcessed: subject) ?? "_", reason: "too_large",
                message: error.message, stream: SkeinSubjects.eventsStream, subject: subject, position: batch.last,
                contentType: SkeinHeaders.protobuf, body: batch.frames))
    }

    private static func head(of subject: String, _ incarnation: String, _ context: StageContext) async throws -> Head {
        guard
            let last = try await context.jetStream.lastMessage(
                stream: SkeinSubjects.processedStream, subject: subject, fromLeader: true)
        else { return Head() }
        guard last.headers[SkeinHeaders.sourceCreated] == incarnation else { return Head(sequence: last.sequence) }
        return Head(
            sequence: last.sequence,
            covered: last.headers[SkeinHeaders.source].flatMap { EventReference($0) } ?? .start,
            epoch: last.headers[SkeinHeaders.epoch].flatMap { UInt64($0) } ?? 0)
    }

    /// The bytes that wait in all chains of a task.
    final class Room: Sendable {
        private let limit: Int
        private let used = Mutex(0)
        private let freed = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

        init(limit: Int) { self.limit = limit }

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
