internal import Foundation
internal import Logging
internal import NATSTransport
internal import Stages

/// A member's announcement in the bucket `skein_members`, and the look at the others.
///
/// The bucket is polled. A plain message says that it is worth a look now; nothing depends on its arrival.
struct Membership: Sendable {
    static let bucketName = "skein_members"
    /// Where members say that something has changed.
    static let changes = "skein.v1.members"

    private struct Announcement: Codable {
        let stages: [String]
        let leaving: Bool
        let settling: Bool
        /// For people. Members before 0.2 do not tell.
        let host: String?
        /// Members of before do not tell it.
        let policy: String?
    }

    private let bucket: KeyValueBucket
    private let jetStream: JetStream
    private let id: String
    private let stages: [String]
    /// Of an announcement: the bucket's, the same for all members.
    let timeToLive: Duration

    /// - Parameter wanted: how long an announcement shall live. A bucket that exists has its own, which counts for all members; only while
    ///   there is no member it is changed.
    static func join(
        _ jetStream: JetStream, id: String, stages: [String], timeToLive wanted: Duration, replicas: Int, logger: Logger
    ) async throws -> Membership {
        let stream = "KV_\(bucketName)"
        var timeToLive = wanted
        if let found = try await existing(stream, jetStream), let age = found.configuration.maxAge, age != wanted {
            if found.messages == 0 {
                var changed = found.configuration
                changed.maxAge = wanted
                changed.duplicateWindow = min(wanted, .seconds(120))
                _ = try await jetStream.updateStream(changed)
            } else {
                timeToLive = age
                logger.warning(
                    "the members that are there use another time to live, which counts until all of them have ended",
                    metadata: ["key": "collector.member_ttl_millis", "wanted": "\(wanted)", "found": "\(age)"])
            }
        }
        // A late answer is as good as none.
        let hasty = JetStream(jetStream.connection, timeout: max(timeToLive / 4, .milliseconds(250)))
        let bucket = try await KeyValueBucket.open(
            jetStream, name: bucketName, timeToLive: timeToLive, replicas: replicas)
        return Membership(
            bucket: bucket.over(hasty), jetStream: hasty, id: id, stages: stages, timeToLive: timeToLive)
    }

    private static func existing(_ stream: String, _ jetStream: JetStream) async throws -> StreamInfo? {
        do throws(NATSError) {
            return try await jetStream.streamInfo(stream)
        } catch let error where error.code == .notFound {
            return nil
        }
    }

    /// Renews the announcement, then reads all.
    ///
    /// - Parameter policy: what tells this member's policy from another one.
    func renew(isLeaving: Bool, isSettling: Bool, policy: String) async throws -> [MembershipMachine.Sighting] {
        let value = try JSONEncoder().encode(
            Announcement(
                stages: stages, leaving: isLeaving, settling: isSettling, host: ProcessInfo.processInfo.hostName,
                policy: policy))
        try await bucket.put(id, [UInt8](value))
        return try await bucket.entries(fromLeader: true).compactMap { entry in
            // Whatever cannot be read is no member: it is not for this version, or not ours.
            guard let found = try? JSONDecoder().decode(Announcement.self, from: Data(entry.value)) else { return nil }
            return MembershipMachine.Sighting(
                member: Assignment.Member(id: entry.key, stages: Set(found.stages)), isLeaving: found.leaving,
                isSettling: found.settling,
                announced: entry.created, host: found.host ?? "", policy: found.policy)
        }
    }

    /// What a member says of itself to people.
    struct Introduction: Sendable {
        let host: String
        let policy: String?
    }

    /// The members that are there, by their ids.
    static func introductions(_ jetStream: JetStream) async throws -> [String: Introduction] {
        let bucket: KeyValueBucket
        do throws(NATSError) {
            bucket = try await KeyValueBucket.existing(jetStream, name: bucketName)
        } catch {
            guard error.code == .notFound else { throw error }
            return [:]
        }
        return try await bucket.entries(fromLeader: true).reduce(into: [:]) { members, entry in
            guard let found = try? JSONDecoder().decode(Announcement.self, from: Data(entry.value)) else { return }
            members[entry.key] = Introduction(host: found.host ?? "", policy: found.policy)
        }
    }

    /// Takes the announcement back.
    func leave() async throws {
        try await bucket.purge(id)
        try await tell()
    }

    /// Tells the others to look.
    func tell() async throws {
        try await jetStream.connection.publish(subject: Membership.changes, payload: [])
    }

    /// A message for every time that a member says so.
    func whenTold() async throws -> NATSSubscription {
        try await jetStream.connection.subscribe(subject: Membership.changes, capacity: 1)
    }
}
