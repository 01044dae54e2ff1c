import Collector
import Foundation
import HTTPTestServer
import Ingest
import NATSTransport
import Stages
import Testing

@Suite("Limits of ingest", .timeLimit(.minutes(3)), .serialized)
struct IngestLimitTests {
    /// A mark of about so many bytes.
    private static func large(_ number: Int, _ bytes: Int) -> String {
        IngestRig.line(9, number).replacingOccurrences(
            of: "\"data\":{", with: "\"data\":{\"text\":\"\(String(repeating: "x", count: bytes))\",")
    }

    private static func post(_ port: UInt16, _ body: String, _ headers: [String] = []) async throws
        -> SocketClient.Answer
    {
        try await SocketClient.onThread {
            let client = try SocketClient(port: port)
            try client.send(IngestRig.post(body, headers: headers))
            return try client.answer()
        }
    }

    private static func expect(_ status: Int, _ port: UInt16, _ body: String, _ headers: [String] = []) async throws {
        let answer = try await post(port, body, headers)
        #expect(answer.status == status, "\(answer.body)")
    }

    @Test("a producer that posts more events or bytes than it may is answered 429, others are not")
    func postRates() async throws {
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.eventsPerSecond = 5
            } _: { port, _ in
                // Read at once, so that it is not slowed itself.
                let many = (0..<60).map { IngestRig.line(1, $0) }.joined(separator: "\n")
                try await Self.expect(200, port, many)
                let refused = try await Self.post(port, IngestRig.line(1, 400))
                #expect(refused.status == 429)
                #expect(refused.head.contains("Retry-After: "))
                try await Self.expect(200, port, IngestRig.line(2, 0), ["Skein-Producer: other"])
            }
            try await rig.ingesting {
                $0.bytesPerSecond = 1024
            } _: { port, _ in
                try await Self.expect(200, port, Self.large(0, 12_000))
                try await Self.expect(429, port, IngestRig.line(1, 401))
                try await Self.expect(200, port, IngestRig.line(2, 1), ["Skein-Producer: other"])
            }
        }
    }

    @Test("who takes another name each time has no more than its address may")
    func names() async throws {
        try await Rig.with { rig in
            for tokens in [[], [IngestAccess.Token("token-of-sixteen", tenants: ["t0"])]] {
                try await rig.ingesting {
                    $0.eventsPerSecond = 1
                    $0.access.tokens = tokens
                } _: { port, _ in
                    let lines = (0..<5).map { IngestRig.line(1, $0) }.joined(separator: "\n")
                    var statuses: [Int] = []
                    for number in 0..<10 {
                        let headers =
                            tokens.isEmpty
                            ? ["Skein-Tenant: t\(number)"] : ["Authorization: Bearer token-of-sixteen"]
                        let answer = try await Self.post(port, lines, headers + ["Skein-Producer: p\(number)"])
                        statuses.append(answer.status)
                    }
                    #expect(statuses.prefix(3) == [200, 200, 200])
                    #expect(statuses.contains(429))
                }
            }
        }
    }

    /// Each message over the rate began a sleeping task.
    @Test("a WebSocket over its rate is read more slowly, and waits once for all that came meanwhile")
    func webSocketRate() async throws {
        let count = 2500
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.eventsPerSecond = 500
            } _: { port, collector in
                try await SocketClient.onThread {
                    let socket = try SocketClient(port: port)
                    try socket.send(SocketClient.upgrade)
                    #expect(try socket.answer().status == 101)
                    try socket.send((0..<count).flatMap { SocketClient.frame(IngestRig.line(1, $0)) })
                    try socket.send(SocketClient.frame(8, []))
                    #expect(try socket.receive(2) == [0x88, 0])
                }
                let slowed = collector.metrics.total("skein_ingest_slowed_total")
                #expect(slowed > 0)
                #expect(slowed < 200)
                try await eventually("all are stored") {
                    try await rig.publishedNames()["default"]?.count ?? 0 >= count
                }
                let names = try await rig.publishedNames()["default"]
                let isInOrder = names == (0..<count).map { "m\($0)" }
                #expect(isInOrder)
            }
        }
    }

    @Test("a line without an end counts against the rate of bytes as it comes")
    func endlessLine() async throws {
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.bytesPerSecond = 100_000
            } _: { port, collector in
                let stream = try SocketClient(port: port)
                try await SocketClient.onThread {
                    try stream.send(IngestRig.chunked([String(repeating: "x", count: 400_000)], isComplete: false))
                }
                try await eventually("it is slowed") { collector.metrics.total("skein_ingest_slowed_total") > 0 }
            }
        }
    }

    @Test(
        "a tenant's unfinished lines and messages leave the other tenants room, and posts of its own are answered 503")
    func share() async throws {
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.maximumHeldBytes = 1 << 20
            } _: { port, collector in
                let (stream, socket) = (try SocketClient(port: port), try SocketClient(port: port))
                let message = SocketClient.frame(Self.large(0, 400_000))
                try await SocketClient.onThread {
                    let text = String(Self.large(1, 400_000).dropLast(1))
                    try stream.send(IngestRig.chunked([text], isComplete: false))
                    try socket.send(SocketClient.upgrade)
                    #expect(try socket.answer().status == 101)
                    try socket.send(Array(message.prefix(300_000)))
                }
                try await eventually("they are held") {
                    collector.metrics.total("skein_ingest_received_bytes_total") >= 524_288
                }
                try await eventually("there is no room") {
                    let refused = try await Self.post(port, IngestRig.line(1, 0))
                    return refused.status == 503 && refused.body.contains("too much is under way")
                }
                try await Self.expect(200, port, IngestRig.line(2, 0), ["Skein-Tenant: other"])
                // Neither is refused: both go on, one after the other.
                try await SocketClient.onThread {
                    try socket.send(Array(message.dropFirst(300_000)) + SocketClient.frame(8, []))
                    try stream.send("2\r\n}\n\r\n0\r\n\r\n")
                    #expect(try socket.receive(2) == [0x88, 0])
                    #expect(try stream.answer().status == 200)
                }
                try await eventually("there is room again") {
                    try await Self.post(port, IngestRig.line(1, 1)).status == 200
                }
                try await eventually("both are stored") {
                    Set(["m0", "m1"]).isSubset(of: try await rig.publishedNames()["default"] ?? [])
                }
            }
        }
    }

    @Test("streams whose lines do not fit together are all stored, one after the other")
    func turns() async throws {
        let (streams, lines) = (6, 3)
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.maximumHeldBytes = 1 << 20
            } _: { port, collector in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for stream in 0..<streams {
                        group.addTask {
                            try await SocketClient.onThread {
                                let client = try SocketClient(port: port)
                                let texts = (0..<lines).map { Self.large(stream * lines + $0, 400_000) + "\n" }
                                try client.send(IngestRig.chunked(texts, headers: ["Skein-Producer: s\(stream)"]))
                                #expect(try client.answer().head.contains("Skein-Accepted: \(lines)\r\n"))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(collector.metrics.total("skein_ingest_events_total") == Double(streams * lines))
                #expect(collector.metrics.total("skein_ingest_rejected_total") == 0)
            }
        }
    }

    @Test(
        "while the broker is away a WebSocket waits, and a post with the same key is answered in time; then all is stored"
    )
    func brokerAway() async throws {
        let count = 300
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.patience = .milliseconds(300)
            } _: { port, collector in
                let socket = try SocketClient(port: port)
                try await SocketClient.onThread {
                    let upgrade = SocketClient.upgrade.replacingOccurrences(
                        of: "\r\n\r\n", with: "\r\nSkein-Producer: same\r\n\r\n")
                    try socket.send(Array(upgrade.utf8) + SocketClient.frame(IngestRig.line(1, 0)))
                    #expect(try socket.answer().status == 101)
                }
                _ = try await rig.processedNames(1)
                await rig.server.kill()
                try await SocketClient.onThread {
                    for number in 1..<count { try socket.send(SocketClient.frame(IngestRig.line(1, number))) }
                }
                try await eventually("they are read") {
                    collector.metrics.total("skein_ingest_events_total") == Double(count)
                }
                let refused = try await Self.post(port, IngestRig.line(2, 0), ["Skein-Producer: same"])
                #expect(refused.status == 503)
                #expect(refused.body.contains("not stored"))
                try await rig.server.restart()
                try await SocketClient.onThread {
                    try socket.send(SocketClient.frame(8, []))
                    #expect(try socket.receive(2) == [0x88, 0])
                }
                try await eventually("all are stored", seconds: 90) {
                    // The broker may still be starting.
                    (try? await rig.publishedNames()["default"]?.count) ?? 0 >= count
                }
                let names = try await rig.publishedNames()["default"]
                // The post may have been stored behind them.
                let isInOrder = names?.prefix(count) == (0..<count).map { "m\($0)" }[...]
                #expect(isInOrder)
            }
        }
    }

    /// Has EVENTS take messages of at most so many bytes, which is less than its server takes.
    private static func limitMessages(_ rig: Rig, _ bytes: Int64) async throws {
        var stream = try await rig.jetStream.streamInfo(SkeinSubjects.eventsStream).configuration
        stream.maxMessageSize = bytes
        _ = try await rig.jetStream.updateStream(stream)
    }

    @Test("a stream that takes smaller messages than the server gets them: none of small and large events is lost")
    func smallMessages() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await Self.limitMessages(rig, 20_000)
                let lines = (0..<300).map { $0 == 150 ? Self.large($0, 60_000) : Self.large($0, 500) }
                try await Self.expect(200, port, lines.joined(separator: "\n"))
                let names = try await rig.processedNames(300)
                #expect(Set(names["default"] ?? []) == Set((0..<300).map { "m\($0)" }))
                #expect(collector.metrics.total("skein_ingest_unstored_events_total") == 0)
            }
        }
    }

    @Test("what the broker refuses for good takes nothing with it, and is counted alone")
    func refusedAmongOthers() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await Self.limitMessages(rig, 900)
                let lines = (0..<100).map { $0 == 50 ? Self.large($0, 5000) : IngestRig.line(9, $0) }
                let body = lines.map { $0 + "\n" }.joined()
                let answer = try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    try client.send(IngestRig.chunked([body]))
                    return try client.answer()
                }
                #expect(answer.status == 503)
                let names = try await rig.processedNames(99)
                #expect(names["default"]?.count == 99)
                #expect(collector.metrics.total("skein_ingest_unstored_events_total") == 1)
            }
        }
    }

    @Test("events of a WebSocket that the broker refuses for good are counted")
    func refusedForGood() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await Self.limitMessages(rig, 900)
                try await SocketClient.onThread {
                    let socket = try SocketClient(port: port)
                    try socket.send(
                        Array(SocketClient.upgrade.utf8) + SocketClient.frame(Self.large(0, 5000))
                            + SocketClient.frame(8, []))
                    #expect(try socket.answer().status == 101)
                    #expect(try socket.receive(2) == [0x88, 0])
                }
                try await eventually("it is counted") {
                    collector.metrics.total("skein_ingest_unstored_events_total") == 1
                }
                try await Self.expect(200, port, IngestRig.line(1, 0))
            }
        }
    }
}
