package import NATSTransport
internal import Stages

/// The events of a message of PROCESSED, also where one event is larger than a message (`docs/contract.md`).
///
/// The last part of an event stands for all of it: when it is there the others are stored, and they are read from the stream. So the parts
/// before it can be acknowledged as they come, by whichever reader of a shared place gets them, and one that ends in between loses nothing.
package enum ProcessedBody {
    /// - Returns: an `EventBatch`; nil for a message that no reader has to hand on: another part than the last, an event whose other parts
    ///   the stream holds no longer, and what is between collectors.
    package static func read(_ jetStream: JetStream, _ message: JetStreamMessage) async throws -> [UInt8]? {
        // A letter on its way back to one stage has been seen; counters, the time and the like are nobody's events.
        guard !message.payload.isEmpty, message.headers[SkeinHeaders.stage] == nil,
            let tenant = SkeinSubjects.tenant(ofProcessed: message.subject), tenant != SkeinSubjects.ownTenant
        else { return nil }
        guard let chunk = message.headers[SkeinHeaders.chunk] else { return message.payload }
        guard let (last, count) = ChunkAssembler.parse(chunk), last == count else { return nil }
        let id = message.headers[SkeinHeaders.chunkID]
        var parts = [message.payload]
        var headers = message.headers
        for number in stride(from: count - 1, to: 0, by: -1) {
            // A chain has one writer, which names what it has written before; other parts than its own are never in between.
            guard let before = headers[SkeinHeaders.expectedLastSubjectSequence].flatMap({ UInt64($0) }), before > 0,
                let part = try await jetStream.message(stream: SkeinSubjects.processedStream, sequence: before),
                part.subject == message.subject, part.headers[SkeinHeaders.chunkID] == id,
                part.headers[SkeinHeaders.chunk] == "\(number)/\(count)"
            else { return nil }
            parts.append(part.payload)
            headers = part.headers
        }
        return parts.reversed().reduce(into: []) { $0 += $1 }
    }
}
