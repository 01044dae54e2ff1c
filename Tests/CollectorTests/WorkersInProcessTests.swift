import ATOF
import Collector
import HTTPTestServer
import Middleware
import NATSTransport
import Stages
import Testing

@Suite("Workers and NeMo Guardrails in process", .timeLimit(.minutes(3)))
struct WorkersInProcessTests {
    private static func processed(_ rig: Rig) async throws -> [Event] {
        try await rig.contents(of: SkeinSubjects.processedStream).flatMap { message -> [Event] in
            guard !SkeinSubjects.isTick(message.subject) else { return [] }
            let batch = try EventBatch(unpacking: message.payload)
            return try (0..<batch.count).map { try batch.event(at: $0) }
        }
    }

    private static func publish(_ rig: Rig, _ lines: [String], tenant: String = "acme") async throws {
        try await rig.publish([
            OutgoingMessage(
                subject: SkeinSubjects.events(tenant: tenant, key: "k"), payload: try packed(lines[...]))
        ])
    }

    private static func mark(_ number: Int) -> String {
        AtofLine(
            kind: "mark", uuid: Run.uuid(run: 1, scope: number).description,
            parent: Run.uuid(run: 1, scope: 0).description, data: "\"secret \(number)\""
        ).text
    }

    @Test("what a worker answers is what readers of PROCESSED get, in the order of the stream")
    func replaced() async throws {
        try await Rig.with { rig in
            let worker = try await FakeWorker(rig) { call in
                let items = call.json?["items"]?.arrayValue ?? []
                return .init(
                    items.map { item in
                        let text = (item["event"]?["data"]?.stringValue ?? "").replacing("secret", with: "hidden")
                        return [
                            "event": ["data": .string(text), "category_profile": .null, "metadata": ["seen": true]]
                        ]
                    })
            }
            var configuration = try rig.configuration()
            var settings = WorkerSettings(name: "w", surfaces: [.mark])
            settings.deadline = .seconds(30)
            configuration.middleware.workers = [settings]
            try await rig.collecting(configuration) { collector in
                for first in stride(from: 0, to: 30, by: 10) {
                    try await Self.publish(rig, (first..<first + 10).map { Self.mark($0 + 1) })
                }
                try await rig.catchUp(collector)
            }
            let events = try await Self.processed(rig)
            #expect(events.map { $0.data?.value } == (1...30).map { .string("hidden \($0)") })
            #expect(events.allSatisfy { $0.metadata?.value == ["seen": true] })
            // A call holds the events of a message.
            #expect(worker.calls.map(\.items).reduce(0, +) == 30 && worker.calls.count == 3)
        }
    }

    @Test("without its worker an event goes on without payloads, or as it was where that is configured")
    func failing() async throws {
        try await Rig.with { rig in
            var open = WorkerSettings(name: "w", surfaces: [.mark])
            open.onFailure = [.mark: .open]
            open.tenants = ["open"]
            var closed = WorkerSettings(name: "v", surfaces: [.mark])
            closed.tenants = ["closed"]
            var configuration = try rig.configuration()
            configuration.middleware.workers = [open, closed]
            try await rig.collecting(configuration) { collector in
                try await Self.publish(rig, [Self.mark(1)], tenant: "open")
                try await Self.publish(rig, [Self.mark(2)], tenant: "closed")
                try await rig.catchUp(collector)
                let text = collector.metrics.prometheusText()
                #expect(text.contains(#"skein_worker_failures_total{worker="w",surface="mark",reason="gone"} 1"#))
                #expect(text.contains(#"skein_worker_failures_total{worker="v",surface="mark",reason="gone"} 1"#))
            }
            let data = try await Self.processed(rig).map { $0.data?.value }
            #expect(Set(data) == ["secret 1", nil])
            #expect(try await rig.deadLetters().isEmpty)
        }
    }

    private static func call(_ number: Int, _ phase: String, _ text: String) -> String {
        AtofLine(
            phase: phase, uuid: Run.uuid(run: 1, scope: number).description,
            parent: Run.uuid(run: 1, scope: 0).description, name: "openai", category: "llm",
            data: #"{"choices":[{"message":{"role":"assistant","content":"\#(text)"}}]}"#
        ).text
    }

    /// A server whose rails block what holds "secret".
    private static func rails() -> HTTPTestServer {
        HTTPTestServer { request in
            let text = String(decoding: request.body, as: UTF8.self)
            let rails = text.contains("secret") ? #"[{"name":"no secrets","stop":true}]"# : "[]"
            let body =
                #"{"choices":[{"message":{"role":"assistant","content":"fine"}}],"guardrails":{"log":{"activated_rails":\#(rails)}}}"#
            return .init(200, body: Array(body.utf8))
        }
    }

    @Test("a response that the rails block is not in PROCESSED, and the check has its marks there")
    func guardrails() async throws {
        try await Rig.with { rig in
            let server = Self.rails()
            defer { server.stop() }
            var configuration = try rig.configuration()
            var settings = NeMoGuardrails(endpoint: server.url, configuration: .one("plain"))
            settings.timeout = .seconds(30)
            configuration.middleware.nemoGuardrails = settings
            try await rig.collecting(configuration) { collector in
                try await Self.publish(rig, [Self.call(1, "start", "x"), Self.call(1, "end", "fine")])
                try await Self.publish(rig, [Self.call(2, "start", "x"), Self.call(2, "end", "a secret")])
                try await rig.catchUp(collector)
            }
            let events = try await Self.processed(rig)
            let ends = events.filter { $0.kind == .scopeEnd }
            #expect(ends.map { $0.data == nil } == [false, true])
            #expect(
                events.filter(\.isMark).map(\.name)
                    == Array(
                        repeating: ["nemo_guardrails.remote.start", "nemo_guardrails.remote.end"], count: 2
                    ).flatMap { $0 })
            #expect(events.last?.data?.value["blocked_by"] == "no secrets")
        }
    }
}
