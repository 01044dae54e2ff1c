internal import ATOF
internal import NATSTransport
internal import Stages

/// Events of PROCESSED, read again for spans whose payloads are not held.
struct PayloadReader: Sendable {
    private var events: [EventReference: [UInt8]] = [:]

    /// Reads the events at the references. What is gone is left out: a stream that was trimmed or purged must not stop a task.
    mutating func fetch(_ references: [EventReference], from jetStream: JetStream) async throws {
        guard !references.isEmpty else { return }
        var wanted: [UInt64: [Int]] = [:]
        for reference in references { wanted[reference.sequence, default: []].append(reference.index) }
        let messages = try await jetStream.messages(
            stream: SkeinSubjects.processedStream, sequences: Array(wanted.keys))
        for (sequence, message) in messages {
            guard let payload = try await PayloadReader.whole(message, jetStream),
                let batch = try? EventBatch(unpacking: payload)
            else { continue }
            for index in wanted[sequence] ?? [] where index < batch.count {
                events[EventReference(sequence: sequence, index: index)] = batch.packedEvent(at: index).array
            }
        }
    }

    /// The payload of a message whose first chunk this is, if it came in several; nil when a part is gone.
    private static func whole(_ first: StoredMessage, _ jetStream: JetStream) async throws -> [UInt8]? {
        guard let chunk = first.headers[SkeinHeaders.chunk] else { return first.payload }
        guard let (number, count) = ChunkAssembler.parse(chunk), number == 1 else { return nil }
        var payload = first.payload
        var last = first
        var taken = 1
        while taken < count {
            guard
                let next = try await jetStream.message(
                    stream: SkeinSubjects.processedStream, sequence: last.sequence + 1, matching: first.subject),
                next.headers[SkeinHeaders.chunkID] == first.headers[SkeinHeaders.chunkID],
                let (number, _) = next.headers[SkeinHeaders.chunk].flatMap({ ChunkAssembler.parse($0) }),
                number <= taken + 1
            else { return nil }
            if number == taken + 1 {
                payload += next.payload
                taken += 1
            }
            last = next
        }
        return payload
    }

    /// The packed event; nil when it was not fetched or is gone.
    func packedEvent(at reference: EventReference) -> [UInt8]? { events[reference] }
}
