internal import ATOF
internal import Stages

extension EventUUID {
    /// The ledger's key for what has no root because it cannot be read.
    static let noRoot = EventUUID(high: 0, low: 0)
}

extension StageContext {
    /// The events of a message of PROCESSED, with the tenant of its subject, and how many became dead letters.
    ///
    /// Collectors write only what can be read. What somebody else put there becomes a dead letter, and the rest goes on.
    func events(of message: StageMessage) async throws -> (
        tenant: String, events: [(event: Event, reference: EventReference)], refused: Int
    ) {
        let tenant = SkeinSubjects.tenant(ofProcessed: message.subject) ?? SkeinSubjects.ownTenant
        if message.isTick { return (tenant, [], 0) }
        if let stage = message.stage, stage != key.stage { return (tenant, [], 0) }
        guard let batch = try? EventBatch(unpacking: message.payload) else {
            try await kill(
                message, tenant, at: 0, body: message.payload,
                EventError(.undecodable, "not a packed skein.v1.EventBatch"))
            return (tenant, [], 1)
        }
        var events: [(Event, EventReference)] = []
        var failures: [(index: Int, body: [UInt8], error: EventError)] = []
        events.reserveCapacity(batch.count)
        for index in 0..<batch.count {
            do throws(EventError) {
                events.append(
                    (try batch.event(at: index), EventReference(sequence: message.firstSequence, index: index)))
            } catch {
                var alone = EventBatchWriter()
                batch.packedEvent(at: index).withBytes { alone.append(packed: $0) }
                failures.append((index, alone.bytes, error))
            }
        }
        for (index, body, error) in failures { try await kill(message, tenant, at: index, body: body, error) }
        return (tenant, events, failures.count)
    }

    private func kill(_ message: StageMessage, _ tenant: String, at index: Int, body: [UInt8], _ error: EventError)
        async throws
    {
        try await deadLetters.write(
            DeadLetter(
                stage: key.stage, tenant: tenant, reason: error.reason.rawValue, message: error.description,
                stream: SkeinSubjects.processedStream, subject: message.subject,
                position: EventReference(sequence: message.sequence, index: index), contentType: SkeinHeaders.protobuf,
                body: body))
    }
}
