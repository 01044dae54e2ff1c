internal import ATOF
package import Middleware

extension MiddlewareChain {
    /// Whether a step may have to ask somebody outside of the collector.
    package var asksOutside: Bool { steps.contains { $0 is WorkerStep || $0 is NeMoGuardrailsStep } }

    /// Leads the events of a message of EVENTS through a copy of the chain, which leaves its questions in the exchange. What comes of the
    /// events is of no account: nothing is taken in, and whatever cannot be read is left for whoever takes it in.
    ///
    /// - Parameter maximumEventBytes: as `ProcessMachine` has it. A larger event goes no further: were it asked about, the answer would be
    ///   taken for that to another event of its UUID.
    package func plan(
        _ message: StageMessage, maximumEventBytes: Int = ProcessMachine.maximumEventBytes,
        _ exchange: inout WorkerExchange
    ) {
        guard !message.isTick, let tenant = SkeinSubjects.tenant(ofStoredEvents: message.subject) else { return }
        var chain = self
        exchange.isPlanning = true
        for event in MiddlewareChain.events(of: message)
        where EventBatchWriter.size(ofPacked: event.packed.count) <= maximumEventBytes {
            var notes = ChainNotes()
            // Handed over and back, not copied for each event.
            swap(&notes.workers, &exchange)
            _ = chain.apply(event, tenant: tenant, &notes)
            swap(&notes.workers, &exchange)
        }
        exchange.isPlanning = false
    }

    /// As `process` gives them to the chain: repaired where they need it.
    private static func events(of message: StageMessage) -> [Event] {
        switch SkeinHeaders.mediaType(message.contentType ?? SkeinHeaders.protobuf) {
        case SkeinHeaders.protobuf:
            guard let batch = try? EventBatch(unpacking: message.payload) else { return [] }
            return (0..<batch.count).compactMap { index in (try? batch.event(at: index)).map(repaired) }
        case SkeinHeaders.jsonLines:
            let lines = message.payload.split(separator: UInt8(ascii: "\n"))
            guard lines.count <= EventBatch.maximumCount else { return [] }
            return lines.compactMap { line in
                (try? EventJSONDecoder.decode(Array(line)).packed()).flatMap(unpacked).map(repaired)
            }
        default: return []
        }
    }

    private static func repaired(_ event: Event) -> Event { event.repaired().flatMap(unpacked) ?? event }

    private static func unpacked(_ packed: [UInt8]) -> Event? {
        var writer = EventBatchWriter()
        writer.append(packed: packed)
        return try? EventBatch(unpacking: writer.bytes).event(at: 0)
    }
}
