import Foundation
import Synchronization

/// The built `skein` executable as a child process.
final class SkeinProcess: Sendable {
    struct Outcome: Sendable {
        let code: Int32
        let output: String
        let errors: String
    }

    private let process = Process()
    private let ended = AsyncStream.makeStream(of: Void.self)
    private let base: String

    /// Beside the test bundle, where the same build has put it.
    static func executable() throws -> String {
        let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("skein").path
        guard FileManager.default.isExecutableFile(atPath: path) else { throw Failure("\(path) is not built") }
        return path
    }

    /// - Parameter directory: for what it prints.
    init(_ arguments: [String], environment: [String: String] = [:], directory: String) throws {
        base = "\(directory)/\(UUID().uuidString)"
        for name in ["out", "err"] { _ = FileManager.default.createFile(atPath: "\(base).\(name)", contents: nil) }
        process.executableURL = URL(fileURLWithPath: try SkeinProcess.executable())
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(base).out"))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(base).err"))
        process.terminationHandler = { [ended] _ in ended.continuation.finish() }
        try process.run()
    }

    static func run(_ arguments: [String], environment: [String: String] = [:], directory: String) async throws
        -> Outcome
    {
        try await SkeinProcess(arguments, environment: environment, directory: directory).outcome()
    }

    var isRunning: Bool { process.isRunning }

    var identifier: Int32 { process.processIdentifier }

    var errors: String { (try? String(contentsOfFile: "\(base).err", encoding: .utf8)) ?? "" }

    /// Waits until it has ended by itself; one that hangs is killed after a minute.
    func outcome() async throws -> Outcome {
        let alarm = DispatchWorkItem { [self] in signal(SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(60), execute: alarm)
        for await _ in ended.stream {}
        alarm.cancel()
        return Outcome(
            code: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
            output: (try? String(contentsOfFile: "\(base).out", encoding: .utf8)) ?? "", errors: errors)
    }

    /// Ends it as a crash would.
    func kill() async throws {
        signal(SIGKILL)
        _ = try await outcome()
    }

    /// Asks it to end.
    func stop() async throws -> Outcome {
        signal(SIGTERM)
        return try await outcome()
    }

    func signal(_ number: Int32) {
        if process.isRunning { Glibc.kill(process.processIdentifier, number) }
    }
}
