internal import AgentPublishing
internal import Foundation

/// A folder of segment files that belongs to one process, as long as it holds the lock file in it.
///
/// The kernel gives the lock back when the process ends in whatever way, so that another one can take the folder over.
final class SpoolFolder {
    let path: String
    private let lock: Int32

    private static let lockName = "lock"

    /// Makes a folder of one's own. Nobody else has its name: it may be there from an attempt before, of which only a part succeeded.
    static func create(_ path: String) throws(PublisherError) -> SpoolFolder {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SpoolFolder.failure("cannot be created", path) }
        guard let folder = SpoolFolder(locking: path) else { throw SpoolFolder.failure("cannot be locked", path) }
        return folder
    }

    /// - Returns: nil when another process has it, or it is gone.
    init?(locking path: String) {
        let file = "\(path)/\(SpoolFolder.lockName)"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        var held = stat()
        var named = stat()
        // Who had the lock before may have removed the file meanwhile: then this is a lock on nothing.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &held) == 0, stat(file, &named) == 0,
            held.st_ino == named.st_ino
        else {
            close(descriptor)
            return nil
        }
        self.path = path
        lock = descriptor
    }

    deinit { close(lock) }

    /// The numbers of the segments in it, in order.
    var numbers: [Int64] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.compactMap(SpoolFolder.number(of:)).sorted()
    }

    func file(_ number: Int64) -> String { "\(path)/\(SpoolFolder.name(of: number))" }

    /// Renames a file that nobody can read, so that somebody may look at it.
    func setAside(_ number: Int64) { rename(file(number), file(number) + ".damaged") }

    /// Removes the folder when there is no segment in it.
    func removeIfEmpty() {
        guard numbers.isEmpty else { return }
        unlink("\(path)/\(SpoolFolder.lockName)")
        rmdir(path)
    }

    // MARK: Names

    /// Numbers may be negative; the names are in the same order.
    private static func name(of number: Int64) -> String {
        let digits = String(UInt64(bitPattern: number) ^ 1 << 63, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + ".spool"
    }

    private static func number(of name: String) -> Int64? {
        guard name.hasSuffix(".spool"), name.utf8.count == 22, let bits = UInt64(name.prefix(16), radix: 16) else {
            return nil
        }
        return Int64(bitPattern: bits ^ 1 << 63)
    }

    static func failure(_ what: String, _ path: String) -> PublisherError {
        PublisherError(
            .configuration,
            "the spool \(path) \(what) (\(String(cString: strerror(errno)))); name a directory that the agent may write to"
        )
    }
}
