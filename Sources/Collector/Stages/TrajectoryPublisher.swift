internal import NATSTransport
internal import Stages
internal import Trajectories

/// Publishes trajectories, each revision once: the broker refuses what would follow another last message of the subject.
struct TrajectoryPublisher: Sendable {
    private let context: StageContext

    init(_ context: StageContext) { self.context = context }

    /// Returns once the stream has the trajectory, or one that is as new.
    func publish(_ trajectory: FinishedTrajectory, tenant: String, _ body: [UInt8]) async throws {
        let subject = SkeinSubjects.trajectory(tenant: tenant, id: trajectory.id)
        let revision: UInt64 = 1
        var headers: NATSHeaders = [
            SkeinHeaders.contentType: SkeinHeaders.json,
            SkeinHeaders.revision: String(revision),
            SkeinHeaders.agent: TrajectoryPublisher.headerText(trajectory.agentName),
            SkeinHeaders.eventCount: String(trajectory.eventCount),
            SkeinHeaders.expectedLastSubjectSequence: "0",
        ]
        let limit = max(1024, context.jetStream.connection.maxPayload - 4096)
        var payload = body
        if body.count > limit {
            let chunks = (body.count + limit - 1) / limit
            for number in 1...chunks {
                let part = Array(body[(number - 1) * limit..<min(number * limit, body.count)])
                try await context.jetStream.publishUntilStored(
                    subject: SkeinSubjects.trajectoryChunk(
                        tenant: tenant, id: trajectory.id, revision: revision, number: number),
                    headers: [SkeinHeaders.chunk: "\(number)/\(chunks)"], payload: part)
            }
            // The manifest comes last, so that whoever sees it finds all parts.
            headers[SkeinHeaders.chunks] = String(chunks)
            payload = []
        }
        do {
            try await context.jetStream.publishUntilStored(subject: subject, headers: headers, payload: payload)
            context.metrics.add("skein_trajectories_published_total")
        } catch let error as NATSError where error.code == .wrongLastSequence {
            // Stored before: by this task ahead of its last checkpoint, or by a try whose answer was lost.
            context.metrics.add("skein_trajectories_republished_total")
        }
    }

    /// One line: names come from producers.
    private static func headerText(_ text: String) -> String {
        String(text.prefix(200).map { $0.isNewline || ($0.asciiValue ?? 32) < 32 ? " " : $0 })
    }
}
