internal import Foundation
package import NATSTransport
internal import Stages

/// Where a task is in its stream, and how much waits behind that: by the server's own figures.
package struct TaskLag: Sendable, Codable {
    package let stage: String
    package let partition: Int
    package let stream: String
    /// The member that has the task; empty when nobody does.
    package let owner: String
    /// The machine on which that member runs; empty when it is not known.
    package let host: String
    /// What tells that member's policy from another one; empty when it is not known.
    package let policy: String
    package let epoch: UInt64
    /// Everything up to this sequence is delivered and in the task's last checkpoint.
    package let position: UInt64
    /// Messages of the partition behind the position.
    package let messages: UInt64
    /// Age of the oldest of them.
    package let seconds: Double
}

/// The tasks of all members, from their records.
package struct TaskList: Sendable {
    private let jetStream: JetStream
    private let bucket: KeyValueBucket

    private init(_ jetStream: JetStream, _ bucket: KeyValueBucket) {
        self.jetStream = jetStream
        self.bucket = bucket
    }

    /// - Throws: `CollectorError` when no collector has ever run here.
    package static func open(_ jetStream: JetStream) async throws -> TaskList {
        do throws(NATSError) {
            return TaskList(
                jetStream, try await KeyValueBucket.existing(jetStream, name: SkeinSubjects.stateBucket))
        } catch {
            guard error.code == .notFound else { throw error }
            throw CollectorError(
                "there is no bucket \(SkeinSubjects.stateBucket): no collector has run here yet; start skein collect or skein up"
            )
        }
    }

    /// The tasks that have a record, by stage and partition.
    package func keys(stage: String? = nil) async throws -> [TaskKey] {
        let base = "$KV.\(bucket.name)."
        let subjects = try await jetStream.subjects(
            of: "KV_\(bucket.name)", matching: "\(base)task.\(stage ?? "*").*")
        return subjects.keys.compactMap { TaskKey($0.dropFirst(base.count)) }.sorted {
            ($0.stage, $0.partition) < ($1.stage, $1.partition)
        }
    }

    /// - Throws: `CollectorError` for a record that cannot be read.
    package func lags(stage: String? = nil) async throws -> [TaskLag] {
        let members = try await Membership.introductions(jetStream)
        var lags: [TaskLag] = []
        for key in try await keys(stage: stage) {
            guard let entry = try await bucket.get(key.description, fromLeader: true) else { continue }
            lags.append(try await lag(key, try TaskStore.decode(entry.value, key), members))
        }
        return lags
    }

    /// The members that say which policy they have, as people know them, by that policy. More than one policy is a mistake, or a change that
    /// is under way.
    package func policies() async throws -> [String: [String]] {
        var found: [String: [String]] = [:]
        for (id, member) in try await Membership.introductions(jetStream) {
            if let policy = member.policy { found[policy, default: []].append("\(id.prefix(8)) on \(member.host)") }
        }
        return found.mapValues { $0.sorted() }
    }

    private func lag(
        _ key: TaskKey, _ record: TaskRecord, _ members: [String: Membership.Introduction]
    ) async throws -> TaskLag {
        let next = record.position + 1
        var (messages, seconds) = (UInt64(0), 0.0)
        let stream = try await jetStream.streamInfo(key.stream)
        if next <= stream.lastSequence {
            messages = try await jetStream.pending(stream: key.stream, filter: key.filter, from: next)
        }
        if messages > 0,
            let oldest = try await jetStream.message(stream: key.stream, sequence: next, matching: key.filter)
        {
            let now = stream.serverTime ?? Int64(clamping: Wall.nanoseconds())
            seconds = max(0, Double(now - oldest.time) / 1e9)
        }
        return TaskLag(
            stage: key.stage, partition: key.partition, stream: key.stream, owner: record.owner,
            host: members[record.owner]?.host ?? "", policy: members[record.owner]?.policy ?? "", epoch: record.epoch,
            position: record.position, messages: messages,
            seconds: seconds)
    }

    /// Forgets how far tasks are: whoever runs them begins at what their stream holds first.
    package func reset(_ keys: [TaskKey]) async throws {
        for key in keys {
            try await bucket.purge(key.description)
            try await jetStream.purgeStream("KV_\(bucket.name)", subject: "$KV.\(bucket.name).\(key).snapshot.>")
        }
    }
}

extension TaskKey {
    /// Reads the key of a record, `task.<stage>.<partition>`.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "task", let partition = Int(parts[2]) else { return nil }
        self.init(stage: String(parts[1]), partition: partition)
    }

    /// The stream that the task reads.
    var stream: String {
        if stage == "process" { return SkeinSubjects.eventsStream }
        return StageName.isStore(stage) ? SkeinSubjects.trajectoriesStream : SkeinSubjects.processedStream
    }

    /// What it reads of it.
    var filter: String {
        if stage == "process" { return SkeinSubjects.eventsFilter(partition: partition) }
        return StageName.isStore(stage)
            ? SkeinSubjects.trajectoriesFilter : SkeinSubjects.processedFilter(partition: partition)
    }
}
