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
    /// Messages asked for at a time.
    private static let concurrency = 64

    /// The packed events at the references. What is gone, or is no event any more, is not among them.
    static func packedEvents(
        at references: [EventReference], from jetStream: JetStream
    ) async throws -> [EventReference: [UInt8]] {
        var wanted: [UInt64: [Int]] = [:]
        for reference in references { wanted[reference.sequence, default: []].append(reference.index) }
        var found: [EventReference: [UInt8]] = [:]
        found.reserveCapacity(references.count)
        try await withThrowingTaskGroup(of: [(EventReference, [UInt8])].self) { group in
            var waiting = wanted.sorted { $0.key < $1.key }[...]
            func startNext() {
                guard let (sequence, indices) = waiting.popFirst() else { return }
                group.addTask { try await events(indices, of: sequence, jetStream) }
            }
            for _ in 0..<concurrency { startNext() }
            while let events = try await group.next() {
                for (reference, packed) in events { found[reference] = packed }
                startNext()
            }
        }
        return found
    }

    /// Of a message only the events that are wanted: it may hold many of other runs.
    private static func events(
        _ indices: [Int], of sequence: UInt64, _ jetStream: JetStream
    ) async throws -> [(EventReference, [UInt8])] {
        guard let payload = try await payload(at: sequence, from: jetStream),
            let batch = try? EventBatch(unpacking: payload)
        else { return [] }
        return indices.filter { $0 < batch.count }.map {
            (EventReference(sequence: sequence, index: $0), batch.packedEvent(at: $0).array)
        }
    }

    /// The whole payload of the message that begins at a sequence, also when it came in chunks; nil when a part of it is gone.
    static func payload(at sequence: UInt64, from jetStream: JetStream) async throws -> [UInt8]? {
        let stream = SkeinSubjects.processedStream
        guard let first = try await jetStream.message(stream: stream, sequence: sequence) else { return nil }
        guard let chunk = first.headers[SkeinHeaders.chunk] else { return first.payload }
        guard let (number, count) = place(chunk), number == 1 else { return nil }
        var payload = first.payload
        var last = first
        var have = 1
        // A chain has one writer, whose chunks follow each other; only a repeated one may be between.
        while have < count {
            guard
                let next = try await jetStream.message(
                    stream: stream, sequence: last.sequence + 1, matching: first.subject),
                let (number, _) = next.headers[SkeinHeaders.chunk].flatMap({ place($0) }), number <= have + 1,
                next.headers["Skein-Chunk-Id"] == first.headers["Skein-Chunk-Id"]
            else { return nil }
            if number == have + 1 {
                payload += next.payload
                have += 1
            }
            last = next
        }
        return payload
    }

    /// Reads `<n>/<count>`.
    private static func place(_ text: String) -> (number: Int, count: Int)? {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let number = Int(parts[0]), let count = Int(parts[1]), number >= 1, number <= count
        else { return nil }
        return (number, count)
    }
}
