import ATOF
import Dispatch
import Foundation
import HTTPTestServer
import Middleware
import Synchronization
import Testing

@testable import Collector

@Suite("Client of NeMo Guardrails")
struct NeMoGuardrailsClientTests {
    private static let none = #""guardrails":{"log":{"activated_rails":[]}}"#
    private static let passed = #"{"choices":[{"message":{"role":"assistant","content":"hi"}}],\#(none)}"#
    private static let changed = #"{"choices":[{"message":{"role":"assistant","content":"ho"}}],\#(none)}"#
    private static let blocked =
        #"{"choices":[{"message":{"role":"assistant","content":"no"}}],"guardrails":{"log":{"activated_rails":[{"name":"r","stop":true}]}}}"#
    private static let check = NeMoGuardrailsCheck.input(model: "m", messages: [["role": "user", "content": "hi"]])

    private static func reply(_ body: String, _ status: Int = 200) -> HTTPTestServer.Reply {
        HTTPTestServer.Reply(status, headers: ["Content-Type": "application/json"], body: Array(body.utf8))
    }

    /// Runs a client against a server around the body.
    private static func with(
        _ answer: @escaping @Sendable (HTTPTestServer.Request) -> HTTPTestServer.Reply, listens: Bool = true,
        metrics: Metrics = Metrics(), log: LogLines = LogLines(), _ change: (inout NeMoGuardrails) -> Void = { _ in },
        _ body: (NeMoGuardrailsClient, HTTPTestServer) async throws -> Void
    ) async throws {
        let server = HTTPTestServer(listens: listens, answer: answer)
        defer { server.stop() }
        var settings = NeMoGuardrails(endpoint: server.url, configuration: .one("plain"))
        settings.timeout = .seconds(30)
        settings.headers = [.init(name: "Authorization", value: "Bearer secret")]
        change(&settings)
        let client = NeMoGuardrailsClient(settings, metrics: metrics, logger: log.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            defer { group.cancelAll() }
            try await body(client, server)
        }
    }

    @Test(
        "posts the check with its headers, and reads the verdict",
        arguments: [
            (passed, NeMoGuardrailsVerdict.passed, "passed"), (changed, .modified("ho"), "modified"),
            (blocked, .blocked(rail: "r"), "blocked"),
        ])
    func verdicts(_ body: String, _ verdict: NeMoGuardrailsVerdict, _ word: String) async throws {
        let metrics = Metrics()
        try await Self.with({ _ in Self.reply(body) }, metrics: metrics) { client, server in
            #expect(await client.check(Self.check) == .success(.init(status: 200, verdict: verdict)))
            let request = try #require(server.requests.first)
            #expect(request.method == "POST" && request.path == "/v1/chat/completions")
            #expect(request.headers["content-type"] == "application/json")
            #expect(request.headers["authorization"] == "Bearer secret")
            #expect(try JSONParser.parse(request.body) == JSONParser.parse(client.settings.body(of: Self.check)))
        }
        #expect(metrics.prometheusText().contains(#"{surface="input",outcome="\#(word)"} 1"#))
    }

