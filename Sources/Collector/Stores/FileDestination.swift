internal import Foundation

/// Writes each document as a file below a directory: whole or not at all, and on the disk when it says so.
final class FileDestination: TrajectoryDestination {
    private let directory: String
    /// A disk that hangs holds up a thread of its own, and no task.
    private let queue = DispatchQueue(label: "skein-files")

    init(directory: String) { self.directory = directory }

    func store(_ document: StoredDocument) async -> StoreAnswer {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.write(document)) }
        }
    }

    private func write(_ document: StoredDocument) -> StoreAnswer {
        let parts = document.name.split(separator: "/").map(String.init)
        guard let name = parts.last else { return .refused(word: "name", "the name is empty") }
        do throws(FileError) {
            try FileDestination.makeDirectories(directory)
        } catch {
            return .failed(error.description, retryAfter: nil)
        }
        var folder = directory
        do throws(FileError) {
            for part in parts.dropLast() {
                folder += "/" + part
                try FileDestination.makeDirectory(folder)
            }
            try FileDestination.write(document.body, folder, name)
            return .stored
        } catch {
            // What the name itself makes impossible stays so; everything else may be mended.
            return [ENAMETOOLONG, EISDIR, ENOTDIR, ELOOP, EINVAL, EILSEQ].contains(error.code)
                ? .refused(word: "name", error.description) : .failed(error.description, retryAfter: nil)
        }
    }

    /// The bytes get another name first, so that nobody ever sees half of them under theirs.
    private static func write(_ body: [UInt8], _ folder: String, _ name: String) throws(FileError) {
        let partial = "\(folder)/.skein-\(UUID().uuidString.lowercased()).partial"
        let file = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        if file < 0 { throw FileError("create", partial) }
        do throws(FileError) {
            try write(body, to: file, partial)
            // A folder of that name would swallow the file otherwise.
            if rename(partial, "\(folder)/\(name)") != 0 { throw FileError("write", "\(folder)/\(name)") }
        } catch {
            unlink(partial)
            throw error
        }
        try synchronize(folder)
    }

    private static func write(_ body: [UInt8], to file: Int32, _ path: String) throws(FileError) {
        var isOpen = true
        defer { if isOpen { close(file) } }
        var written = 0
        while written < body.count {
            let count = body.withUnsafeBytes {
                Foundation.write(file, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { throw FileError("write", path) }
            written += count
        }
        if fsync(file) != 0 { throw FileError("write", path) }
        isOpen = false
        if close(file) != 0 { throw FileError("write", path) }
    }

    /// Makes the new name last, as far as the file system lets a directory be synchronised.
    private static func synchronize(_ folder: String) throws(FileError) {
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory < 0 { throw FileError("open", folder) }
        defer { close(directory) }
        if fsync(directory) != 0, errno != EINVAL { throw FileError("write", folder) }
    }

    private static func makeDirectories(_ path: String) throws(FileError) {
        var folder = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            folder += "/" + part
            try makeDirectory(folder)
        }
    }

    private static func makeDirectory(_ path: String) throws(FileError) {
        if mkdir(path, 0o777) == 0 { return }
        let code = errno
        var status = stat()
        // Also where only the right to make one is missing, but there is one.
        if stat(path, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFDIR { return }
            throw FileError("use as a directory", path, ENOTDIR)
        }
        throw FileError("create", path, code)
    }
}

/// What the system said about a file.
private struct FileError: Error, CustomStringConvertible {
    let code: Int32
    let description: String

    init(_ action: String, _ path: String, _ code: Int32 = errno) {
        self.code = code
        description = "cannot \(action) \(path): \(String(cString: strerror(code)))"
    }
}
