import Foundation
import HTTPTestServer
import NATSTestCluster
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Hostile ingest", .timeLimit(.minutes(4)), .serialized)
struct HostileIngestTests {
    private static let token = "Authorization: Bearer a-good-token-0001"

    /// Posts an event each time, and counts what it was answered.
    private final class HonestClient: Sendable {
        let accepted = Mutex(0)
        let failed = Mutex<[String]>([])
        let isDone = Mutex(false)

        func run(port: UInt16) {
            do {
                try IngestRig.drive(port: port) { [self] in
                    if isDone.withLock({ $0 }) { return nil }
                    let line = IngestRig.line(1, accepted.withLock { $0 })
                    return IngestRig.post(line, headers: [HostileIngestTests.token, "Skein-Producer: honest"])
                } answered: { [self] answer in
                    guard answer.status == 200 else { throw Failure("\(answer.status) \(answer.body)") }
                    accepted.withLock { $0 += 1 }
                } broke: {
                    throw $0
                }
            } catch {
                failed.withLock { $0.append("\(error)") }
            }
        }
    }

    @Test("is answered as it deserves, memory stays bounded, and who is honest is served meanwhile")
    func hostile() async throws {
        try await Rig.with { rig in
            let port = try #require(FreePorts.take().first)
            let configuration = try rig.file(
                "skein.toml",
                """
                [nats]
                urls = ["\(rig.server.url)"]
                [collector]
                max_event_bytes = 1048576
                [http]
                enabled = false
                [ingest]
                listen = "127.0.0.1:\(port)"
                max_body_bytes = 2097152
                max_held_bytes = 33554432
                max_invalid_lines_per_second = 10
                [[ingest.tokens]]
                token_env = "GOOD_TOKEN"
                """)
            let collector = try SkeinProcess(
                ["collect", "--config", configuration], environment: ["GOOD_TOKEN": "a-good-token-0001"],
                directory: rig.directory)
            try await eventually("ingest listens") { (try? SocketClient(port: port)) != nil }
            let honest = HonestClient()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await SocketClient.onThread { honest.run(port: port) } }
                defer { honest.isDone.withLock { $0 = true } }
                try await eventually("the honest one is served") { honest.accepted.withLock { $0 } > 10 }
                let before = try HostileIngestTests.peakKilobytes(collector)
                try await SocketClient.onThread { try HostileIngestTests.attack(port) }
                let during = honest.accepted.withLock { $0 }
                let after = try HostileIngestTests.peakKilobytes(collector)
                #expect(after - before < 96 << 10, "\(before) KB before, \(after) KB after")
                try await eventually("the honest one is still served") { honest.accepted.withLock { $0 } > during + 10 }
                honest.isDone.withLock { $0 = true }
                try await group.waitForAll()
                #expect(during > 50)
            }
            #expect(honest.failed.withLock { $0 } == [])
            #expect(collector.isRunning)
            let outcome = try await collector.stop()
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(!outcome.errors.contains("a-good-token"))
        }
    }

    /// What it ever had: what is freed again counts too.
    private static func peakKilobytes(_ process: SkeinProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.identifier)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line.flatMap { Int($0.split(separator: " ").dropLast().last ?? "") } ?? 0
    }

    private static func attack(_ port: UInt16) throws {
        // Drips that hold their connections meanwhile.
        let drips = try (0..<100).map { number in
            let client = try SocketClient(port: port)
            try client.send(
                number % 2 == 0
                    ? "POST /v1/atof HTTP/1.1\r\nHost: x\r\nX-"
                    : "POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            )
            return client
        }
        try wrongTokens(port)
        try wrongRequests(port)
        try gigantic(port)
        try brokenFrames(port)
        try floods(port)
        for drip in drips { #expect(try drip.receive().isEmpty) }
    }

    /// 100,000 tiny requests with a wrong token, many at a time.
    private static func wrongTokens(_ port: UInt16) throws {
        let client = try SocketClient(port: port)
        let request = IngestRig.post("x", headers: ["Authorization: Bearer wrong"])
        try client.send(request)
        let first = try client.answer()
        #expect(first.status == 401)
        // All answers are of one size, so that many are read at once.
        let size = first.head.utf8.count + first.body.utf8.count
        let many = String(repeating: request, count: 100)
        var refused = 0
        for _ in 0..<1000 {
            try client.send(many)
            let answers = String(decoding: try client.receive(100 * size), as: UTF8.self)
            refused += answers.components(separatedBy: "HTTP/1.1 401 ").count - 1
        }
        #expect(refused == 100_000)
    }

    private static func wrongRequests(_ port: UInt16) throws {
        let long = String(repeating: "a", count: 100_000)
        let cases: [(request: String, statuses: Set<Int>)] = [
            (IngestRig.post("{}", headers: []), [401]),
            (IngestRig.post("{}", path: "/t/a/v1/none", headers: [token]), [404]),
            (IngestRig.post("{}", contentType: "text/plain", headers: [token]), [415]),
            (IngestRig.post("{}", headers: [token, "Content-Encoding: gzip"]), [415]),
            (IngestRig.post("{}", headers: [token, "Skein-Producer: a.*.>"]), [400]),
            (IngestRig.post("{}", headers: [token, "Skein-Tenant: .."]), [400]),
            (IngestRig.post("{\"a\":[", headers: [token]), [400]),
            (IngestRig.post("\u{0}\u{1}\n", headers: [token]), [400]),
            ("GET /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\n\r\n", [405]),
            ("POST /v1/atof HTTP/1.1\r\nHost: x\r\nX-Long: \(long)\r\n\r\n", [413, 414, 431]),
            ("POST /\(long) HTTP/1.1\r\nHost: x\r\n\r\n", [413, 414, 431]),
            ("POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length: -1\r\n\r\n", [400]),
            (
                "POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length: 99999999999999999999\r\n\r\n",
                [400, 413]
            ),
            ("POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length: 9300000000000000000\r\n\r\n", [413]),
            ("POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length: 18446744073709551615\r\n\r\n", [413]),
            (
                "POST /v1/register HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length: 9300000000000000000\r\n\r\n{}",
                [413]
            ),
            (IngestRig.post("{}", headers: [token, "Content-Length: 52"]), [400]),
            (IngestRig.post("{}", headers: [token, "Transfer-Encoding: chunked"]), [400]),
            (IngestRig.post("{}", headers: [token, "Transfer-Encoding: identity"]), [400]),
            (IngestRig.chunked([], headers: [token, "Transfer-Encoding: x"]), [400]),
            (
                IngestRig.chunked([], headers: [token]).replacing(
                    "Encoding: chunked", with: "Encoding: x\r\nTransfer-Encoding: chunked"), [400]
            ),
            (
                IngestRig.chunked([], headers: [token]).replacing("Encoding: chunked", with: "Encoding: gzip, chunked"),
                [400]
            ),
            ("POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length : 2\r\n\r\n{}", [400]),
            (IngestRig.post("{}", path: "/v1/atof%00/zzz", headers: [token]), [400]),
            (IngestRig.post("{}", path: "/t%2Fteam-a%2Fv1/atof", headers: [token]), [400]),
            (
                SocketClient.upgrade.replacing(
                    "Host: localhost", with: "Host: localhost\r\n\(token)\r\nContent-Length: 10") + "0123456789", [400]
            ),
            (
                "POST /v1/atof HTTP/1.1\r\nHost: x\r\n\(token)\r\nContent-Length: 100000000000\r\n\r\n", [413]
            ),
        ]
        for (request, statuses) in cases {
            let client = try SocketClient(port: port)
            try? client.send(request)
            let answer: SocketClient.Answer
            do {
                answer = try client.answer()
            } catch {
                // Whoever goes on sending what nobody reads may see a reset before the answer.
                #expect(request.utf8.count > 50_000, "\(request.prefix(80)): \(error)")
                continue
            }
            #expect(statuses.contains(answer.status), "\(request.prefix(80)): \(answer.status) \(answer.body)")
        }
        for junk in ["\r\n\r\n\r\n", "GARBAGE\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}", "POST\r\n\r\n"] {
            let client = try SocketClient(port: port)
            try client.send(junk)
        }
    }

    /// Bodies that never end, with a right token.
    private static func gigantic(_ port: UInt16) throws {
        let piece = String(repeating: "x", count: 1 << 20)
        let clients = try (0..<8).map { _ in try SocketClient(port: port) }
        for client in clients { try client.send(IngestRig.chunked([], headers: [token], isComplete: false)) }
        for _ in 0..<16 {
            for client in clients { try client.send("100000\r\n\(piece)\r\n") }
        }
        for client in clients {
            try client.send("0\r\n\r\n")
            let status = try client.answer().status
            #expect([413, 503].contains(status))
        }
    }

    private static func brokenFrames(_ port: UInt16) throws {
        let upgrade = SocketClient.upgrade.replacingOccurrences(
            of: "Host: localhost\r\n", with: "Host: localhost\r\n\(token)\r\n")
        let frames: [(bytes: [UInt8], code: UInt16)] = [
            ([0xFF, 0xFF], 1002), ([0x81, 0x01, 0x61], 1002), (SocketClient.frame(2, [1]), 1003),
            (SocketClient.frame(1, [0xC3, 0x28]), 1007), (SocketClient.frame(3, []), 1002),
            ([0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], 1002),
            (SocketClient.frame(0, [1]), 1002),
        ]
        for (bytes, code) in frames {
            let client = try SocketClient(port: port)
            try client.send(upgrade)
            #expect(try client.answer().status == 101)
            try client.send(bytes)
            let close = try client.receive(4)
            #expect(close[0] == 0x88)
            #expect(UInt16(close[2]) << 8 | UInt16(close[3]) == code)
        }
        // Far more than a message may have, and then one that is well.
        let large = try SocketClient(port: port)
        try large.send(upgrade)
        #expect(try large.answer().status == 101)
        try large.send([0x81, 0xFF, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0])
        let piece = [UInt8](repeating: 0x61, count: 1 << 20)
        for _ in 0..<32 { try large.send(piece) }
        try large.send(SocketClient.frame(IngestRig.line(7, 0)) + SocketClient.frame(8, []))
        #expect(try large.receive(2) == [0x88, 0])
        let refused = try SocketClient(port: port)
        try refused.send(SocketClient.upgrade)
        #expect(try refused.answer().status == 401)
        // One that pings and never reads.
        let deaf = try SocketClient(port: port)
        try deaf.send(upgrade)
        for _ in 0..<2000 { try deaf.send(SocketClient.frame(9, [UInt8](repeating: 1, count: 125))) }
    }

    /// More lines that are no events than may become dead letters.
    private static func floods(_ port: UInt16) throws {
        let client = try SocketClient(port: port)
        let body = String(repeating: "{\"no\":\"event\"}\n", count: 20_000)
        try client.send(IngestRig.post(body, headers: [token, "Skein-Producer: flood"]))
        let answer = try client.answer()
        #expect(answer.status == 429)
        #expect(answer.body.contains("came too fast to be kept"))
    }
}
