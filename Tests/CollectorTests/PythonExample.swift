import Foundation
import NATSTransport

/// A program of Examples as a child process.
struct PythonExample {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    /// Where `./dev test` puts nats-py, protobuf and the generated code; a plain `swift test` on a fresh clone has none.
    private static let packages =
        ProcessInfo.processInfo.environment["SKEIN_PYTHON_PACKAGES"] ?? root + "/.tools/python"
    static let isPrepared = ["nats", "google", "skein"].allSatisfy {
        FileManager.default.fileExists(atPath: "\(packages)/\($0)")
    }

    /// What it has printed.
    let output: @Sendable () -> String

    /// Runs it until the body returns.
    static func running<Result>(
        _ name: String, _ arguments: [String] = [], in rig: Rig, _ body: (PythonExample) async throws -> Result
    ) async throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "\(root)/Examples/\(name)"] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging([
            "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1", "SKEIN_NATS_URL": rig.server.url,
        ]) { $1 }
        process.standardInput = FileHandle.nullDevice
        let path = "\(rig.directory)/\(UUID().uuidString).out"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        // Waiting for its exit in a task would need a run loop.
        let ended = AsyncStream.makeStream(of: Void.self)
        process.terminationHandler = { _ in ended.continuation.finish() }
        try process.run()
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(
                try await body(PythonExample { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }))
        } catch {
            result = .failure(error)
        }
        kill(process.processIdentifier, SIGKILL)
        for await _ in ended.stream {}
        return try result.get()
    }
}
