internal import Foundation
package import NATSTransport

/// The task's record was deleted, as `skein tasks reset` does: it begins anew.
package struct TaskReset: Error, Sendable, CustomStringConvertible {
    package let key: TaskKey

    package var description: String { "the record of \(key) was deleted" }
}

/// A task's place in the state bucket: takes it over, and writes checkpoints with compare-and-set.
package actor TaskStore {
    private let bucket: KeyValueBucket
    private let jetStream: JetStream
    private let key: TaskKey
    private let chunkSize: Int
    private var record: TaskRecord
    private var revision: UInt64
    private var generation: UInt64 = 0

    /// Rewrites the record with the next epoch.
    ///
    /// - Parameter mayTake: whether the task may be taken from the member that the record names.
    /// - Throws: `FencedError` when the task is somebody else's, or becomes so meanwhile; `CollectorError` for a record that cannot be read.
    package init(
        takingOver key: TaskKey, in bucket: KeyValueBucket, of jetStream: JetStream, owner: String,
        stream name: String, mayTake: @Sendable (String) -> Bool
    ) async throws {
        self.bucket = bucket
        self.jetStream = jetStream
        self.key = key
        // Half of what a message may hold leaves room for subject and headers.
        chunkSize = max(1024, jetStream.connection.maxPayload / 2)
        let nonce = UUID().uuidString
        if let entry = try await bucket.get(key.description, fromLeader: true) {
            var found = try TaskStore.decode(entry.value, key)
            guard mayTake(found.owner) else { throw FencedError(key: key) }
            wasReleased = found.owner.isEmpty || found.owner == owner
            found.epoch += 1
            found.owner = owner
            found.nonce = nonce
            record = found
            revision = try await TaskStore.write(found, key, bucket, over: entry.revision)
        } else {
            // A deleted record must not bring back an epoch that chains know as an earlier owner's: the bucket's sequence only grows.
            let bucketEnd = try await jetStream.streamInfo("KV_\(bucket.name)").lastSequence
            // Nobody can tell whether its last owner still writes.
            wasReleased = bucketEnd == 0
            record = TaskRecord(
                epoch: bucketEnd + 1, owner: owner, nonce: nonce, position: 0, keepFrom: 1,
                streamCreated: try await jetStream.streamInfo(name).created)
            revision = try await TaskStore.write(record, key, bucket, over: nil)
        }
    }

    /// Writes the first record of an owner. Its answer may get lost: what stands there then says whether it is the own one.
    private static func write(
        _ record: TaskRecord, _ key: TaskKey, _ bucket: KeyValueBucket, over revision: UInt64?
    ) async throws -> UInt64 {
        do {
            if let revision { return try await bucket.update(key.description, encode(record), revision: revision) }
            return try await bucket.create(key.description, encode(record))
        } catch let error as NATSError {
            guard let entry = try await bucket.get(key.description, fromLeader: true) else { throw error }
            let found = try decode(entry.value, key)
            if found.nonce == record.nonce { return entry.revision }
            // Another member was first. It is not a failure of the task.
            throw entry.revision == revision ? error : FencedError(key: key)
        }
    }

    /// Whether nobody else can still be writing for the task: the owner before has released it, or was this member.
    package let wasReleased: Bool

    package var epoch: UInt64 { record.epoch }
    package var position: UInt64 { record.position }
    package var positionTime: Int64? { record.positionTime }
    package var streamCreated: Int64 { record.streamCreated }

    /// - Throws: `CollectorError` when chunks of the snapshot are missing.
    package func snapshot() async throws -> [UInt8]? {
        guard let reference = record.snapshot else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(reference.bytes)
        for number in 0..<reference.chunks {
            guard let chunk = try await bucket.get(chunkKey(reference, number)) else {
                throw CollectorError(
                    "chunk \(number + 1) of \(reference.chunks) of the snapshot of \(key) is missing from the bucket; restore it, or "
                        + "delete the key \(key) to begin anew")
            }
            bytes += chunk.value
        }
        return bytes
    }

    /// Writes snapshot and position. The chunks come first, so that a record never names what is not there.
    ///
    /// - Throws: `FencedError` when another owner has rewritten the record.
    package func checkpoint(position: UInt64, time: Int64? = nil, keepFrom: UInt64, snapshot: [UInt8]) async throws {
        generation += 1
        let chunks = stride(from: 0, to: snapshot.count, by: chunkSize).map { start in
            Array(snapshot[start..<min(start + chunkSize, snapshot.count)])
        }
        let reference = TaskRecord.Snapshot(
            epoch: record.epoch, generation: generation, chunks: chunks.count, bytes: snapshot.count)
        for (number, chunk) in chunks.enumerated() { _ = try await bucket.put(chunkKey(reference, number), chunk) }
        let previous = record.snapshot
        try await write { record in
            record.position = position
            record.positionTime = time
            record.keepFrom = keepFrom
            record.snapshot = reference
        }
        if let previous { try await purge("\(previous.epoch).\(previous.generation).>") }
        if generation == 1 { try await purgeLeftovers(before: reference) }
    }

    /// Removes chunks of earlier owners, who were killed before the record named them. What a later owner wrote is none of ours.
    private func purgeLeftovers(before current: TaskRecord.Snapshot) async throws {
        let base = "$KV.\(bucket.name).\(key).snapshot."
        for subject in try await jetStream.subjects(of: "KV_\(bucket.name)", matching: base + ">").keys {
            let chunk = subject.dropFirst(base.count)
            if let epoch = chunk.split(separator: ".").first.flatMap({ UInt64($0) }), epoch < current.epoch {
                try await purge(String(chunk))
            }
        }
    }

    private func purge(_ chunks: String) async throws {
        try await jetStream.purgeStream("KV_\(bucket.name)", subject: "$KV.\(bucket.name).\(key).snapshot.\(chunks)")
    }

    /// Whether nobody has taken the task over since; asked before a lost reader is made anew.
    package func isOwner() async -> Bool {
        do {
            try await check()
            return true
        } catch {
            // While the bucket cannot be read nothing can be written either: reading on does no harm.
            return !(error is FencedError)
        }
    }

    /// Looks whether the record is still this owner's: an idle one writes nothing that would tell.
    ///
    /// - Throws: `FencedError` when another owner has it, `TaskReset` when it was deleted, `NATSError` when it cannot be read.
    package func check() async throws {
        guard let entry = try await bucket.get(key.description, fromLeader: true) else { throw TaskReset(key: key) }
        if try TaskStore.decode(entry.value, key).epoch != record.epoch { throw FencedError(key: key) }
    }

    /// Gives the task to whoever comes next.
    ///
    /// - Throws: `FencedError` when somebody has it already.
    package func release() async throws {
        try await write { $0.owner = "" }
    }

    /// Gives a task that has ended to whoever comes next, if its record names the member still.
    ///
    /// - Throws: `NATSError` when that is not certain; `CollectorError` for a record that cannot be read.
    package static func release(_ key: TaskKey, of owner: String, in bucket: KeyValueBucket) async throws {
        guard let entry = try await bucket.get(key.description, fromLeader: true) else { return }
        var found = try decode(entry.value, key)
        guard found.owner == owner else { return }
        found.owner = ""
        found.nonce = UUID().uuidString
        try await bucket.update(key.description, encode(found), revision: entry.revision)
    }

    private func write(_ change: (inout TaskRecord) -> Void) async throws {
        var next = TaskStore.changed(record, change)
        while true {
            do {
                revision = try await bucket.update(key.description, TaskStore.encode(next), revision: revision)
                break
            } catch let error as NATSError {
                // The answer may be what was lost, not the write.
                guard let entry = try await bucket.get(key.description, fromLeader: true) else {
                    throw TaskReset(key: key)
                }
                let found = try TaskStore.decode(entry.value, key)
                if found.nonce == next.nonce {
                    revision = entry.revision
                    break
                }
                guard found.epoch == record.epoch, found.owner == record.owner else { throw FencedError(key: key) }
                if entry.revision == revision { throw error }
                // An earlier write of our own, whose answer was late as well. What it says stays: the stream may have been trimmed behind
                // its position, and the snapshot before it may be gone.
                revision = entry.revision
                next = TaskStore.changed(found, change)
            }
        }
        record = next
    }

    private static func changed(_ record: TaskRecord, _ change: (inout TaskRecord) -> Void) -> TaskRecord {
        var next = record
        change(&next)
        next.nonce = UUID().uuidString
        return next
    }

    private func chunkKey(_ reference: TaskRecord.Snapshot, _ number: Int) -> String {
        "\(key).snapshot.\(reference.epoch).\(reference.generation).\(number)"
    }

    private static func encode(_ record: TaskRecord) throws -> [UInt8] { [UInt8](try JSONEncoder().encode(record)) }

    package static func decode(_ bytes: [UInt8], _ key: TaskKey) throws -> TaskRecord {
        do {
            return try JSONDecoder().decode(TaskRecord.self, from: Data(bytes))
        } catch {
            throw CollectorError(
                "the record \(key) cannot be read; it was written by another version or damaged: delete it to begin anew"
            )
        }
    }
}