    @Test("an error's body is in no message and no log line")
    func status() async throws {
        let (metrics, log) = (Metrics(), LogLines())
        try await Self.with({ _ in Self.reply(#"{"error":"secret"}"#, 500) }, metrics: metrics, log: log) { client, _ in
            let outcome = await client.check(Self.check)
            #expect(
                outcome
                    == .failure(
                        .init(
                            .status, status: 500,
                            "remote request failed with status 500; error body omitted from marks (18 bytes)")))
        }
        #expect(metrics.total("skein_nemo_guardrails_failures_total") == 1)
        #expect(log.all.count == 1 && !log.all.joined().contains("secret"))
    }

    @Test("a server that does not answer in time, or is not there, is a failure")
    func unreachable() async throws {
        let end = DispatchSemaphore(value: 0)
        defer { end.signal() }
        try await Self.with(
            { _ in
                end.wait()
                return Self.reply(Self.passed)
            }, { $0.timeout = .milliseconds(200) }
        ) { client, _ in
            guard case .failure(let failure) = await client.check(Self.check) else { throw Failure("it was answered") }
            #expect(failure.kind == .timeout)
        }
        try await Self.with({ _ in Self.reply(Self.passed) }, listens: false) { client, _ in
            guard case .failure(let failure) = await client.check(Self.check) else { throw Failure("it was answered") }
            #expect(failure.kind == .unreachable)
        }
    }

    @Test("after five failures nothing is sent; a refused request is no such failure")
    func circuit() async throws {
        let metrics = Metrics()
        try await Self.with({ _ in Self.reply("{}", 503) }, metrics: metrics) { client, server in
            for _ in 0..<8 { _ = await client.check(Self.check) }
            #expect(server.requests.count == 5)
            try await eventually("the gauge shows it") { metrics.total("skein_nemo_guardrails_circuit_open") == 1 }
        }
        #expect(metrics.prometheusText().contains(#"reason="circuit_open"} 3"#))
        try await Self.with({ _ in Self.reply("{}", 422) }) { client, server in
            for _ in 0..<8 { _ = await client.check(Self.check) }
            #expect(server.requests.count == 8)
        }
    }

    @Test("no more checks are under way than may be, and each outcome comes back to its check")
    func concurrency() async throws {
        let count = Mutex((now: 0, most: 0))
        let arrived = NSCondition()
        try await Self.with(
            { request in
                arrived.lock()
                count.withLock { count in
                    count.now += 1
                    count.most = max(count.most, count.now)
                }
                arrived.broadcast()
                // The first one waits for a second, however slow the machine is.
                let deadline = Date() + 30
                while count.withLock({ $0.most }) < 2, arrived.wait(until: deadline) {}
                arrived.unlock()
                defer { count.withLock { $0.now -= 1 } }
                let body = try? JSONParser.parse(request.body)
                let text = body?["messages"]?[1]?["content"]?.compactText ?? ""
                return Self.reply(#"{"choices":[{"message":{"role":"assistant","content":\#(text)}}],\#(Self.none)}"#)
            }, { $0.maximumInFlight = 3 }
        ) { client, _ in
            let outcomes = await client.check((0..<60).map { .output(model: "m", text: "text \($0)") })
            #expect(outcomes == Array(repeating: .success(.init(status: 200, verdict: .passed)), count: 60))
        }
        #expect((2...3).contains(count.withLock { $0.most }))
    }

    private static func context(_ messages: JSONValue) -> GuardContext {
        GuardContext(
            tenant: "t",
            question: GuardQuestion(
                name: "chat",
                call: .llm(headers: JSONObject([("h", "1")]), content: ["model": "m", "messages": messages])))
    }

    @Test("an agent's call is rejected, rewritten or allowed, and asked for once")
    func decider() async throws {
        let user: JSONValue = [["role": "user", "content": "hi"]]
        let deadline = ContinuousClock.now + .seconds(20)
        try await Self.with({ _ in Self.reply(Self.blocked) }) { client, _ in
            let verdict = try await NeMoGuardrailsDecider(client).evaluate(Self.context(user), until: deadline)
            #expect(verdict.rejection?.rule == "nemo_guardrails" && verdict.rejection?.reason.contains("'r'") == true)
        }
        try await Self.with({ _ in Self.reply(Self.changed) }) { client, server in
            let decider = NeMoGuardrailsDecider(client)
            let verdict = try await decider.evaluate(Self.context(user), until: deadline)
            let call = try await decider.rewrite(Self.context(user), until: deadline)
            #expect(verdict == GuardVerdict(evaluated: ["nemo_guardrails"]))
            let content: JSONValue = ["model": "m", "messages": [["role": "user", "content": "ho"]]]
            #expect(call == .llm(headers: JSONObject([("h", "1")]), content: content))
            #expect(server.requests.count == 1)
        }
        try await Self.with({ _ in Self.reply(Self.passed) }) { client, server in
            let decider = NeMoGuardrailsDecider(client)
            _ = try await decider.evaluate(Self.context(user), until: deadline)
            let call = try await decider.rewrite(Self.context(user), until: deadline)
            let nobody = try await decider.evaluate(
                Self.context([["role": "system", "content": "s"]]), until: deadline)
            let tool = GuardContext(tenant: "t", question: GuardQuestion(name: "x", call: .tool(arguments: [:])))
            let other = try await decider.evaluate(tool, until: deadline)
            #expect(call == nil && nobody.evaluated.isEmpty && other.evaluated.isEmpty)
            #expect(server.requests.count == 1)
        }
    }

    @Test(
        "what cannot be checked is an error for the agent, or passes where the configuration says so",
        arguments: [#"[{"role":"user","content":"hi"}]"#, #""no messages""#])
    func failing(_ messages: String) async throws {
        let context = Self.context(try JSONParser.parse(messages))
        let deadline = ContinuousClock.now + .seconds(20)
        try await Self.with({ _ in Self.reply("{}", 500) }) { client, _ in
            let decider = NeMoGuardrailsDecider(client)
            await #expect(throws: GuardFailure.self) { try await decider.evaluate(context, until: deadline) }
        }
        try await Self.with({ _ in Self.reply("{}", 500) }, { $0.onFailure = .open }) { client, _ in
            let decider = NeMoGuardrailsDecider(client)
            let verdict = try await decider.evaluate(context, until: deadline)
            let call = try await decider.rewrite(context, until: deadline)
            #expect(verdict.rejection == nil && call == nil)
        }
    }
}
