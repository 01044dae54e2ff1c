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
            guard let message = try await jetStream.message(stream: SkeinSubjects.processedStream, sequence: sequence)
            else {
                throw CollectorError(
                    "message \(sequence) of \(SkeinSubjects.processedStream), which a snapshot refers to, is gone; delete the task's key "
                        + "from the bucket \(SkeinSubjects.stateBucket) to read what is left from its beginning")
            }
            batches[sequence] = try EventBatch(unpacking: message.payload)
        }
        missing = []
    }
}
