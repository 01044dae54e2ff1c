package import ATOF
package import Middleware

/// The `process` stage: decodes and checks what producers sent, drops what repeats, resolves the run's root of every event, applies the
/// policy and says to which chain of PROCESSED it goes. Events that are in order and that no policy changes are passed on as the bytes
/// that came in.
package struct ProcessMachine: Sendable {
    /// The events of one message that go to one chain of PROCESSED, in their order.
    package struct Piece: Sendable {
        package let tenant: String
        package let partition: Int
        /// Packed batch frames, one after the other.
        package fileprivate(set) var frames = EventBatchWriter()
        /// For each event its index in the message and where its frame ends, or that of the last event that the policy adds behind it.
        package fileprivate(set) var ends: [(index: Int, end: Int)] = []
    }

    package struct Counts: Sendable, Hashable {
        /// Events that came in, whatever became of them; a message that cannot be decoded counts as one.
        package var received = 0
        package var processed = 0
        package var duplicates = 0
        package var deadLettered = 0
        /// Events that the policy took out.
        package var dropped = 0
        /// Events that the policy added; they count as processed too.
        package var injected = 0
        /// Of those processed, what the policy changed.
        package var changed = 0
        /// Of those received, what came as a replayed dead letter.
        package var replayed = 0
        /// Events with a payload that was no JSON and was made a string or repaired (`JSONPolicy`).
        package var repaired = 0
        /// Batches whose producer's number is not the one that was expected.
        package var gaps = 0

        package init() {}
    }

    package struct Outcome: Sendable {
        package fileprivate(set) var pieces: [Piece] = []
        package fileprivate(set) var deadLetters: [DeadLetter] = []
        package fileprivate(set) var counts = Counts()
        /// What the policy says of the events of the message.
        package fileprivate(set) var notes = ChainNotes()
    }

    /// What makes a message or an event a dead letter of `process`, beside the reasons of `EventError` and `ChunkAssembler`.
    package enum Reason: String, Sendable, CaseIterable {
        case invalidSubject = "invalid_subject"
        case unknownContentType = "unknown_content_type"
        case tooLarge = "too_large"
    }

    private let partitioning: Partitioning
    package let maximumEventBytes: Int
    private var policy: EventPolicy
    private var scopes: ScopeTable
    private var producers: ProducerTable
    /// Of messages that are read again.
    private var stored = StoredDecisions()
    /// What became of what was received, by tenant and routing key.
    package private(set) var ledger: Ledger<String>

    /// - Parameters:
    ///   - maximumEventBytes: of a packed event with its root.
    ///   - policy: what every event passes that is no duplicate. No part of the snapshot.
    package init(
        partitioning: Partitioning, maximumEventBytes: Int = maximumEventBytes,
        policy: MiddlewareChain = MiddlewareChain()
    ) {
        self.partitioning = partitioning
        self.maximumEventBytes = maximumEventBytes
        self.policy = EventPolicy(policy, maximumEventBytes: maximumEventBytes)
        scopes = ScopeTable()
        producers = ProducerTable()
        ledger = Ledger()
    }

    private static let version: UInt8 = 2

    /// Of a packed event with its root, unless it is told otherwise.
    package static let maximumEventBytes = 64 << 20

    package init(
        partitioning: Partitioning, maximumEventBytes: Int = maximumEventBytes,
        policy: MiddlewareChain = MiddlewareChain(), snapshot: [UInt8]
    ) throws(SnapshotError) {
        self.init(partitioning: partitioning, maximumEventBytes: maximumEventBytes, policy: policy)
        // What 0.1.0 wrote is the scopes alone.
        if snapshot.first == 1 {
            scopes = try ScopeTable(snapshot: snapshot)
            return
        }
        var reader = try SnapshotReader(snapshot, version: ProcessMachine.version)
        scopes = try ScopeTable(snapshot: try reader.readBlob())
        producers = try ProducerTable(snapshot: try reader.readBlob())
        ledger = try Ledger(snapshot: try reader.readBlob())
        try reader.end()
    }

    package func snapshot() -> [UInt8] {
        var writer = SnapshotWriter(version: ProcessMachine.version)
        writer.write(scopes.snapshot())
        writer.write(producers.snapshot())
        writer.write(ledger.snapshot())
        return writer.bytes
    }

    package var openScopes: Int { scopes.openCount }
    /// Producers of which something is missing.
    package var producerGaps: [ProducerGap] { producers.gaps }
    package var missingEvents: UInt64 { producers.missing }

    /// Messages that are read again stay as far as they are stored.
    package mutating func follow(_ decisions: StoredDecisions) { stored = decisions }

    /// From the next message on another policy holds.
    package mutating func replacePolicy(_ policy: MiddlewareChain) {
        self.policy = EventPolicy(policy, maximumEventBytes: maximumEventBytes)
    }

    /// - Parameter exchange: what was asked outside about the events of the message, with the answers.
    package mutating func receive(_ message: StageMessage, _ exchange: WorkerExchange = WorkerExchange()) -> Outcome {
        if message.isTick { return Outcome() }
        if !stored.isEmpty, message.sequence > stored.last { stored = StoredDecisions() }
        var run = Run(message: message)
        run.outcome.notes.workers = exchange
        receive(&run)
        if message.isReplay { run.outcome.counts.replayed = run.outcome.counts.received }
        enter(run.outcome.counts, tenant: run.tenant, key: run.key)
        return run.outcome
    }

    /// A message that never became whole: it was one that came in, and is a dead letter now.
    package mutating func gaveUp(_ letter: DeadLetter) -> Counts {
        var counts = Counts()
        counts.received = 1
        counts.deadLettered = 1
        enter(
            counts, tenant: letter.tenant,
            key: SkeinSubjects.key(ofStoredEvents: letter.subject) ?? SkeinSubjects.ownTenant)
        return counts
    }

    private mutating func enter(_ counts: Counts, tenant: String, key: String) {
        for (count, field) in [
            (counts.received, LedgerCounts.Field.received), (counts.replayed, .replayed),
            (counts.injected, .injected), (counts.processed, .processed), (counts.dropped, .dropped),
            (counts.duplicates, .deduplicated), (counts.deadLettered, .deadLettered),
        ] {
            ledger.add(count, field, tenant: tenant, key: key)
        }
    }

    private mutating func receive(_ run: inout Run) {
        let message = run.message
        guard let tenant = SkeinSubjects.tenant(ofStoredEvents: message.subject), SkeinSubjects.isTenant(tenant) else {
            return run.kill(
                message.payload, at: 0, reason: Reason.invalidSubject.rawValue,
                "the subject must be skein.v1.events.<tenant>.<key> with a tenant of a-z, 0-9, _ and -, and not _ alone"
            )
        }
        run.tenant = tenant
        switch SkeinHeaders.mediaType(message.contentType ?? SkeinHeaders.protobuf) {
        case SkeinHeaders.protobuf: receiveBatch(&run)
        case SkeinHeaders.jsonLines: receiveLines(&run)
        case let other:
            run.kill(
                message.payload, at: 0, reason: Reason.unknownContentType.rawValue,
                "Content-Type \(other.prefix(100)) is neither \(SkeinHeaders.protobuf) nor \(SkeinHeaders.jsonLines)")
        }
    }

    private mutating func receiveBatch(_ run: inout Run) {
        let batch: EventBatch
        do throws(EventError) {
            batch = try EventBatch(unpacking: run.message.payload)
        } catch {
            run.kill(run.message.payload, at: 0, error)
            return
        }
        count(batch, &run)
        for index in 0..<batch.count { receiveEvent(of: batch, at: index, as: index, &run) }
    }

    private mutating func count(_ batch: EventBatch, _ run: inout Run) {
        let sequence = batch.sequence
        guard sequence > 0 else { return }
        let change = producers.observe(
            tenant: run.tenant, key: run.key, producer: batch.producer, sequence: sequence, count: batch.count)
        if change.isGap { run.outcome.counts.gaps += 1 }
        ledger.add(change.lost, .missing, tenant: run.tenant, key: run.key)
        ledger.remove(change.found, .missing, tenant: run.tenant, key: run.key)
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
        let repaired = event.repaired()
        let size = EventBatchWriter.size(ofPacked: repaired?.count ?? event.packed.count)
        // Before anything is remembered of it: a replay with a higher limit must not be a duplicate.
        guard size <= maximumEventBytes else {
            var alone = EventBatchWriter()
            event.packed.withBytes { alone.append(packed: $0) }
            return run.kill(
                alone.bytes, at: index, reason: Reason.tooLarge.rawValue,
                "the event takes \(size) bytes, the most is \(maximumEventBytes); raise max_event_bytes")
        }
        switch scopes.observe(event, tenant: run.tenant) {
        case .duplicate:
            run.outcome.counts.received += 1
            run.outcome.counts.duplicates += 1
        case .new(let root):
            if repaired != nil { run.outcome.counts.repaired += 1 }
            let partition = partitioning.partition(ofRoot: root)
            let before = stored.isStored(
                event.uuid, event.kind, tenant: run.tenant, partition: partition,
                at: EventReference(sequence: run.message.sequence, index: index))
            let told = run.outcome.notes.alerts.count
            let governed = govern(event, repaired: repaired, wasStored: before, &run)
            for index in told..<run.outcome.notes.alerts.count { run.outcome.notes.alerts[index].root = root }
            if event.kind == .scopeStart, case .dropped = governed {
                scopes.dropStart(of: event.uuid, tenant: run.tenant)
            }
            run.pass(governed, root: root, index: index, partition: partition)
        }
    }

    // MARK: Policy

    /// What goes on of an event that came for the first time.
    private enum Governed {
        case event(Event)
        case packed([UInt8], isChanged: Bool)
        case dropped
    }

    /// - Parameter wasStored: whether the event is in PROCESSED already, or was dropped; what the policy says now changes neither.
    private mutating func govern(
        _ event: Event, repaired: [UInt8]?, wasStored: Bool?, _ run: inout Run
    ) -> Governed {
        switch (govern(event, repaired: repaired, &run), wasStored) {
        case (.dropped, true?): repaired.map { .packed($0, isChanged: false) } ?? .event(event)
        case (.event, false?), (.packed, false?): .dropped
        case (let governed, _): governed
        }
    }

    private mutating func govern(_ event: Event, repaired: [UInt8]?, _ run: inout Run) -> Governed {
        // An end whose start nobody sees would belong to nothing.
        if event.kind == .scopeEnd, scopes.isStartDropped(of: event.uuid, tenant: run.tenant) { return .dropped }
        guard !policy.isEmpty else { return repaired.map { .packed($0, isChanged: false) } ?? .event(event) }
        // The steps are to see, and to pass on, what everybody can read.
        let subject = repaired.flatMap(ProcessMachine.unpack) ?? event
        return switch policy.apply(subject, tenant: run.tenant, &run.outcome.notes) {
        case .unchanged: repaired.map { .packed($0, isChanged: false) } ?? .event(event)
        case .changed(let packed): .packed(packed, isChanged: true)
        case .dropped: .dropped
        }
    }

    private static func unpack(_ packed: [UInt8]) -> Event? {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try? EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    /// What becomes of one message.
    private struct Run {
        let message: StageMessage
        var tenant = SkeinSubjects.ownTenant
        let key: String
        var outcome = Outcome()

        init(message: StageMessage) {
            self.message = message
            key = SkeinSubjects.key(ofStoredEvents: message.subject) ?? SkeinSubjects.ownTenant
        }

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

        mutating func pass(_ governed: Governed, root: EventUUID, index: Int, partition: Int) {
            outcome.counts.received += 1
            let injected = outcome.notes.injected
            outcome.notes.injected = []
            if case .dropped = governed {
                outcome.counts.dropped += 1
                if injected.isEmpty { return }
            }
            let place: Int
            if let last = outcome.pieces.lastIndex(where: { $0.partition == partition }) {
                place = last
            } else {
                place = outcome.pieces.count
                outcome.pieces.append(Piece(tenant: tenant, partition: partition))
            }
            switch governed {
            case .event(let event):
                outcome.counts.processed += 1
                event.packed.withBytes { outcome.pieces[place].frames.append(packed: $0, root: root) }
            case .packed(let packed, let isChanged):
                outcome.counts.processed += 1
                if isChanged { outcome.counts.changed += 1 }
                packed.withUnsafeBufferPointer { outcome.pieces[place].frames.append(packed: $0, root: root) }
            case .dropped: break
            }
            outcome.counts.injected += injected.count
            outcome.counts.processed += injected.count
            for packed in injected {
                packed.withUnsafeBufferPointer { outcome.pieces[place].frames.append(packed: $0, root: root) }
            }
            outcome.pieces[place].ends.append((index, outcome.pieces[place].frames.bytes.count))
        }
    }
}
