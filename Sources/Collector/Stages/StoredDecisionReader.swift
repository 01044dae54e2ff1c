internal import ATOF
internal import NATSTransport
internal import Stages

/// Reads what PROCESSED has of messages behind a task's checkpoint: what the owner before has decided and could not note any more.
///
/// Nobody may write meanwhile, so it is read behind the fence. Of a chain whose older messages were trimmed it is not known what was dropped.
struct StoredDecisionReader: Sendable {
    let context: StageContext
    let incarnation: String
    /// Up to here the snapshot says everything.
    let position: UInt64

    /// Chains that are read at the same time.
    private static let width = 16

    func read() async throws -> StoredDecisions {
        let jetStream = context.jetStream
        let first = try await jetStream.streamInfo(SkeinSubjects.processedStream).firstSequence
        let subjects = try await jetStream.subjects(
            of: SkeinSubjects.processedStream, matching: SkeinSubjects.chainsFilter(source: context.key.partition))
        return try await withThrowingTaskGroup(of: StoredDecisions.self) { group in
            var decisions = StoredDecisions()
            for (index, subject) in subjects.keys.sorted().enumerated() {
                if index >= StoredDecisionReader.width, let next = try await group.next() { decisions.merge(next) }
                group.addTask { try await read(subject, streamFirst: max(1, first)) }
            }
            for try await next in group { decisions.merge(next) }
            return decisions
        }
    }

    private func read(_ subject: String, streamFirst: UInt64) async throws -> StoredDecisions {
        var decisions = StoredDecisions()
        let head = try await ChainHead(of: subject, incarnation, context.jetStream)
        guard head.covered > checkpoint, let tenant = SkeinSubjects.tenant(ofProcessed: subject),
            let partition = SkeinSubjects.partition(ofProcessed: subject)
        else { return decisions }
        // The first message of the chain that covers more than the checkpoint, and the one before it.
        var (low, high) = (streamFirst, head.sequence)
        var before: EventReference?
        while low < high {
            let middle = low + (high - low) / 2
            guard let found = try await message(of: subject, from: middle), found.sequence <= high else {
                high = middle
                continue
            }
            let covered = ChainHead.covered(found, incarnation)
            if covered > checkpoint {
                high = middle
            } else {
                before = covered
                low = found.sequence + 1
            }
        }
        var chunks = ChunkAssembler(stage: context.key.stage, stream: SkeinSubjects.processedStream)
        // Without a message before, and with something trimmed, the chain may have had more of them.
        var after = before ?? (streamFirst == 1 ? checkpoint : nil)
        var through: EventReference?
        while low <= head.sequence, let found = try await message(of: subject, from: low) {
            low = found.sequence + 1
            through = ChainHead.covered(found, incarnation)
            if after == nil { after = through }
            let part = StageMessage(
                subject: found.subject, sequence: found.sequence, timeNanoseconds: UInt64(clamping: found.time),
                contentType: nil, payload: found.payload)
            let outcome = chunks.receive(
                part, chunk: found.headers[SkeinHeaders.chunk], id: found.headers[SkeinHeaders.chunkID])
            guard let whole = outcome.message, let batch = try? EventBatch(unpacking: whole.payload) else { continue }
            for index in 0..<batch.count {
                if let event = try? batch.event(at: index) { decisions.keep(event, tenant: tenant) }
            }
        }
        if let after, let through {
            decisions.know(tenant: tenant, partition: partition, after: after, through: through)
        }
        return decisions
    }

    private var checkpoint: EventReference { EventReference(sequence: position, index: .max) }

    private func message(of subject: String, from sequence: UInt64) async throws -> StoredMessage? {
        try await context.jetStream.message(
            stream: SkeinSubjects.processedStream, sequence: sequence, matching: subject)
    }
}
