import ATOF
import Collector
import Foundation
import HTTPTestServer
import HTTPTransport
import Ingest
import NATSTransport
import Stages
import Testing

func eventNames(_ payload: [UInt8]) throws -> [String] {
    let batch = try EventBatch(unpacking: payload)
    return try (0..<batch.count).map { try batch.event(at: $0).name }
}

@Suite("Ingest over HTTP", .timeLimit(.minutes(2)), .serialized)
struct IngestTests {
    @Test("posts, streams and WebSockets are answered when the broker has their events, and keep their order")
    func transports() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await SocketClient.onThread {
                    let post = try SocketClient(port: port)
                    for number in 0..<40 {
                        // With a newline and without.
                        try post.send(
                            IngestRig.post(
                                IngestRig.line(1, number) + (number % 2 == 0 ? "\n" : ""),
                                headers: ["Skein-Producer: poster", "Skein-Tenant: posts"]))
                        let answer = try post.answer()
                        #expect(answer.status == 200)
                        #expect(answer.head.contains("Skein-Accepted: 1\r\n"))
                    }
                    let stream = try SocketClient(port: port)
                    let text = (0..<500).map { IngestRig.line(2, $0) + "\n" }.joined()
                    let bytes = Array(text.utf8)
                    // Pieces that know nothing of lines.
                    let pieces = stride(from: 0, to: bytes.count, by: 777).map {
                        String(decoding: bytes[$0..<min($0 + 777, bytes.count)], as: UTF8.self)
                    }
                    try stream.send(IngestRig.chunked(pieces, headers: ["Skein-Tenant: streams"]))
                    #expect(try stream.answer().head.contains("Skein-Accepted: 500\r\n"))
                    let socket = try SocketClient(port: port)
                    try socket.send(SocketClient.upgrade.replacingOccurrences(of: "/v1", with: "/t/sockets/v1"))
                    #expect(try socket.answer().status == 101)
                    for number in 0..<500 { try socket.send(SocketClient.frame(IngestRig.line(3, number))) }
                    try socket.send(SocketClient.frame(8, []))
                    #expect(try socket.receive(2) == [0x88, 0])
                }
                let processed = try await rig.processedNames(1040)
                let names = try await rig.publishedNames()
                // Marks without a parent are runs of their own: only where they were published they have one order.
                for (tenant, published) in names { #expect(Set(processed[tenant] ?? []) == Set(published)) }
                #expect(names["posts"] == (0..<40).map { "m\($0)" })
                #expect(names["streams"] == (0..<500).map { "m\($0)" })
                #expect(names["sockets"] == (0..<500).map { "m\($0)" })
                #expect(try await rig.keys() == ["poster", "ip-127-0-0-1"])
                #expect(try await rig.deadLetters().isEmpty)
                #expect(collector.metrics.total("skein_ingest_events_total") == 1040)
            }
        }
    }

    @Test("a bad line is a dead letter with its bytes, the others are stored, and the answer says which and why")
    func badLines() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, _ in
                let lines = [
                    IngestRig.line(1, 0), "{\"secret\":1}", "", IngestRig.line(1, 1), "no JSON", IngestRig.line(1, 2),
                ]
                let answer = try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    try client.send(IngestRig.post(lines.joined(separator: "\n")))
                    return try client.answer()
                }
                #expect(answer.status == 400)
                #expect(
                    answer.body
                        == #"{"detail":"line 2: kind: is missing; 2 of 6 lines are no events and become dead letters, 3 events are stored"}"#
                )
                #expect(try await rig.processedNames(3)["default"]?.sorted() == ["m0", "m1", "m2"])
                try await eventually("both are dead letters") { try await rig.deadLetters().count == 2 }
                #expect(
                    try await rig.deadLetters().map { String(decoding: $0.payload, as: UTF8.self) } == [
                        "{\"secret\":1}", "no JSON",
                    ])
            }
        }
    }

    @Test("NeMo Relay's doctor is answered on each transport, and its probe is no event")
    func probe() async throws {
        let probe = IngestRig.line(1, 0).replacingOccurrences(of: "\"m0\"", with: "\"\(IngestLine.probeName)\"")
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    try client.send(IngestRig.post(probe + "\n"))
                    #expect(try client.answer().status == 200)
                    let socket = try SocketClient(port: port)
                    try socket.send(
                        Array(SocketClient.upgrade.utf8) + SocketClient.frame(probe) + SocketClient.frame(8, []))
                    #expect(try socket.answer().status == 101)
                    #expect(try socket.receive(2) == [0x88, 0])
                }
                try await eventually("both are counted") { collector.metrics.total("skein_ingest_probes_total") == 2 }
                #expect(try await rig.keys().isEmpty)
            }
        }
    }

    @Test("a WebSocket message above max_event_bytes is skipped and counted, and what follows is taken")
    func largeMessage() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.trajectories = nil
            configuration.ingest.isEnabled = true
            configuration.ingest.port = 0
            configuration.maximumEventBytes = 10_000
            try await rig.collecting(configuration) { collector in
                try await eventually("ingest listens") { collector.ingestPort != nil }
                let port = try #require(collector.ingestPort)
                try await SocketClient.onThread {
                    let socket = try SocketClient(port: port)
                    try socket.send(
                        Array(SocketClient.upgrade.utf8) + SocketClient.frame(IngestRig.line(1, 0))
                            + SocketClient.frame(String(repeating: "x", count: 100_000))
                            + SocketClient.frame(IngestRig.line(1, 1)) + SocketClient.frame(8, []))
                    #expect(try socket.answer().status == 101)
                    #expect(try socket.receive(2) == [0x88, 0])
                }
                let names = try await rig.processedNames(2)
                #expect(names["default"].map(Set.init) == ["m0", "m1"])
                #expect(collector.metrics.total("skein_ingest_rejected_lines_total") == 1)
            }
        }
    }

    @Test("an upgrade to another version is told which one there is")
    func webSocketVersion() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, _ in
                let answer = try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    try client.send(SocketClient.upgrade.replacing("Version: 13", with: "Version: 8"))
                    return try client.answer()
                }
                #expect(answer.status == 426)
                for header in ["Sec-WebSocket-Version: 13", "Upgrade: websocket"] {
                    #expect(answer.head.contains("\r\n\(header)\r\n"), "\(answer.head)")
                }
                #expect(answer.head.contains("Connection:") && answer.head.lowercased().contains("upgrade"))
            }
        }
    }

    @Test("a stream that ends abruptly keeps its whole lines and loses the last piece, which is counted")
    func abruptEnd() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, collector in
                try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    let pieces = [
                        IngestRig.line(1, 0) + "\n" + IngestRig.line(1, 1) + "\n" + IngestRig.line(1, 2).dropLast(5)
                    ]
                    try client.send(IngestRig.chunked(pieces.map { String($0) }, isComplete: false))
                }
                #expect(try await rig.processedNames(2)["default"]?.sorted() == ["m0", "m1"])
                #expect(try await rig.publishedNames()["default"] == ["m0", "m1"])
                try await eventually("it is counted") {
                    collector.metrics.total("skein_ingest_truncated_lines_total") == 1
                }
                #expect(try await rig.deadLetters().isEmpty)
            }
        }
    }

    @Test("while the broker is away posts are answered 503 and streams wait for it; when it is back all goes on")
    func brokerAway() async throws {
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.patience = .milliseconds(300)
            } _: { port, _ in
                let stream = try SocketClient(port: port)
                try stream.send(
                    IngestRig.chunked([IngestRig.line(2, 0) + "\n"], headers: ["Skein-Tenant: s"], isComplete: false))
                _ = try await rig.processedNames(1)
                await rig.server.kill()
                let refused = try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    try client.send(IngestRig.post(IngestRig.line(1, 0)))
                    return try client.answer()
                }
                #expect(refused.status == 503)
                #expect(refused.head.contains("Retry-After: 1\r\n"))
                #expect(refused.body.contains("not stored"))
                let line = IngestRig.line(2, 1) + "\n"
                try stream.send("\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n0\r\n\r\n")
                try await rig.server.restart()
                let accepted = try await SocketClient.onThread { try stream.answer() }
                #expect(accepted.status == 200)
                #expect(accepted.head.contains("Skein-Accepted: 2\r\n"))
                try await eventually("posts are taken again") {
                    try await SocketClient.onThread {
                        let client = try SocketClient(port: port)
                        try client.send(IngestRig.post(IngestRig.line(1, 1)))
                        return try client.answer().status == 200
                    }
                }
            }
        }
    }

    @Test("a full EVENTS is 503 for posts, and nothing that was answered 200 is missing")
    func full() async throws {
        try await Rig.with { rig in
            try await rig.ingesting {
                $0.patience = .milliseconds(200)
            } _: { port, _ in
                let info = try await rig.jetStream.streamInfo(SkeinSubjects.eventsStream)
                var stream = info.configuration
                stream.maxBytes = Int64(info.bytes) + 20_000
                _ = try await rig.jetStream.updateStream(stream)
                // A broker that is slow for a moment refuses as well, and may have stored what it did not answer.
                let (accepted, unsure, refused) = try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    var (accepted, unsure): ([String], Set<String>) = ([], [])
                    for number in 0..<1000 {
                        try client.send(IngestRig.post(IngestRig.line(1, number)))
                        let answer = try client.answer()
                        if answer.status == 200 { accepted.append("m\(number)") }
                        if answer.body.contains("maximum") { return (accepted, unsure, answer) }
                        if answer.status == 200 { continue }
                        #expect(answer.body.contains("in time"))
                        unsure.insert("m\(number)")
                    }
                    throw Failure("it is never full")
                }
                #expect(accepted.count > 5)
                #expect(refused.status == 503)
                let names = try await rig.publishedNames()["default"] ?? []
                #expect(names.filter { !unsure.contains($0) } == accepted)
            }
        }
    }

    @Test("an event above the server's max_payload goes in chunks; one above max_event_bytes is 413")
    func large() async throws {
        try await Rig.with(maxPayload: 65_536) { rig in
            var configuration = try rig.configuration()
            configuration.trajectories = nil
            configuration.ingest.isEnabled = true
            configuration.ingest.port = 0
            configuration.maximumEventBytes = 1 << 20
            try await rig.collecting(configuration) { collector in
                try await eventually("ingest listens") { collector.ingestPort != nil }
                let port = try #require(collector.ingestPort)
                func line(_ number: Int, _ count: Int) -> String {
                    IngestRig.line(1, number).replacingOccurrences(
                        of: "{\"number\":\(number)}", with: "\"\(String(repeating: "x", count: count))\"")
                }
                let (large, larger) = (line(0, 300_000), line(1, 1 << 20) + "\n" + line(2, 1))
                let answers = try await SocketClient.onThread {
                    let client = try SocketClient(port: port)
                    try client.send(IngestRig.post(large))
                    let first = try client.answer()
                    try client.send(IngestRig.post(larger))
                    return [first, try client.answer()]
                }
                #expect(answers.map(\.status) == [200, 413])
                #expect(answers[1].body.contains("line 1: it has"))
                #expect(try await rig.processedNames(2)["default"]?.sorted() == ["m0", "m2"])
                #expect(try await rig.publishedNames()["default"] == ["m0", "m2"])
            }
        }
    }

    @Test("over TLS with a certificate of one's own")
    func tls() async throws {
        try await Rig.with { rig in
            let (certificate, key) = ("\(rig.directory)/cert.pem", "\(rig.directory)/key.pem")
            let openssl = Process()
            openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            openssl.arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj",
                "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
            ]
            openssl.standardError = FileHandle.nullDevice
            try openssl.run()
            openssl.waitUntilExit()
            try await rig.ingesting {
                $0.certificateFile = certificate
                $0.keyFile = key
                $0.access = IngestAccess(tokens: [.init("token-of-sixteen", tenants: ["secure"])])
            } _: { port, _ in
                let client = HTTPClient(maxThreads: 1)
                let request = HTTPRequest(
                    method: "POST", url: "https://127.0.0.1:\(port)/v1/atof",
                    headers: [
                        ("Content-Type", "application/x-ndjson"), ("Authorization", "Bearer token-of-sixteen"),
                    ], body: Array(IngestRig.line(1, 0).utf8), tls: .init(caFile: certificate))
                let accepted = try await client.send(request)
                #expect(accepted.status == 200)
                var stranger = request
                stranger.headers.removeLast()
                let refused = try await client.send(stranger)
                #expect(refused.status == 401)
                await client.shutdown()
                let names = try await rig.processedNames(1)
                #expect(names["secure"] == ["m0"])
            }
        }
    }

    @Test("a web page of elsewhere may not send, unless there are tokens; a Host that is not loopback neither")
    func webPages() async throws {
        try await Rig.with { rig in
            func answers(_ port: UInt16, token: String? = nil) async throws -> [Int] {
                try await SocketClient.onThread {
                    let more = token.map { ["Authorization: Bearer \($0)"] } ?? []
                    let post = IngestRig.post(IngestRig.line(1, 0), headers: more + ["Origin: http://evil.example"])
                    let requests = [
                        post, post.replacingOccurrences(of: "evil.example", with: "localhost:3000"),
                        post.replacingOccurrences(of: "evil.example", with: "console.example"),
                        IngestRig.post(IngestRig.line(1, 1), headers: more).replacingOccurrences(
                            of: "Host: localhost", with: "Host: evil.example"),
                        SocketClient.upgrade.replacingOccurrences(
                            of: "\r\n\r\n", with: "\r\n" + (more + ["Origin: null", "", ""]).joined(separator: "\r\n")),
                    ]
                    return try requests.map { request in
                        let client = try SocketClient(port: port)
                        try client.send(request)
                        return try client.answer().status
                    }
                }
            }
            try await rig.ingesting {
                $0.browserGuard.allowedOrigins = ["http://console.example"]
            } _: { port, collector in
                let statuses = try await answers(port)
                #expect(statuses == [403, 200, 200, 403, 403])
                #expect(collector.metrics.total("skein_ingest_rejected_total") == 3)
            }
            try await rig.ingesting {
                $0.access = IngestAccess(tokens: [.init("token-of-sixteen", tenants: nil)])
            } _: { port, _ in
                let statuses = try await answers(port, token: "token-of-sixteen")
                #expect(statuses == [200, 200, 200, 200, 101])
            }
        }
    }

    @Test("Fabric's routes: a registered request sees its records as they come, and they are stored all the same")
    func fabric() async throws {
        try await Rig.with { rig in
            try await rig.ingesting { port, _ in
                try await SocketClient.onThread {
                    let control = try SocketClient(port: port)
                    func ask(_ text: String) throws -> SocketClient.Answer {
                        try control.send(text)
                        return try control.answer()
                    }
                    func register(_ body: String) -> String {
                        IngestRig.post(body, path: "/v1/register", contentType: "application/json")
                    }
                    #expect(try ask(register("[]")).status == 400)
                    #expect(try ask(register("{\"request_id\":\"\"}")).status == 400)
                    let made = try ask(register("{\"request_id\":\"r1\"}"))
                    #expect(made.status == 201)
                    #expect(made.body == #"{"request_id":"r1","status":"ready"}"#)
                    #expect(try ask(register("{\"request_id\":\"r1\"}")).status == 409)
                    #expect(try ask("GET /v1/stream/r2 HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404)
                    let root = Run.uuid(run: 7, scope: 0).description
                    let start = AtofLine(uuid: root, name: "a").text.replacingOccurrences(
                        of: "\"attributes\"", with: "\"metadata\":{\"nemo_fabric_request_id\":\"r1\"},\"attributes\"")
                    let child = AtofLine(
                        kind: "mark", uuid: Run.uuid(run: 7, scope: 1).description, parent: root, name: "b"
                    ).text
                    let other = AtofLine(kind: "mark", uuid: Run.uuid(run: 8, scope: 1).description, name: "c").text
                    #expect(try ask(IngestRig.post([start, other].joined(separator: "\n"))).status == 200)
                    let viewer = try SocketClient(port: port)
                    try viewer.send("GET /v1/stream/r1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    var text = ""
                    while !text.contains(start) { text += String(decoding: try viewer.receive(), as: UTF8.self) }
                    #expect(text.contains("application/x-ndjson"))
                    #expect(try ask("GET /v1/stream/r1 HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 409)
                    #expect(try ask(IngestRig.post(child)).status == 200)
                    while !text.contains(child) { text += String(decoding: try viewer.receive(), as: UTF8.self) }
                    // One who goes without a word leaves the place to the next.
                    #expect(try ask(register("{\"request_id\":\"r3\"}")).status == 201)
                    for _ in 0..<3 {
                        // The server notices a moment later.
                        let deadline = ContinuousClock.now + .seconds(30)
                        var status = ""
                        repeat {
                            let next = try SocketClient(port: port)
                            try next.send("GET /v1/stream/r3 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                            status = String(decoding: try next.receive(12), as: UTF8.self)
                        } while status == "HTTP/1.1 409" && .now < deadline
                        #expect(status == "HTTP/1.1 200")
                    }
                    #expect(
                        try ask("DELETE /v1/deregister-request/r1 HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 204)
                    while case let more = try viewer.receive(), !more.isEmpty {
                        text += String(decoding: more, as: UTF8.self)
                    }
                    #expect(text.hasSuffix("0\r\n\r\n"))
                    #expect(!text.contains(other))
                }
                #expect(try await rig.processedNames(3)["default"]?.sorted() == ["a", "b", "c"])
            }
        }
    }
}
