package import ATOF
internal import BusReading
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
        let whole = try await TrajectoryBody.read(jetStream, subject: subject, headers: headers, payload: body)
        do {
            document = try JSONParser.parse(whole)
        } catch {
            throw CollectorError("the body of \(subject) is not JSON")
        }
        return PublishedTrajectory(
            tenant: tenant, id: id, revision: TrajectoryBody.revision(headers),
            isComplete: headers[SkeinHeaders.state] != "abandoned", agent: headers[SkeinHeaders.agent] ?? "",
            document: document)
    }
}
