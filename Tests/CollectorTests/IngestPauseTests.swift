import ATOF
import Collector
import Foundation
import HTTPTestServer
import Stages
import Testing

/// Found by ./dev try-relay: a stream whose lines are so large that each of them makes the producer wait stood still for ever when the
/// broker was done before the server had noted that it waits.
@Suite("Ingest of large lines", .timeLimit(.minutes(3)), .serialized)
struct IngestPauseTests {
    private static let lines = 24
    private static let clients = 4

    /// Beyond what may be under way of one producer, so that each line has a pause.
    private static func line(_ client: Int, _ number: Int) -> String {
        AtofLine(
            kind: "mark", uuid: Run.uuid(run: 0x2000 + client, scope: number + 1).description, name: "m\(number)",
            category: "custom", data: "\"\(String(repeating: "x", count: 1_100_000))\""
        ).text + "\n"
    }

    @Test("streams go on after each pause")
    func streams() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for client in 0..<IngestPauseTests.clients {
                        group.addTask { try await IngestPauseTests.send(client, port) }
                    }
                    try await group.waitForAll()
                }
                let total = Double(IngestPauseTests.clients * IngestPauseTests.lines)
                #expect(collector.metrics.total("skein_ingest_events_total") == total)
            }
        }
    }

    /// A chunk an event, as NeMo Relay sends them: the server has many of them at once, and has to pause between them.
    @Test("streams of many small chunks go on after each pause")
    func chunks() async throws {
        let (clients, lines) = (4, 3000)
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for client in 0..<clients {
                        group.addTask {
                            try await SocketClient.onThread {
                                let stream = try SocketClient(port: port)
                                let all = (0..<lines).map { IngestRig.line(client, $0) + "\n" }
                                try stream.send(IngestRig.chunked(all, headers: ["Skein-Producer: c\(client)"]))
                                #expect(try stream.answer().head.contains("Skein-Accepted: \(lines)\r\n"))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(collector.metrics.total("skein_ingest_events_total") == Double(clients * lines))
            }
        }
    }

    private static func send(_ client: Int, _ port: UInt16) async throws {
        try await SocketClient.onThread {
            let stream = try SocketClient(port: port)
            try stream.send(IngestRig.chunked([], headers: ["Skein-Producer: p\(client)"], isComplete: false))
            for number in 0..<lines {
                let text = line(client, number)
                try stream.send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n")
            }
            try stream.send("0\r\n\r\n")
            #expect(try stream.answer().head.contains("Skein-Accepted: \(lines)\r\n"))
        }
    }
}
