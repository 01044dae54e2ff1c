import Foundation
import HTTPTestServer
import HTTPTransport
import Testing

/// A real TLS server (`openssl s_server`) that wants a client certificate, with certificates made for the test.
@Suite("HTTP client over TLS", .timeLimit(.minutes(1)))
struct HTTPTLSTests {
    @Test("trusts the authority it was given, shows its certificate, and accepts nothing else")
    func certificates() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "skein-tls-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let key = folder + "/key.pem"
        let certificate = folder + "/cert.pem"
        try run(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"
        ).waitUntilExit()
        // Port 0 is not reported by s_server in a form worth reading, so a port that was free a moment ago is used.
        let port = HTTPTestServer(listens: false) { _ in HTTPTestServer.Reply(500) }.port
        let output = Pipe()
        let server = try run(
            "s_server", "-accept", "127.0.0.1:\(port)", "-key", key, "-cert", certificate, "-CAfile", certificate,
            "-Verify", "1", "-verify_return_error", "-www", output: output)
        // s_server may outlive SIGTERM while a connection is open.
        defer {
            kill(server.processIdentifier, SIGKILL)
            server.waitUntilExit()
        }
        // It says ACCEPT when it listens.
        var said = ""
        while !said.contains("ACCEPT") {
            let piece = output.fileHandleForReading.availableData
            try #require(!piece.isEmpty)
            said += String(decoding: piece, as: UTF8.self)
        }

        let client = HTTPClient(maxThreads: 1)
        func status(_ tls: HTTPRequest.TLS) async throws -> Int {
            try await client.send(HTTPRequest(method: "GET", url: "https://127.0.0.1:\(port)/", tls: tls)).status
        }
        let full = HTTPRequest.TLS(caFile: certificate, clientCertificate: certificate, clientKey: key)
        #expect(try await status(full) == 200)
        var unchecked = full
        unchecked.caFile = nil
        unchecked.insecureSkipVerify = true
        #expect(try await status(unchecked) == 200)

        var untrusting = full
        untrusting.caFile = nil
        let distrust = await #expect(throws: HTTPError.self) { try await status(untrusting) }
        #expect(distrust?.code == .tls)
        var keyless = full
        keyless.clientKey = folder + "/missing.pem"
        let missing = await #expect(throws: HTTPError.self) { try await status(keyless) }
        #expect(missing?.code == .tls)
        await #expect(throws: HTTPError.self) { try await status(HTTPRequest.TLS(caFile: certificate)) }
        await client.shutdown()
    }

    private func run(_ arguments: String..., output: Pipe = Pipe()) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: openssl)
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }
}

private let openssl = "/usr/bin/openssl"
