internal import FlyingFox
internal import FlyingSocks
internal import Foundation

/// Answers probes and metrics over HTTP: `/healthz`, `/readyz`, `/metrics`.
struct AdminServer: Sendable {
    private let server: HTTPServer
    private let address: String

    /// - Parameter readiness: nil when the collector is ready, else the reason why not.
    init(
        _ configuration: CollectorConfiguration.Admin, metrics: @escaping @Sendable () async -> String,
        readiness: @escaping @Sendable () async -> String?
    ) async throws {
        address = "\(configuration.host):\(configuration.port)"
        do {
            if configuration.host.contains(":") {
                server = HTTPServer(
                    address: try .inet6(ip6: configuration.host, port: configuration.port), timeout: 10,
                    logger: .disabled)
            } else {
                let host = configuration.host == "localhost" ? "127.0.0.1" : configuration.host
                server = HTTPServer(
                    address: try .inet(ip4: host, port: configuration.port), timeout: 10, logger: .disabled)
            }
        } catch {
            throw CollectorError(
                "http.listen: \(configuration.host) is not an IP address of this machine; use 127.0.0.1 or 0.0.0.0")
        }
        await server.appendRoute("GET /healthz") { _ in AdminServer.text("ok\n") }
        await server.appendRoute("GET /readyz") { _ in
            guard let reason = await readiness() else { return AdminServer.text("ready\n") }
            return AdminServer.text("\(reason)\n", status: .serviceUnavailable)
        }
        await server.appendRoute("GET /metrics") { _ in
            HTTPResponse(
                statusCode: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: Data(await metrics().utf8))
        }
    }

    private static func text(_ text: String, status: HTTPStatusCode = .ok) -> HTTPResponse {
        HTTPResponse(statusCode: status, headers: [.contentType: "text/plain; charset=utf-8"], body: Data(text.utf8))
    }

    /// Serves until the task is cancelled.
    ///
    /// - Throws: `CollectorError` when the port is taken.
    func run() async throws {
        do {
            try await server.run()
        } catch let error as SocketError {
            throw CollectorError(
                "http.listen: \(address) cannot be used (\(error)); free the port or choose another one")
        }
    }
}
