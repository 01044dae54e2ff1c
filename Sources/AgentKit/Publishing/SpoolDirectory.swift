internal import AgentPublishing
internal import Foundation

/// The files of a spool. Used on the publishing thread only.
///
/// A write that is cut short by a crash leaves a torn record at the end of a file: it is found by its length or checksum, and nothing
/// behind it is read. A write that fails is taken back.
final class SpoolDirectory {
    private let root: String
    private let sync: PublisherConfiguration.Spool.Sync
    private let ownName: String
    /// By `SpoolSegmentID.source`; the last is our own, made when it is needed.
    private var folders: [Int: SpoolFolder] = [:]
    /// The source of the own folder.
    let source: Int
    let found: [FoundSegment]
    /// Bytes behind the last whole record of files that were found.
    private(set) var tornBytes = 0
    /// Files of which not one record can be read: set aside, or left to the later version that has written them.
    private(set) var unreadableFiles = 0
    /// How often the disk could not be forced.
    private(set) var failedSyncs = 0

    private var tail: (id: SpoolSegmentID, descriptor: Int32, size: Int)?
    private var reader: (id: SpoolSegmentID, descriptor: Int32)?
    private var isDirty = false
    private var lastSync: UInt64 = 0
    private let force: (_ descriptor: Int32, _ isFolder: Bool) -> Int32

