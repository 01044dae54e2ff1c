internal import ATOF
internal import NATSTransport
internal import Stages

/// What the last stored message of a chain of PROCESSED says.
struct ChainHead: Sendable {
    var sequence: UInt64 = 0
    var covered = EventReference.start
    var epoch: UInt64 = 0
    /// When it is a part of an event.
    var chunk: (id: String, number: Int)?

    init(sequence: UInt64, covered: EventReference, epoch: UInt64) {
        self.sequence = sequence
        self.covered = covered
        self.epoch = epoch
    }

    /// Reads it. The leader answers, since a replica may lag behind.
    ///
    /// - Parameter incarnation: creation time of EVENTS: positions of an earlier stream of the name say nothing about this one.
    init(of subject: String, _ incarnation: String, _ jetStream: JetStream) async throws {
        let stream = SkeinSubjects.processedStream
        var found = try await jetStream.lastMessage(stream: stream, subject: subject, fromLeader: true)
        if found == nil { found = try await jetStream.forgottenMessage(stream: stream, subject: subject) }
        guard let last = found else { return }
        sequence = last.expectedSequence
        guard last.headers[SkeinHeaders.sourceCreated] == incarnation else { return }
        covered = ChainHead.covered(last, incarnation)
        epoch = last.headers[SkeinHeaders.epoch].flatMap { UInt64($0) } ?? 0
        if let id = last.headers[SkeinHeaders.chunkID],
            let number = last.headers[SkeinHeaders.chunk].flatMap({ ChunkAssembler.parse($0)?.number })
        {
            chunk = (id, number)
        }
    }

    /// The last source event that a message of a chain covers.
    static func covered(_ message: StoredMessage, _ incarnation: String) -> EventReference {
        guard message.headers[SkeinHeaders.sourceCreated] == incarnation else { return .start }
        return message.headers[SkeinHeaders.source].flatMap { EventReference($0) } ?? .start
    }

    /// Of the next message.
    func headers(covering covered: EventReference, incarnation: String, epoch: UInt64) -> NATSHeaders {
        [
            SkeinHeaders.expectedLastSubjectSequence: String(sequence),
            SkeinHeaders.source: covered.description,
            SkeinHeaders.sourceCreated: incarnation,
            SkeinHeaders.epoch: String(epoch),
        ]
    }
}
