internal import ATOF
internal import NATSTransport
internal import Stages

extension DeadLetterBox {
    /// Brings a letter of a store back to that store, through TRAJECTORIES, which it reads: as a message of nobody's trajectory that
    /// names the one that it is about. Returns when it is stored there; the store removes it when it is done with it.
    ///
    /// - Returns: why that cannot be done; nil when it is done.
    func replayToStore(_ letter: StoredLetter, attempt: Int) async throws -> String? {
        guard SkeinSubjects.trajectory(of: letter.subject) != nil, let file = letter.file,
            let origin = letter.position.split(separator: ".").first.flatMap({ UInt64($0) })
        else { return "its headers do not say which trajectory it is" }
        let subject = SkeinSubjects.storeReplay(
            id: EventUUID(high: UInt64(clamping: attempt), low: letter.sequence))
        var headers: NATSHeaders = [
            SkeinHeaders.contentType: letter.contentType,
            SkeinHeaders.stage: letter.stage,
            SkeinHeaders.replayOf: String(letter.sequence),
            SkeinHeaders.originalSubject: letter.subject,
            SkeinHeaders.originalSequence: String(origin),
            SkeinHeaders.file: file,
            SkeinHeaders.revision: String(letter.revision ?? 1),
        ]
        let limit = max(1024, jetStream.connection.maxPayload - 8192)
        guard letter.body.count > limit else {
            try await jetStream.publishUntilStored(subject: subject, headers: headers, payload: letter.body)
            return nil
        }
        let count = (letter.body.count + limit - 1) / limit
        for number in 1...count {
            try await jetStream.publishUntilStored(
                subject: SkeinSubjects.trajectoryChunk(of: subject, revision: letter.revision ?? 1, number: number),
                headers: [SkeinHeaders.chunk: "\(number)/\(count)"],
                payload: Array(letter.body[(number - 1) * limit..<min(number * limit, letter.body.count)]))
        }
        headers[SkeinHeaders.chunks] = String(count)
        try await jetStream.publishUntilStored(subject: subject, headers: headers, payload: [])
        return nil
    }
}
