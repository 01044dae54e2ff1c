import Foundation
import NATSTestCluster
import NATSTransport

extension NATSTestServer {
    /// Runs the body with a connection to a server without authentication.
    static func connected<Result>(
        maxPayload: Int? = nil, _ body: (NATSTestServer, JetStream) async throws -> Result
    ) async throws -> Result {
        try await with(maxPayload: maxPayload) { server in
            try await server.connection { try await body(server, JetStream($0)) }
        }
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
