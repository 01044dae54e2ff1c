internal import Foundation

/// Keeps two processes out of one data directory: two nats-servers on one store ruin it. Held until the process ends, however it ends.
enum DirectoryLock {
    /// - Throws: `CommandFailure` that names the directory and who has it.
    static func take(_ directory: String) throws {
        let path = "\(directory)/skein.lock"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw UsageError(
                "--data: \(path) cannot be written (\(String(cString: strerror(errno)))); name a directory that can be")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            var text = [UInt8](repeating: 0, count: 32)
            let count = max(0, read(file, &text, text.count))
            let owner = String(decoding: text[..<count], as: UTF8.self).filter(\.isNumber)
            close(file)
            throw CommandFailure(
                "--data: \(directory) is in use by another skein up\(owner.isEmpty ? "" : " (process \(owner))"); end that, or name another directory"
            )
        }
        // Never closed: the lock goes with the process.
        ftruncate(file, 0)
        let text = Array("\(getpid())\n".utf8)
        _ = text.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    }
}
