internal import ATOF
internal import NATSTransport
internal import Stages

/// Events of PROCESSED, read again for spans whose payloads are not held.
struct PayloadReader: Sendable {
    /// Messages asked for at a time.
    private static let concurrency = 64

    private var batches: [UInt64: EventBatch] = [:]

    /// Reads the messages behind the references. What is gone is left out: a stream that was trimmed or purged must not stop a task.
    mutating func fetch(_ references: [EventReference], from jetStream: JetStream) async throws {
        let missing = Set(references.map(\.sequence)).subtracting(batches.keys).sorted()
        guard !missing.isEmpty else { return }
        try await withThrowingTaskGroup(of: (UInt64, EventBatch?).self) { group in
            var rest = missing[...]
            func next() {
                guard let sequence = rest.popFirst() else { return }
                group.addTask { (sequence, try await Self.batch(sequence, jetStream)) }
            }
            for _ in 0..<Self.concurrency { next() }
            while let (sequence, batch) = try await group.next() {
                batches[sequence] = batch
                next()
            }
        }
    }

    private static func batch(_ sequence: UInt64, _ jetStream: JetStream) async throws -> EventBatch? {
        guard let message = try await jetStream.message(stream: SkeinSubjects.processedStream, sequence: sequence)
        else { return nil }
        return try? EventBatch(unpacking: message.payload)
    }

    /// The packed event; nil when its message was not fetched or is gone.
    func packedEvent(at reference: EventReference) -> [UInt8]? {
        guard let batch = batches[reference.sequence], reference.index < batch.count else { return nil }
        return batch.packedEvent(at: reference.index).array
    }
}
