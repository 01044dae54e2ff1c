import Dispatch
import HTTPTestServer
import HTTPTransport
import Testing

@Suite("HTTP client", .timeLimit(.minutes(1)))
struct HTTPClientTests {
    private let client = HTTPClient(maxThreads: 2)

    @Test(
        "sends what the request says and returns what the server answered",
        arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    func roundTrip(_ method: String) async throws {
        let server = HTTPTestServer { _ in
            let body = method == "HEAD" ? [] : Array("yes".utf8)
            return HTTPTestServer.Reply(207, headers: ["X-Answer": " padded "], body: body)
        }
        defer { server.stop() }
        let hasBody = method == "POST" || method == "PUT" || method == "DELETE"
        let response = try await client.send(
            HTTPRequest(
                method: method, url: server.url + "/a?b=c", headers: [("X-One", "1"), ("X-Empty", "")],
                body: hasBody ? [0, 1, 255] : []))
        #expect(response.status == 207)
        #expect(response.header("x-ANSWER") == "padded")
        #expect(response.body == (method == "HEAD" ? [] : Array("yes".utf8)))
        #expect(!response.bodyWasCut)
        let request = try #require(server.requests.first)
        #expect(request.method == method)
        #expect(request.path == "/a?b=c")
        #expect(request.headers["x-one"] == "1")
        #expect(request.headers["x-empty"] == "")
        #expect(request.headers["content-type"] == nil)
        #expect(request.headers["content-length"] == (hasBody ? "3" : method == "PATCH" ? "0" : nil))
        #expect(request.body == (hasBody ? [0, 1, 255] : []))
    }

    @Test("sends a body of several megabytes without asking for permission first")
    func largeBody() async throws {
        let server = HTTPTestServer { _ in HTTPTestServer.Reply(200) }
        defer { server.stop() }
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        _ = try await client.send(HTTPRequest(method: "POST", url: server.url, body: body))
        #expect(server.requests.first?.headers["expect"] == nil)
        #expect(server.requests.first?.body == body)
    }

    @Test("keeps one connection for requests that follow each other")
    func reuse() async throws {
        let server = HTTPTestServer { _ in HTTPTestServer.Reply(200, body: Array("ok".utf8)) }
        defer { server.stop() }
        for _ in 0..<20 {
            _ = try await client.send(HTTPRequest(method: "POST", url: server.url, body: [1]))
        }
        #expect(server.connectionCount == 1)
        #expect(server.requests.count == 20)
    }

    @Test("performs no more requests at once than it has threads")
    func bound() async throws {
        let gate = DispatchSemaphore(value: 0)
        let server = HTTPTestServer { _ in
            gate.wait()
            return HTTPTestServer.Reply(200)
        }
        defer { server.stop() }
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<6 {
                group.addTask { try await client.send(HTTPRequest(method: "GET", url: server.url)).status }
            }
            for _ in 0..<6 { gate.signal() }
            for try await status in group { #expect(status == 200) }
        }
        #expect(server.connectionCount <= 2)
        #expect(server.requests.count == 6)
    }

    @Test("does not follow redirects")
    func redirect() async throws {
        let server = HTTPTestServer { _ in HTTPTestServer.Reply(307, headers: ["Location": "/elsewhere"]) }
        defer { server.stop() }
        let response = try await client.send(HTTPRequest(method: "POST", url: server.url, body: [1]))
        #expect(response.status == 307)
        #expect(server.requests.count == 1)
    }

    @Test("cuts a body at its bound")
    func cut() async throws {
        let server = HTTPTestServer { _ in
            HTTPTestServer.Reply(200, body: [UInt8](repeating: 7, count: HTTPResponse.maxBodyBytes + 100_000))
        }
        defer { server.stop() }
        let response = try await client.send(HTTPRequest(method: "GET", url: server.url))
        #expect(response.status == 200)
        #expect(response.bodyWasCut)
        #expect(response.body.count == HTTPResponse.maxBodyBytes)
    }

    @Test("keeps a bounded part of the headers")
    func manyHeaders() async throws {
        let server = HTTPTestServer { _ in
            let long = String(repeating: "x", count: 30_000)
            return HTTPTestServer.Reply(200, headers: ["A": long, "B": long, "C": long])
        }
        defer { server.stop() }
        let response = try await client.send(HTTPRequest(method: "GET", url: server.url))
        #expect(response.headers.reduce(0) { $0 + $1.value.count } <= HTTPResponse.maxHeaderBytes)
    }

    @Test("says why there is no answer, without secrets of the URL")
    func failures() async {
        let silent = HTTPTestServer(listens: false) { _ in HTTPTestServer.Reply(200) }
        let gate = DispatchSemaphore(value: 0)
        let slow = HTTPTestServer { _ in
            gate.wait()
            return HTTPTestServer.Reply(200)
        }
        defer {
            gate.signal()
            slow.stop()
        }
        let cases: [(String, HTTPError.Code)] = [
            ("http://u:secret@127.0.0.1:\(silent.port)/p?key=secret", .refused),
            ("http://u:secret@nothing.invalid/p?key=secret", .unresolved),
            ("http://u:secret@127.0.0.1:\(slow.port)/p?key=secret", .timeout),
            ("ftp://u:secret@127.0.0.1/p?key=secret", .other),
            ("http://u:secret@[/p?key=secret", .other),
        ]
        for (url, code) in cases {
            let timeout = code == .timeout ? Duration.milliseconds(50) : .seconds(20)
            let error = await #expect(throws: HTTPError.self) {
                try await client.send(HTTPRequest(method: "GET", url: url, timeout: timeout))
            }
            #expect(error?.code == code, "\(url): \(String(describing: error))")
            #expect(error?.message.contains("secret") == false)
            #expect(error?.message.contains("/p: ") == true)
        }
    }

