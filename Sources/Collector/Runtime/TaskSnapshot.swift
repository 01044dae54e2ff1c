internal import ATOF

/// What a task's snapshot holds: half messages of the runtime, and the worker's own.
struct TaskSnapshot: Sendable {
    private static let version: UInt8 = 2

    /// Nil before the first snapshot.
    private(set) var chunks: [UInt8]?
    private(set) var worker: [UInt8]?

    init(chunks: [UInt8], worker: [UInt8]) {
        self.chunks = chunks
        self.worker = worker
    }

    /// - Throws: `SnapshotError` for the bytes of another version.
    init(_ bytes: [UInt8]?) throws(SnapshotError) {
        guard let bytes else { return }
        var reader = try SnapshotReader(bytes, version: TaskSnapshot.version)
        chunks = try reader.readBlob()
        worker = try reader.readBlob()
        try reader.end()
    }

    var bytes: [UInt8] {
        var writer = SnapshotWriter(version: TaskSnapshot.version)
        writer.write(chunks ?? [])
        writer.write(worker ?? [])
        return writer.bytes
    }
}
