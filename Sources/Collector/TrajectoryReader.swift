package import ATOF
internal import Foundation
package import NATSTransport
internal import Stages

/// A finished trajectory as it was published.
package struct PublishedTrajectory: Sendable {
    package let tenant: String
    package let id: String
    package let revision: UInt64
    /// False when it was closed without its opener's end.
    package let isComplete: Bool
    package let agent: String
    /// The ATIF document.
    package let document: JSONValue
}

/// The parts of a revision are gone, because a newer one has replaced it; that can be read instead.
package struct ReplacedTrajectoryError: Error, CustomStringConvertible {
    package let id: String
    package let revision: UInt64

    package var description: String {
        "revision \(revision) of the trajectory \(id) is gone: a newer one has replaced it"
    }
}

/// Reads trajectories from `SKEIN_TRAJECTORIES`, put together where they were sent in chunks.
package struct TrajectoryReader: Sendable {
    private let jetStream: JetStream

    package init(_ jetStream: JetStream) { self.jetStream = jetStream }

    /// All trajectories that the stream holds, oldest first.
    package func all() async throws -> [PublishedTrajectory] {
        let subjects = try await jetStream.subjects(
            of: SkeinSubjects.trajectoriesStream, matching: "skein.v1.trajectories.*.*")
        var found: [(sequence: UInt64, trajectory: PublishedTrajectory)] = []
        for subject in subjects.keys where SkeinSubjects.tenant(ofTrajectory: subject) != SkeinSubjects.ownTenant {
            // One that is replaced while its parts are read is read anew.
            while let message = try await jetStream.lastMessage(
                stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true)
            {
                do {
                    let trajectory = try await trajectory(
                        subject: subject, headers: message.headers, body: message.payload)
                    found.append((message.sequence, trajectory))
                    break
                } catch let error as ReplacedTrajectoryError {
                    let now = try await jetStream.lastMessage(
                        stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true)
                    guard now?.sequence != message.sequence else { throw error }
                }
            }
        }
        return found.sorted { $0.sequence < $1.sequence }.map(\.trajectory)
    }

    /// The trajectories that are open now, as far as collectors have told, in the order of their opening.
    ///
    /// - Parameter tenant: only this one's.
    package func open(tenant: String? = nil) async throws -> [OpenTrajectoryRecord] {
        let subjects = try await jetStream.subjects(
            of: SkeinSubjects.trajectoriesStream, matching: "skein.v1.trajectories.\(tenant ?? "*").*.open")
        var found: [OpenTrajectoryRecord] = []
        for subject in subjects.keys {
            guard
                let message = try await jetStream.lastMessage(
                    stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true),
                let record = (try? JSONParser.parse(message.payload)).flatMap({ OpenTrajectoryRecord($0) })
            else { continue }
            // A record may be left over from a collector that died, or was cut off, while its successor closed the trajectory.
            let closed = try await jetStream.lastMessage(
                stream: SkeinSubjects.trajectoriesStream, subject: String(subject.dropLast(".open".count)),
                fromLeader: true)
            if closed == nil { found.append(record) }
        }
        return found.sorted { ($0.openedAt, $0.id) < ($1.openedAt, $1.id) }
    }

    /// - Parameters: of a message on `skein.v1.trajectories.<tenant>.<id>`.
    package func trajectory(subject: String, headers: NATSHeaders, body: [UInt8]) async throws -> PublishedTrajectory {
        guard let (tenant, id) = SkeinSubjects.trajectory(of: subject) else {
            throw CollectorError("\(subject) is not the subject of a trajectory")
        }
        let document: JSONValue
        let whole = try await self.body(subject: subject, headers: headers, payload: body)
        do {
            document = try JSONParser.parse(whole)
        } catch {
            throw CollectorError("the body of \(subject) is not JSON")
        }
        return PublishedTrajectory(
            tenant: tenant, id: id, revision: TrajectoryReader.revision(headers),
            isComplete: headers[SkeinHeaders.state] != "abandoned", agent: headers[SkeinHeaders.agent] ?? "",
            document: document)
    }

    /// The document as it was published, put together from its parts.
    ///
    /// - Parameters: of a message on `skein.v1.trajectories.<tenant>.<id>`.
    /// - Throws: `ReplacedTrajectoryError` when parts are gone.
    func body(subject: String, headers: NATSHeaders, payload: [UInt8]) async throws -> [UInt8] {
        guard let chunks = headers[SkeinHeaders.chunks].flatMap({ Int($0) }) else { return payload }
        let revision = TrajectoryReader.revision(headers)
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

    private static func revision(_ headers: NATSHeaders) -> UInt64 {
        headers[SkeinHeaders.revision].flatMap { UInt64($0) } ?? 1
    }
}
