import ATOF
import Collector
import Foundation
import Glibc
import HTTPTestServer
import NATSTransport
import Stages
import Testing

/// What ingest tests share: events, and producers of each kind.
enum IngestRig {
    /// The line of a mark whose UUID says which producer it is from and which number it has.
    static func line(_ producer: Int, _ number: Int) -> String {
        AtofLine(
            kind: "mark", uuid: Run.uuid(run: 0x1000 + producer, scope: number + 1).description, name: "m\(number)",
            category: "custom", data: "{\"number\":\(number)}"
        ).text
    }

    static func post(
        _ body: String, path: String = "/v1/atof", contentType: String = "application/x-ndjson",
        headers: [String] = []
    ) -> String {
        let more = headers.map { "\($0)\r\n" }.joined()
        return
            "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: \(contentType)\r\nContent-Length: \(body.utf8.count)\r\n\(more)\r\n\(body)"
    }

    static func chunked(_ pieces: [String], headers: [String] = [], isComplete: Bool = true) -> String {
        let more = headers.map { "\($0)\r\n" }.joined()
        let head =
            "POST /v1/atof HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\(more)\r\n"
        return head + pieces.map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }.joined()
            + (isComplete ? "0\r\n\r\n" : "")
    }

    /// Sends one request after the other over a connection, a new one when it broke, until there is none.
    ///
    /// - Parameter broke: rethrows what must not happen.
    static func drive(
        port: UInt16, next: () -> String?, answered: (SocketClient.Answer) throws -> Void,
        broke: (SocketClient.Problem) throws -> Void
    ) throws {
        var client: SocketClient?
        while let request = next() {
            do {
                let open = try client ?? SocketClient(port: port)
                client = open
                try open.send(request)
                try answered(try open.answer())
            } catch let problem as SocketClient.Problem {
                client = nil
                try broke(problem)
            }
        }
    }
}

extension Rig {
    /// Runs a collector with ingest in this process; the body gets its port.
    func ingesting(
        _ change: (inout CollectorConfiguration.Ingest) -> Void = { _ in },
        _ body: (UInt16, Collector) async throws -> Void
    ) async throws {
        var configuration = try configuration()
        configuration.trajectories = nil
        configuration.ingest.isEnabled = true
        // Tests look at what was published.
        configuration.trimInterval = .seconds(3600)
        configuration.ingest.port = 0
        change(&configuration.ingest)
        try await collecting(configuration) { collector in
            try await eventually("ingest listens") { collector.ingestPort != nil }
            try await body(try #require(collector.ingestPort), collector)
        }
    }

    /// Waits for so many events in PROCESSED and returns their names, by tenant; those of one run in order.
    func processedNames(_ count: Int) async throws -> [String: [String]] {
        var names: [String: [String]] = [:]
        try await eventually("\(count) events are processed") {
            names = try await Self.names(
                try await contents(of: SkeinSubjects.processedStream).filter { SkeinSubjects.isChain($0.subject) }
            ) { SkeinSubjects.tenant(ofProcessed: $0) }
            return names.values.reduce(0) { $0 + $1.count } >= count
        }
        return names
    }

    /// The names of the events in EVENTS, by tenant, in the order in which they were published.
    func publishedNames() async throws -> [String: [String]] {
        try await Self.names(
            try await contents(of: SkeinSubjects.eventsStream).filter { !SkeinSubjects.isTick($0.subject) }
        ) { SkeinSubjects.tenant(ofStoredEvents: $0) }
    }

    private static func names(
        _ messages: [JetStreamMessage], tenant: (String) -> String?
    ) async throws -> [String: [String]] {
        var names: [String: [String]] = [:]
        var halves: [String: [UInt8]] = [:]
        for message in messages {
            let (number, count) = message.headers[SkeinHeaders.chunk].flatMap { ChunkAssembler.parse($0) } ?? (1, 1)
            let key = "\(message.subject) \(message.headers[SkeinHeaders.chunkID] ?? "")"
            let body = (number == 1 ? [] : halves[key] ?? []) + message.payload
            halves[key] = body
            if number == count { names[tenant(message.subject) ?? "?", default: []] += try eventNames(body) }
        }
        return names
    }

    /// The routing keys that events were published under.
    func keys() async throws -> Set<String> {
        Set(
            try await contents(of: SkeinSubjects.eventsStream).compactMap {
                SkeinSubjects.isTick($0.subject) ? nil : SkeinSubjects.key(ofStoredEvents: $0.subject)
            })
    }
}
