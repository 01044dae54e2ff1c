import Foundation
package import NATSTransport

/// A nats-server of a test's own, and a folder for the test's files with the server's data in `nats`.
package struct NATSTestServer: Sendable {
    package let process: NATSServerProcess
    package let directory: String

    package init(process: NATSServerProcess, directory: String) {
        self.process = process
        self.directory = directory
    }

    /// `SKEIN_NATS_SERVER`, then the package's own tools, then the path.
    package static func executable() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["SKEIN_NATS_SERVER"] { return path }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let path = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/nats-server" }
        let found = ([root + "/.tools/nats/bin/nats-server"] + path).first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
        guard let found else {
            throw NATSTestCluster.Failure(
                description: "there is no nats-server; set SKEIN_NATS_SERVER or run ./dev bootstrap")
        }
        return found
    }

    package static func temporaryDirectory() throws -> String {
        let directory = NSTemporaryDirectory() + "skein-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return directory
    }

    /// Runs the body against a server; ends the server and removes the folder after it.
    package static func with<Result>(
        configuration: String = "", maxPayload: Int? = nil, _ body: (NATSTestServer) async throws -> Result
    ) async throws -> Result {
        let directory = try temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var options = NATSServerProcess.Options(
            executable: try executable(), dataDirectory: directory + "/nats", port: Int(try FreePorts.take()[0]))
        options.configuration = configuration
        options.maxPayload = maxPayload
        let server = NATSTestServer(process: try await NATSServerProcess.start(options), directory: directory)
        do {
            let result = try await body(server)
            await server.process.kill()
            return result
        } catch {
            await server.process.kill()
            throw error
        }
    }

    /// Runs the body with a connection; closes it after it.
    package func connection<Result>(
        _ authentication: NATSOptions.Authentication = .none, tls: NATSOptions.TLS? = nil,
        _ body: (NATSConnection) async throws -> Result
    ) async throws -> Result {
        let connection = try await NATSConnection.connect(
            NATSOptions(
                urls: [process.url], name: "test", authentication: authentication, tls: tls,
                reconnectWait: .milliseconds(50)))
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }
}
