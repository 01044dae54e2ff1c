internal import ATOF
internal import Logging
internal import NATSTransport
internal import Stages
internal import Trajectories

/// Publishes trajectories, each revision once: the broker refuses what would follow another last message of the subject.
struct TrajectoryPublisher: Sendable {
    private let context: StageContext

    init(_ context: StageContext) { self.context = context }

    /// Returns once the stream has the trajectory, or one that is as new.
    ///
    /// - Parameter file: the name under which stores keep it; nil when none can be made.
    func publish(_ trajectory: FinishedTrajectory, _ body: [UInt8], file: String?) async throws {
        let subject = SkeinSubjects.trajectory(tenant: trajectory.tenant, id: trajectory.id)
        var headers: NATSHeaders = [
            SkeinHeaders.contentType: SkeinHeaders.json,
            SkeinHeaders.revision: String(trajectory.revision),
            SkeinHeaders.agent: TrajectoryPublisher.headerText(trajectory.agentName),
            SkeinHeaders.eventCount: String(trajectory.eventCount),
            SkeinHeaders.state: trajectory.state.isComplete ? "complete" : "abandoned",
        ]
        headers[SkeinHeaders.file] = file
        let isChunked = body.count > chunkSize
        // A first revision follows nothing, as a rule: then nothing has to be asked. But the parts of one that is stored are not written again.
        var replaced = trajectory.revision == 1 && !isChunked ? Head() : try await head(of: subject)
        var payload = body
        while true {
            guard replaced.revision < trajectory.revision else {
                // Stored before: by this task ahead of its last checkpoint, or by a try whose answer was lost.
                context.metrics.add("skein_trajectories_republished_total")
                break
            }
            if isChunked, !payload.isEmpty {
                headers[SkeinHeaders.chunks] = String(try await publishChunks(of: trajectory, body))
                payload = []
            }
            headers[SkeinHeaders.expectedLastSubjectSequence] = String(replaced.sequence)
            do {
                try await context.jetStream.publishUntilStored(subject: subject, headers: headers, payload: payload)
                context.metrics.add("skein_trajectories_published_total")
                if trajectory.revision > 1 { context.metrics.add("skein_trajectory_revisions_total") }
                break
            } catch let error as NATSError where error.code == .wrongLastSequence {
                replaced = try await head(of: subject)
            }
        }
        if trajectory.revision > 1 { await removeChunks(of: trajectory, revision: trajectory.revision - 1) }
    }

    private var chunkSize: Int { max(1024, context.jetStream.connection.maxPayload - 4096) }

    /// The manifest comes after them, so that whoever sees it finds all parts.
    private func publishChunks(of trajectory: FinishedTrajectory, _ body: [UInt8]) async throws -> Int {
        let limit = chunkSize
        let chunks = (body.count + limit - 1) / limit
        for number in 1...chunks {
            let part = Array(body[(number - 1) * limit..<min(number * limit, body.count)])
            try await context.jetStream.publishUntilStored(
                subject: SkeinSubjects.trajectoryChunk(
                    tenant: trajectory.tenant, id: trajectory.id, revision: trajectory.revision, number: number),
                headers: [SkeinHeaders.chunk: "\(number)/\(chunks)"], payload: part)
        }
        return chunks
    }

    /// What the subject's last message is; none is revision 0 at sequence 0.
    private struct Head {
        var revision: UInt64 = 0
        var sequence: UInt64 = 0
    }

    /// Asked until the broker answers: a replica may lag, and without an answer nothing may be published.
    private func head(of subject: String) async throws -> Head {
        var pause = Duration.milliseconds(50)
        while true {
            switch await lastMessage(of: subject) {
            case .success(let message):
                guard let message else { return Head() }
                return Head(
                    revision: message.headers[SkeinHeaders.revision].flatMap { UInt64($0) } ?? 1,
                    sequence: message.sequence)
            case .failure(let error):
                guard error.isTemporary else { throw error }
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
    }

    private func lastMessage(of subject: String) async -> Result<StoredMessage?, NATSError> {
        do throws(NATSError) {
            return .success(
                try await context.jetStream.lastMessage(
                    stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true))
        } catch {
            return .failure(error)
        }
    }

    /// Parts of a revision that is replaced only take room: a failure to remove them fails nothing.
    private func removeChunks(of trajectory: FinishedTrajectory, revision: UInt64) async {
        let subject = SkeinSubjects.trajectory(tenant: trajectory.tenant, id: trajectory.id)
        await purge("\(subject).body.\(revision).*")
    }

    // MARK: Progress

    /// Tells of open trajectories. Stops at the first that the broker does not take; the others are told of when they change again.
    func publish(_ progress: [TrajectoryAssembler.Progress]) async {
        for record in progress {
            do {
                _ = try await context.jetStream.publish(
                    subject: SkeinSubjects.trajectoryOpen(tenant: record.tenant, id: record.id),
                    headers: [
                        SkeinHeaders.contentType: SkeinHeaders.json,
                        SkeinHeaders.agent: TrajectoryPublisher.headerText(record.agentName),
                        SkeinHeaders.state: "open",
                    ], payload: Array(OpenTrajectoryRecord(record).json.compactText.utf8))
                context.metrics.add("skein_trajectory_progress_total")
            } catch {
                context.metrics.add("skein_trajectory_progress_failures_total")
                return
            }
        }
    }

    /// Takes back what was told of a trajectory that is open no longer. A failure leaves a record that readers recognise as outdated.
    func removeProgress(tenant: String, id: EventUUID) async {
        await purge(SkeinSubjects.trajectoryOpen(tenant: tenant, id: id))
    }

    private func purge(_ subject: String) async {
        do {
            try await context.jetStream.purgeStream(SkeinSubjects.trajectoriesStream, subject: subject)
        } catch {
            context.metrics.add("skein_trajectory_purge_failures_total")
            context.logger.debug("purge failed", metadata: ["subject": "\(subject)", "error": "\(error)"])
        }
    }

    /// One line: names come from producers.
    private static func headerText(_ text: String) -> String {
        String(text.prefix(200).map { $0.isNewline || ($0.asciiValue ?? 32) < 32 ? " " : $0 })
    }
}
