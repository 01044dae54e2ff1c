internal import ATOF
internal import NATSTransport
internal import Stages

/// Events of PROCESSED that a machine refers to without holding them, read again.
enum EventArchive {
    /// Messages that are held at a time: each may be as large as the server allows.
    private static let slice = 64

    /// The packed events at the references. What is gone, or is no event any more, is not among them.
    static func packedEvents(
        at references: [EventReference], from jetStream: JetStream
    ) async throws -> [EventReference: [UInt8]] {
        var wanted: [UInt64: [Int]] = [:]
        for reference in references { wanted[reference.sequence, default: []].append(reference.index) }
        let sequences = wanted.keys.sorted()
        var found: [EventReference: [UInt8]] = [:]
        found.reserveCapacity(references.count)
        for start in stride(from: 0, to: sequences.count, by: slice) {
            let messages = try await jetStream.messages(
                stream: SkeinSubjects.processedStream, sequences: sequences[start..<min(start + slice, sequences.count)]
            )
            for (sequence, message) in messages {
                guard let payload = try await wholePayload(of: message, from: jetStream),
                    let batch = try? EventBatch(unpacking: payload)
                else { continue }
                // Only the events that are wanted: the message may hold many of other runs.
                for index in wanted[sequence] ?? [] where index < batch.count {
                    found[EventReference(sequence: sequence, index: index)] = batch.packedEvent(at: index).array
                }
            }
        }
        return found
    }

    /// The whole payload of the message that begins with this one; nil when a part of it is gone.
    private static func wholePayload(of first: StoredMessage, from jetStream: JetStream) async throws -> [UInt8]? {
        guard let chunk = first.headers[SkeinHeaders.chunk] else { return first.payload }
        guard let (number, count) = ChunkAssembler.parse(chunk), number == 1 else { return nil }
        var payload = first.payload
        var last = first
        var have = 1
        // A chain has one writer, whose chunks follow each other; only a repeated one may be between.
        while have < count {
            guard
                let next = try await jetStream.message(
                    stream: SkeinSubjects.processedStream, sequence: last.sequence + 1, matching: first.subject),
                next.headers[SkeinHeaders.chunkID] == first.headers[SkeinHeaders.chunkID],
                let (number, _) = next.headers[SkeinHeaders.chunk].flatMap({ ChunkAssembler.parse($0) }),
                number <= have + 1
            else { return nil }
            if number == have + 1 {
                payload += next.payload
                have += 1
            }
            last = next
        }
        return payload
    }
}