    /// Takes over what dead processes have left.
    ///
    /// - Parameter force: forces a file or a folder to the disk; 0 when that has succeeded.
    /// - Throws: `.configuration` when the directory cannot be used.
    init(
        _ spool: PublisherConfiguration.Spool, instance: String,
        force: @escaping (_ descriptor: Int32, _ isFolder: Bool) -> Int32 = { $1 ? fsync($0) : fdatasync($0) }
    ) throws(PublisherError) {
        root = spool.directory
        sync = spool.sync
        self.force = force
        try SpoolDirectory.prepare(root)
        let millis = String(Int(Date().timeIntervalSince1970 * 1000))
        ownName = String(repeating: "0", count: max(0, 15 - millis.count)) + millis + "-" + instance
        var source = 0
        var found: [FoundSegment] = []
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).filter { !$0.hasPrefix(".") }
        for name in names.sorted() {
            guard let folder = SpoolFolder(locking: "\(root)/\(name)") else { continue }
            let numbers = folder.numbers
            for number in numbers {
                let id = SpoolSegmentID(source: source, number: number)
                switch SpoolDirectory.survey(folder.file(number), id) {
                case nil: continue
                case .found(let segment, let torn)?:
                    tornBytes += torn
                    found.append(segment)
                case .empty?: unlink(folder.file(number))
                case .unreadable(let bytes)?:
                    // It may be the first write of a process that was killed in it.
                    tornBytes += bytes
                    unreadableFiles += 1
                    folder.setAside(number)
                case .ofOtherVersion?: unreadableFiles += 1
                }
            }
            if folder.numbers.isEmpty {
                folder.removeIfEmpty()
            } else {
                folders[source] = folder
                source += 1
            }
        }
        self.source = source
        self.found = found
    }

    /// Makes the directory, and tries whether it can be written to.
    static func prepare(_ root: String) throws(PublisherError) {
        do {
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        } catch {
            throw SpoolFolder.failure("cannot be created", root)
        }
        guard access(root, W_OK | X_OK | R_OK) == 0 else { throw SpoolFolder.failure("cannot be written to", root) }
    }

    private enum Survey {
        case found(FoundSegment, torn: Int)
        case empty
        case unreadable(bytes: Int)
        case ofOtherVersion
    }

    /// Goes through the lengths of a file's records.
    private static func survey(_ path: String, _ id: SpoolSegmentID) -> Survey? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        var (offset, records, events) = (0, 0, 0)
        var prefix = [UInt8](repeating: 0, count: SpoolRecord.prefixSize)
        while offset + prefix.count <= size {
            guard pread(descriptor, &prefix, prefix.count, off_t(offset)) == prefix.count,
                let record = prefix.withUnsafeBytes({ SpoolRecord.peek($0) }), offset + record.size <= size
            else { break }
            offset += record.size
            records += 1
            events += record.events
        }
        if records > 0 {
            return .found(
                FoundSegment(id: id, bytes: offset, records: records, events: events), torn: size - offset)
        }
        if size == 0 { return .empty }
        let length = prefix.withUnsafeBytes { SpoolRecord.length($0) }
        guard length <= size else { return .unreadable(bytes: size) }
        let record = SpoolDirectory.read(descriptor, 0, length)
        return record.withUnsafeBytes { SpoolRecord.isOfOtherVersion($0) } ? .ofOtherVersion : .unreadable(bytes: size)
    }

    // MARK: Writing

    /// - Throws: what the system said; then nothing of it is there.
    func write(_ id: SpoolSegmentID, _ batches: [SealedBatch]) throws(PublisherError) {
        let (descriptor, size) = try openTail(id)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(batches.reduce(0) { $0 + SpoolRecord.size(of: $1) })
        for batch in batches { SpoolRecord.append(batch, to: &bytes) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + written, bytes.count - written, off_t(size + written))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return try takeBack(descriptor, size) }
            written += count
        }
        tail?.size += written
        isDirty = true
        if case .always = sync {
            guard force(descriptor, false) == 0 else { return try takeBack(descriptor, size) }
            isDirty = false
        }
    }

    private func takeBack(_ descriptor: Int32, _ size: Int) throws(PublisherError) {
        let failure = SpoolFolder.failure("cannot be written to", root)
        ftruncate(descriptor, off_t(size))
        throw failure
    }

    private func openTail(_ id: SpoolSegmentID) throws(PublisherError) -> (Int32, Int) {
        if let tail, tail.id == id { return (tail.descriptor, tail.size) }
        closeTail()
        if folders[source] == nil {
            folders[source] = try SpoolFolder.create("\(root)/\(ownName)")
            // What makes the folder one of the directory, and the directory one of its parent: either may be new.
            if !isLazy {
                syncFolder(root)
                syncFolder("\(root)/..")
            }
        }
        guard let path = file(id) else { throw SpoolFolder.failure("has no such file", root) }
        // A segment that was closed for the sake of another goes on at its end.
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolFolder.failure("cannot be written to", root) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        tail = (id, descriptor, size)
        if !isLazy { syncFolder("\(root)/\(ownName)") }
        return (descriptor, size)
    }

    private var isLazy: Bool { if case .never = sync { true } else { false } }

    /// So that what is new in it is found after a loss of power.
    private func syncFolder(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // The directory's parent may be nobody's business.
        guard descriptor >= 0 else { return }
        if force(descriptor, true) != 0 { failedSyncs += 1 }
        close(descriptor)
    }

    /// Forces to the disk what the configuration wants there by now.
    func syncDue(now: UInt64) {
        guard case .interval(let interval) = sync, isDirty, now >= lastSync + interval.wholeNanoseconds else { return }
        lastSync = now
        if let tail { forceTail(tail.descriptor) }
    }

    /// What cannot be forced now is tried again at the next interval.
    private func forceTail(_ descriptor: Int32) {
        isDirty = force(descriptor, false) != 0
        if isDirty { failedSyncs += 1 }
    }

    /// When `syncDue` has something to do.
    var nextSync: UInt64? {
        guard case .interval(let interval) = sync, isDirty else { return nil }
        return lastSync + interval.wholeNanoseconds
    }

    private func closeTail() {
        guard let tail else { return }
        if isDirty, !isLazy { forceTail(tail.descriptor) }
        isDirty = false
        close(tail.descriptor)
        self.tail = nil
    }

    // MARK: Reading

    /// The records from an offset on, at least one if there is one.
    func read(_ id: SpoolSegmentID, offset: Int, bytes wanted: Int) -> (batches: [SealedBatch], isDamaged: Bool) {
        guard let descriptor = openReader(id) else { return ([], true) }
        var batches: [SealedBatch] = []
        var size = max(wanted, SpoolRecord.prefixSize)
        while true {
            let bytes = SpoolDirectory.read(descriptor, offset, size)
            var start = 0
            batches = []
            scan: while start < bytes.count {
                let reading = bytes.withUnsafeBytes { SpoolRecord.read(UnsafeRawBufferPointer(rebasing: $0[start...])) }
                switch reading {
                case .record(let batch, let size):
                    batches.append(batch)
                    start += size
                case .incomplete(let needed):
                    guard batches.isEmpty else { break scan }
                    // Larger than what was asked for: once more with its size, if the file has so much.
                    guard bytes.count >= size, needed > size else { return ([], true) }
                    size = needed
                    break scan
                case .damaged: return (batches, true)
                }
            }
            if !batches.isEmpty || bytes.isEmpty { return (batches, bytes.isEmpty) }
        }
    }

    private static func read(_ descriptor: Int32, _ offset: Int, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count {
                let read = pread(
                    descriptor, buffer.baseAddress! + initialized, count - initialized, off_t(offset + initialized))
                if read < 0, errno == EINTR { continue }
                guard read > 0 else { return }
                initialized += read
            }
        }
    }

    private func openReader(_ id: SpoolSegmentID) -> Int32? {
        // Also when somebody has removed the file meanwhile.
        if let tail, tail.id == id { return tail.descriptor }
        if let reader, reader.id == id { return reader.descriptor }
        closeReader()
        guard let path = file(id) else { return nil }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        reader = (id, descriptor)
        return descriptor
    }

    private func closeReader() {
        if let reader { close(reader.descriptor) }
        reader = nil
    }

    // MARK: Removing

    func remove(_ id: SpoolSegmentID) {
        if reader?.id == id { closeReader() }
        if tail?.id == id {
            isDirty = false
            closeTail()
        }
        if let path = file(id) { unlink(path) }
        guard id.source != source else { return }
        let isEmpty = folders[id.source]?.numbers.isEmpty ?? false
        if isEmpty {
            folders[id.source]?.removeIfEmpty()
            folders[id.source] = nil
        }
    }

    /// Leaves what is not acknowledged for the next process.
    func end() {
        closeReader()
        closeTail()
        folders[source]?.removeIfEmpty()
        folders = [:]
    }

    private func file(_ id: SpoolSegmentID) -> String? { folders[id.source]?.file(id.number) }
}
