package import NATSTransport
internal import Stages

/// The parts of a revision are gone, because a newer one has replaced it; that can be read instead.
package struct ReplacedTrajectoryError: Error, CustomStringConvertible {
    package let id: String
    package let revision: UInt64

    package var description: String {
        "revision \(revision) of the trajectory \(id) is gone: a newer one has replaced it"
    }
}

/// The document of a message on `skein.v1.trajectories.<tenant>.<id>`, also where it is larger than a message.
package enum TrajectoryBody {
    /// The document as it was published, put together from its parts.
    ///
    /// - Throws: `ReplacedTrajectoryError` when parts are gone.
    package static func read(
        _ jetStream: JetStream, subject: String, headers: NATSHeaders, payload: [UInt8]
    ) async throws -> [UInt8] {
        guard let chunks = headers[SkeinHeaders.chunks].flatMap({ Int($0) }) else { return payload }
        let revision = revision(headers)
        var whole: [UInt8] = []
        for number in 1...max(1, chunks) {
            guard
                let message = try await jetStream.lastMessage(
                    stream: SkeinSubjects.trajectoriesStream,
                    subject: SkeinSubjects.trajectoryChunk(of: subject, revision: revision, number: number),
                    // A replica may not have it yet; what is missing here counts as gone for good.
                    fromLeader: true)
            else {
                throw ReplacedTrajectoryError(
                    id: SkeinSubjects.trajectory(of: subject)?.id ?? subject, revision: revision)
            }
            whole += message.payload
        }
        return whole
    }

    package static func revision(_ headers: NATSHeaders) -> UInt64 {
        headers[SkeinHeaders.revision].flatMap { UInt64($0) } ?? 1
    }
}
