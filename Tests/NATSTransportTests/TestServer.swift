import Foundation
import NATSTransport

/// A nats-server of a test's own, with its data in a temporary directory.
struct TestServer {
    let process: NATSServerProcess
    let directory: String

    /// `SKEIN_NATS_SERVER`, then the package's own tools, then the path.
    static func executable() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["SKEIN_NATS_SERVER"] { return path }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let path = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/nats-server" }
        let found = ([root + "/.tools/nats/bin/nats-server"] + path).first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
        struct Missing: Error, CustomStringConvertible {
            let description = "There is no nats-server: set SKEIN_NATS_SERVER to one."
        }
        guard let found else { throw Missing() }
        return found
    }

    static func temporaryDirectory() throws -> String {
        let directory = NSTemporaryDirectory() + "skein-nats-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return directory
    }

    /// Runs the body against a server and ends the server after it.
    static func with<T>(
        configuration: String = "", maxPayload: Int? = nil, _ body: (TestServer) async throws -> T
    ) async throws -> T {
        let executable = try executable()
        let directory = try temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var options = NATSServerProcess.Options(executable: executable, dataDirectory: directory)
        options.configuration = configuration
        options.maxPayload = maxPayload
        let server = TestServer(process: try await NATSServerProcess.start(options), directory: directory)
        let result: Result<T, any Error>
        do {
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        await server.process.kill()
        return try result.get()
    }

    /// Runs the body with a connection to a server without authentication.
    static func connected<T>(
        maxPayload: Int? = nil, _ body: (TestServer, JetStream) async throws -> T
    ) async throws -> T {
        try await with(maxPayload: maxPayload) { server in
            try await server.connection { try await body(server, JetStream($0)) }
        }
    }

    func connection<T>(
        _ authentication: NATSOptions.Authentication = .none, tls: NATSOptions.TLS? = nil,
        _ body: (NATSConnection) async throws -> T
    ) async throws -> T {
        let options = NATSOptions(
            urls: [process.url], name: "test", authentication: authentication, tls: tls,
            reconnectWait: .milliseconds(50))
        let connection = try await NATSConnection.connect(options)
        let result: Result<T, any Error>
        do {
            result = .success(try await body(connection))
        } catch {
            result = .failure(error)
        }
        await connection.close()
        return try result.get()
    }
}

/// The code of the error that the body throws, or `nil`.
func code(_ body: () async throws -> Void) async -> NATSError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? NATSError)?.code
    }
}

/// Runs the body, and cancels it after so long: a test that hangs fails instead.
func bounded<T: Sendable>(
    _ seconds: Int = 20, _ body: @escaping @Sendable () async throws -> T
) async throws -> T {
    let task = Task { try await body() }
    let alarm = DispatchWorkItem { task.cancel() }
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds), execute: alarm)
    defer { alarm.cancel() }
    return try await task.value
}
