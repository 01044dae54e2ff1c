package import ATOF

/// The `process` stage: decodes and checks what producers sent, drops what repeats, resolves the run's root of every event and says to
/// which chain of PROCESSED it goes. Events that are in order are passed on as the bytes that came in.
package struct ProcessMachine: Sendable {
    /// The events of one message that go to one chain of PROCESSED, in their order.
    package struct Piece: Sendable {
        package let tenant: String
        package let partition: Int
        /// Packed batch frames, one after the other.
        package fileprivate(set) var frames = EventBatchWriter()
        /// For each event its index in the message and where its frame ends.
        package fileprivate(set) var ends: [(index: Int, end: Int)] = []
    }

    package struct Counts: Sendable, Hashable {
        /// Events that came in, whatever became of them; a message that cannot be decoded counts as one.
        package var received = 0
        package var processed = 0
        package var duplicates = 0
        package var deadLettered = 0
        /// Events with a payload that was no JSON and was made a string or repaired (`JSONPolicy`).
        package var repaired = 0

        package init() {}
    }

    package struct Outcome: Sendable {
        package fileprivate(set) var pieces: [Piece] = []
        package fileprivate(set) var deadLetters: [DeadLetter] = []
        package fileprivate(set) var counts = Counts()
    }

    private let partitioning: Partitioning
    private var scopes: ScopeTable

    package init(partitioning: Partitioning) {
        self.partitioning = partitioning
        self.scopes = ScopeTable()
    }

    package init(partitioning: Partitioning, snapshot: [UInt8]) throws(SnapshotError) {
        self.partitioning = partitioning
        self.scopes = try ScopeTable(snapshot: snapshot)
    }

    package func snapshot() -> [UInt8] { scopes.snapshot() }

    package var openScopes: Int { scopes.openCount }

    package mutating func receive(_ message: StageMessage) -> Outcome {
        var run = Run(message: message)
        guard let tenant = SkeinSubjects.tenant(ofStoredEvents: message.subject), SkeinSubjects.isName(tenant) else {
            run.kill(
                message.payload, at: 0, reason: "invalid_subject",
                "the subject must be skein.v1.events.<tenant>.<key> with a tenant of a-z, 0-9, _ and -")
            return run.outcome
        }
        run.tenant = tenant
        switch SkeinHeaders.mediaType(message.contentType ?? SkeinHeaders.protobuf) {
        case SkeinHeaders.protobuf: receiveBatch(&run)
        case SkeinHeaders.jsonLines: receiveLines(&run)
        case let other:
            run.kill(
                message.payload, at: 0, reason: "unknown_content_type",
                "Content-Type \(other.prefix(100)) is neither \(SkeinHeaders.protobuf) nor \(SkeinHeaders.jsonLines)")
        }
        return run.outcome
    }

    private mutating func receiveBatch(_ run: inout Run) {
        let batch: EventBatch
        do throws(EventError) {
            batch = try EventBatch(unpacking: run.message.payload)
        } catch {
            run.kill(run.message.payload, at: 0, error)
            return
        }
        for index in 0..<batch.count { receiveEvent(of: batch, at: index, as: index, &run) }
    }

    private mutating func receiveLines(_ run: inout Run) {
        let lines = run.message.payload.split(separator: UInt8(ascii: "\n"))
        guard lines.count <= EventBatch.maximumCount else {
            run.kill(
                run.message.payload, at: 0, reason: EventError.Reason.undecodable.rawValue,
                "the message has \(lines.count) lines, the most is \(EventBatch.maximumCount)")
            return
        }
        for (index, line) in lines.enumerated() {
            let line = Array(line)
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
            do throws(EventError) {
                var writer = EventBatchWriter()
                writer.append(packed: try EventJSONDecoder.decode(line).packed())
                receiveEvent(of: try EventBatch(unpacking: writer.bytes), at: 0, as: index, &run)
            } catch {
                run.kill(line, at: index, error)
            }
        }
    }

    private mutating func receiveEvent(of batch: EventBatch, at place: Int, as index: Int, _ run: inout Run) {
        let event: Event
        do throws(EventError) {
            event = try batch.event(at: place)
        } catch {
            var alone = EventBatchWriter()
            batch.packedEvent(at: place).withBytes { alone.append(packed: $0) }
            run.kill(alone.bytes, at: index, error)
            return
        }
        switch scopes.observe(event, tenant: run.tenant) {
        case .duplicate:
            run.outcome.counts.received += 1
            run.outcome.counts.duplicates += 1
        case .new(let root):
            let repaired = event.repaired()
            if repaired != nil { run.outcome.counts.repaired += 1 }
            run.pass(
                event, repaired: repaired, root: root, index: index, partition: partitioning.partition(ofRoot: root))
        }
    }

    /// What becomes of one message.
    private struct Run {
        let message: StageMessage
        var tenant = "_"
        var outcome = Outcome()

        init(message: StageMessage) { self.message = message }

        mutating func kill(_ body: [UInt8], at index: Int, _ error: EventError) {
            kill(body, at: index, reason: error.reason.rawValue, error.description)
        }

        mutating func kill(_ body: [UInt8], at index: Int, reason: String, _ text: String) {
            outcome.counts.received += 1
            outcome.counts.deadLettered += 1
            outcome.deadLetters.append(
                DeadLetter(
                    stage: "process", tenant: tenant, reason: reason, message: text, stream: SkeinSubjects.eventsStream,
                    subject: message.subject, position: EventReference(sequence: message.sequence, index: index),
                    contentType: message.contentType ?? SkeinHeaders.protobuf, body: body))
        }

        mutating func pass(_ event: Event, repaired: [UInt8]?, root: EventUUID, index: Int, partition: Int) {
            outcome.counts.received += 1
            outcome.counts.processed += 1
            let place: Int
            if let last = outcome.pieces.lastIndex(where: { $0.partition == partition }) {
                place = last
            } else {
                place = outcome.pieces.count
                outcome.pieces.append(Piece(tenant: tenant, partition: partition))
            }
            if let repaired {
                repaired.withUnsafeBufferPointer { outcome.pieces[place].frames.append(packed: $0, root: root) }
            } else {
                event.packed.withBytes { outcome.pieces[place].frames.append(packed: $0, root: root) }
            }
            outcome.pieces[place].ends.append((index, outcome.pieces[place].frames.bytes.count))
        }
    }
}