    @Test(
        "refuses what would forge the head of a request",
        arguments: [
            HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [("X", "secret\r\nY: 1")]),
            HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [("X:", "secret")]),
            HTTPRequest(method: "GET", url: "http://127.0.0.1/", headers: [("", "secret")]),
            HTTPRequest(method: "GET /", url: "http://127.0.0.1/"),
            HTTPRequest(method: "GET", url: "http://127.0.0.1/\r\nsecret"),
        ])
    func forgery(_ request: HTTPRequest) async {
        let error = await #expect(throws: HTTPError.self) { try await client.send(request) }
        #expect(error?.code == .other)
        #expect(error?.message.contains("X: 1") == false)
    }

    @Test("aborts a transfer and one that waits when their tasks are cancelled")
    func cancellation() async {
        let gate = DispatchSemaphore(value: 0)
        let (arrivals, arrived) = AsyncStream<Void>.makeStream()
        let server = HTTPTestServer { _ in
            arrived.yield()
            gate.wait()
            return HTTPTestServer.Reply(200)
        }
        let client = HTTPClient(maxThreads: 1)
        let url = server.url
        let first = Task { try await client.send(HTTPRequest(method: "GET", url: url, timeout: .seconds(600))) }
        for await _ in arrivals { break }
        let second = Task { try await client.send(HTTPRequest(method: "GET", url: url)) }
        second.cancel()
        await #expect(throws: HTTPError.self) { try await second.value }
        first.cancel()
        let error = await #expect(throws: HTTPError.self) { try await first.value }
        #expect(error?.code == .cancelled)
        #expect(server.requests.count == 1)
        gate.signal()
        server.stop()
    }

    @Test("ends its threads on shutdown, aborts what they do, and refuses afterwards")
    func shutdown() async {
        let gate = DispatchSemaphore(value: 0)
        let (arrivals, arrived) = AsyncStream<Void>.makeStream()
        let server = HTTPTestServer { _ in
            arrived.yield()
            gate.wait()
            return HTTPTestServer.Reply(200)
        }
        let client = HTTPClient(maxThreads: 1)
        let url = server.url
        let tasks = (0..<3).map { _ in
            Task { try await client.send(HTTPRequest(method: "GET", url: url, timeout: .seconds(600))) }
        }
        for await _ in arrivals { break }
        await client.shutdown()
        await client.shutdown()
        for task in tasks {
            let error = await #expect(throws: HTTPError.self) { try await task.value }
            #expect(error?.code == .cancelled)
        }
        let late = await #expect(throws: HTTPError.self) {
            try await client.send(HTTPRequest(method: "GET", url: url))
        }
        #expect(late?.code == .cancelled)
        gate.signal()
        server.stop()
    }
}
