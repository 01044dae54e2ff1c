internal import ATOF
internal import NATSTransport
internal import Stages

/// The snapshots of one machine for each tenant, in one.
enum TenantSnapshots {
    private static let version: UInt8 = 1

    static func encode(_ snapshots: [String: [UInt8]]) -> [UInt8] {
        var writer = SnapshotWriter(version: version)
        writer.write(snapshots.count)
        for (tenant, bytes) in snapshots.sorted(by: { $0.key < $1.key }) {
            writer.write(tenant)
            writer.write(bytes)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]?) throws(SnapshotError) -> [String: [UInt8]] {
        guard let bytes else { return [:] }
        var reader = try SnapshotReader(bytes, version: version)
        var snapshots: [String: [UInt8]] = [:]
        for _ in 0..<(try reader.readCount()) {
            let tenant = try reader.readText()
            snapshots[tenant] = try reader.readBlob()
        }
        return snapshots
    }
}

/// Events of PROCESSED that a snapshot refers to, read again.
///
/// Used by one task while it restores a machine: what the machine asks for and is not there yet is noted, fetched, and asked for again.
final class EventArchive {
    private var batches: [UInt64: EventBatch] = [:]
    private(set) var missing: Set<UInt64> = []

    /// The packed event; nil notes that its message is missing.
    func packedEvent(at reference: EventReference) -> [UInt8]? {
        guard let batch = batches[reference.sequence] else {
            missing.insert(reference.sequence)
            return nil
        }
        return reference.index < batch.count ? batch.packedEvent(at: reference.index).array : nil
    }

    /// - Throws: `CollectorError` when a message is gone: without it the snapshot cannot be restored.
    func fetchMissing(from jetStream: JetStream) async throws {
        for sequence in missing.sorted() {
            guard let payload = try await EventArchive.payload(at: sequence, from: jetStream) else {
                throw CollectorError(
                    "message \(sequence) of \(SkeinSubjects.processedStream), which a snapshot refers to, is gone; delete the task's key "
                        + "from the bucket \(SkeinSubjects.stateBucket) to read what is left from its beginning")
            }
            batches[sequence] = try EventBatch(unpacking: payload)
        }
        missing = []
    }
}

// MARK: Many at once

extension EventArchive {
    /// Messages that are held at a time: each may be as large as the server allows.
    private static let slice = 64

    /// The packed events at the references. What is gone, or is no event any more, is not among them.
    static func packedEvents(
        at references: [EventReference], from jetStream: JetStream
    ) async throws -> [EventReference: [UInt8]] {
        var wanted: [UInt64: [Int]] = [:]
        for reference in references { wanted[reference.sequence, default: []].append(reference.index) }
        let sequences = wanted.keys.sorted()
        var found: [EventReference: [UInt8]] = [:]
        found.reserveCapacity(references.count)
        for start in stride(from: 0, to: sequences.count, by: slice) {
            let messages = try await jetStream.messages(
                stream: SkeinSubjects.processedStream, sequences: sequences[start..<min(start + slice, sequences.count)]
            )
            for (sequence, message) in messages {
                guard let payload = try await wholePayload(of: message, from: jetStream),
                    let batch = try? EventBatch(unpacking: payload)
                else { continue }
                // Only the events that are wanted: the message may hold many of other runs.
                for index in wanted[sequence] ?? [] where index < batch.count {
                    found[EventReference(sequence: sequence, index: index)] = batch.packedEvent(at: index).array
                }
            }
        }
        return found
    }

    /// The whole payload of the message that begins at a sequence, also when it came in chunks; nil when a part of it is gone.
    static func payload(at sequence: UInt64, from jetStream: JetStream) async throws -> [UInt8]? {
        guard let first = try await jetStream.message(stream: SkeinSubjects.processedStream, sequence: sequence) else {
            return nil
        }
        return try await wholePayload(of: first, from: jetStream)
    }

    private static func wholePayload(of first: StoredMessage, from jetStream: JetStream) async throws -> [UInt8]? {
        guard let chunk = first.headers[SkeinHeaders.chunk] else { return first.payload }
        guard let (number, count) = ChunkAssembler.parse(chunk), number == 1 else { return nil }
        var payload = first.payload
        var last = first
        var have = 1
        // A chain has one writer, whose chunks follow each other; only a repeated one may be between.
        while have < count {
            guard
                let next = try await jetStream.message(
                    stream: SkeinSubjects.processedStream, sequence: last.sequence + 1, matching: first.subject),
                next.headers[SkeinHeaders.chunkID] == first.headers[SkeinHeaders.chunkID],
                let (number, _) = next.headers[SkeinHeaders.chunk].flatMap({ ChunkAssembler.parse($0) }),
                number <= have + 1
            else { return nil }
            if number == have + 1 {
                payload += next.payload
                have += 1
            }
            last = next
        }
        return payload
    }
}
