import ATOF
import Collector
import Foundation
import Middleware
import NATSTransport
import Stages
import Synchronization
import Testing

@Suite("Guard service", .timeLimit(.minutes(2)))
struct GuardServiceTests {
    /// Waits until it is let go, or fails when it is told to.
    private struct Held: GuardDecider {
        let name = "held"
        let priority: Int32 = 0
        let gate: AsyncStream<Void>
        var asked = Asked()

        func evaluate(_ context: GuardContext, until deadline: ContinuousClock.Instant) async throws -> GuardVerdict {
            asked.number.withLock { $0 += 1 }
            if context.question.name == "fail" { throw Failure("the worker is gone") }
            for await _ in gate {}
            return GuardVerdict(evaluated: [name])
        }
    }

    private final class Asked: Sendable {
        let number = Mutex(0)
    }

    @Test(
        "answers agents by the rules, in both encodings, and is found by discovery", arguments: GuardEncoding.allCases)
    func rules(encoding: GuardEncoding) async throws {
        let redacting = GuardrailRule(
            name: "redact", condition: .arguments([.init(pointer: "/key", test: .equals("s3cret"))]),
            actions: [.redact], reason: "it is secret")
        let rules: [GuardrailRule] = [
            .denying("deny", "delete_*"), redacting, .budget("runs", limit: 2, owner: .trajectory),
        ]
        try await Rig.with { rig in
            try await rig.guarding(rules: rules) { collectors in
                let client = GuardClient(rig.jetStream.connection, encoding: encoding)
                let run = EventUUID(high: 7, low: 1)
                let allowed = try await client.ask(.tool("search", ["q": 1], trajectory: run), tenant: "acme")
                #expect(allowed.decision == .allow)
                #expect(allowed.evaluations.map(\.name) == ["deny", "redact", "runs"])
                let denied = try await client.ask(.tool("delete_all", trajectory: run), tenant: "acme")
                #expect(denied.decision == .reject(rule: "deny", reason: "deny says no"))
                let changed = try await client.ask(.tool("a", ["key": "s3cret"], trajectory: run), tenant: "acme")
                #expect(changed.decision == .transform(.tool(arguments: ["key": "[REDACTED]"])))
                // The denied call was not counted, the two others were.
                let over = try await client.ask(.tool("b", trajectory: run), tenant: "acme")
                #expect(over.decision == .reject(rule: "runs", reason: "runs is used up"))
                let other = try await client.ask(.tool("b", trajectory: run), tenant: "other")
                #expect(other.decision == .allow)
                var llm = GuardQuestion(name: "m", call: .llm(headers: JSONObject(), content: ["model": "x"]))
                llm.trajectory = run
                #expect(try await client.ask(llm, tenant: "other").decision == .allow)
                #expect(try await client.ask(llm, tenant: "other").decision != .allow)

                let budgets = try await BudgetList.read(rig.jetStream, tenant: "acme")
                #expect(budgets.map(\.tenant) == ["acme"])
                #expect(budgets[0].counters.counters.values.map(\.used) == [2])
                let text = collectors[0].metrics.prometheusText()
                #expect(text.contains(#"skein_guard_requests_total{kind="tool",decision="allow"} 2"#))
                #expect(text.contains(#"skein_guard_requests_total{kind="tool",decision="reject"} 2"#))
                #expect(text.contains(#"skein_guard_requests_total{kind="tool",decision="transform"} 1"#))
                #expect(text.contains(#"skein_guard_rejections_total{rule="deny"} 1"#))
                #expect(text.contains(#"skein_guard_request_seconds_count{kind="tool"} 5"#))
                #expect(text.contains(#"skein_guard_request_seconds_bucket{kind="tool",le="+Inf"} 5"#))
            }
        }
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var subject = "skein.v1.guard.acme.tool"
        var headers: NATSHeaders = [:]
        var payload = #"{"name":"search","arguments":{}}"#
        let code: String
        let names: String
    }

    private static let mistakes = [
        Mistake(testDescription: "no JSON", payload: "{", code: "bad_request", names: "JSON"),
        Mistake(testDescription: "no arguments", payload: #"{"name":"a"}"#, code: "bad_request", names: "arguments"),
        Mistake(testDescription: "nothing", payload: "", code: "bad_request", names: "JSON"),
        Mistake(
            testDescription: "tenant", subject: "skein.v1.guard.ACME.tool", code: "bad_request", names: "tenant"),
        Mistake(testDescription: "own tenant", subject: "skein.v1.guard._.tool", code: "bad_request", names: "tenant"),
        Mistake(
            testDescription: "a tool's question for a model", subject: "skein.v1.guard.acme.llm", code: "bad_request",
            names: "request"),
        Mistake(
            testDescription: "content type", headers: ["Content-Type": "text/plain"], code: "bad_request",
            names: "Content-Type"),
        Mistake(
            testDescription: "time to wait", headers: ["Skein-Timeout-Millis": "soon"], code: "bad_request",
            names: "Skein-Timeout-Millis"),
        Mistake(
            testDescription: "deadline", headers: ["Skein-Deadline": "tomorrow"], code: "bad_request",
            names: "Skein-Deadline"),
        Mistake(
            testDescription: "deadline that is over", headers: ["Skein-Deadline": "2020-01-01T00:00:00Z"],
            code: "deadline_exceeded", names: "deadline"),
        Mistake(
            testDescription: "decider that fails", payload: #"{"name":"fail","arguments":{}}"#, code: "rule_failed",
            names: "held: the worker is gone"),
    ]

    @Test("what goes wrong is an error that says what, never an allow")
    func errors() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        opener.finish()
        try await Rig.with { rig in
            try await rig.guarding(deciders: [Held(gate: gate)]) { collectors in
                for mistake in GuardServiceTests.mistakes {
                    let reply = try await rig.jetStream.connection.request(
                        subject: mistake.subject, headers: mistake.headers, payload: Array(mistake.payload.utf8),
                        timeout: .seconds(5))
                    let value = try JSONParser.parse(reply.payload)
                    #expect(value["decision"] == "error", "\(mistake)")
                    #expect(value["code"]?.stringValue == mistake.code, "\(mistake)")
                    #expect(value["message"]?.stringValue?.contains(mistake.names) == true, "\(mistake): \(value)")
                    #expect(reply.headers["Nats-Service-Error"] == value["message"]?.stringValue, "\(mistake)")
                    #expect(reply.headers["Nats-Service-Error-Code"] != nil, "\(mistake)")
                }
                let text = collectors[0].metrics.prometheusText()
                #expect(text.contains(#"skein_guard_errors_total{reason="bad_request"} 9"#))
                // The service still works.
                let client = GuardClient(rig.jetStream.connection)
                #expect(try await client.ask(.tool("search"), tenant: "acme").decision == .allow)
            }
        }
    }

    @Test("more questions than it works on at once are refused at once; a collector that ends answers those under way")
    func full() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let held = Held(gate: gate)
        try await Rig.with { rig in
            try await rig.guarding(deciders: [held], limit: 2) { collectors in
                let client = GuardClient(rig.jetStream.connection)
                async let first = client.ask(.tool("a"), tenant: "acme", timeout: .seconds(20))
                async let second = client.ask(.tool("a"), tenant: "acme", timeout: .seconds(20))
                try await eventually("two questions are under way") { held.asked.number.withLock { $0 } == 2 }
                let refused = try await client.ask(.tool("b"), tenant: "acme")
                guard case .error(let failure) = refused.decision else { throw Failure("\(refused.decision)") }
                #expect(failure.code == .busy)
                async let stopped: Void = collectors[0].stop()
                opener.finish()
                await stopped
                #expect(try await first.decision == .allow)
                #expect(try await second.decision == .allow)
            }
        }
    }

    @Test("a budget of 100 calls over 3 members and 8 agents at once lets exactly 100 through, each call counted once")
    func exactly() async throws {
        let rules: [GuardrailRule] = [.budget("calls", limit: 100)]
        try await Rig.with { rig in
            try await rig.guarding(rules: rules, members: 3) { collectors in
                let allowed = try await withThrowingTaskGroup(of: [String].self) { group in
                    for agent in 0..<8 {
                        group.addTask {
                            try await rig.withAgent { connection in
                                let client = GuardClient(connection, encoding: agent % 2 == 0 ? .json : .protobuf)
                                return try await GuardServiceTests.ask(client, agent: agent, calls: 40)
                            }
                        }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                #expect(allowed.count == 100)
                #expect(Set(allowed).count == 100)
                // All of them answered, and one of them counted for most.
                let answered = collectors.map { Int($0.metrics.total("skein_guard_requests_total")) }
                #expect(answered.allSatisfy { $0 > 0 })
                let sum = answered.reduce(0, +)
                #expect(sum == 640)
                let state = try await BudgetList.read(rig.jetStream)
                #expect(state.flatMap { $0.counters.counters.values.map(\.used) } == [100])
            }
        }
    }

    /// Asks for many calls at once, each twice.
    ///
    /// - Returns: ids of the calls that were let through.
    private static func ask(_ client: GuardClient, agent: Int, calls: Int) async throws -> [String] {
        try await withThrowingTaskGroup(of: String?.self) { group in
            for call in 0..<calls {
                group.addTask {
                    let id = "\(agent)/\(call)"
                    let question = GuardQuestion.tool("search", agent: "agent-\(agent)", callID: id)
                    let first = try await client.ask(question, tenant: "acme", timeout: .seconds(20))
                    let again = try await client.ask(question, tenant: "acme", timeout: .seconds(20))
                    switch (first.decision, again.decision) {
                    case (.allow, .allow): return id
                    case (.reject, .reject): return nil
                    default: throw Failure("\(first.decision), then \(again.decision)")
                    }
                }
            }
            return try await group.reduce(into: []) { if let id = $1 { $0.append(id) } }
        }
    }

    @Test(
        "a member that ends in the middle: the others go on, nothing is counted twice, no more than the limit is let through"
    )
    func handover() async throws {
        let rules: [GuardrailRule] = [.budget("calls", limit: 60)]
        try await Rig.with { rig in
            try await rig.guarding(rules: rules, members: 3) { collectors in
                let client = GuardClient(rig.jetStream.connection)
                var allowed = 0
                for number in 0..<90 {
                    if number == 20 { await collectors[0].stop() }
                    if number == 40 { await collectors[1].stop() }
                    let question = GuardQuestion.tool("search", callID: "call-\(number)")
                    let reply: GuardReply
                    do {
                        reply = try await client.ask(question, tenant: "acme")
                    } catch let error as NATSError where error.code == .timeout {
                        reply = try await client.ask(question, tenant: "acme")
                    }
                    switch reply.decision {
                    case .allow: allowed += 1
                    case .reject: break
                    case .transform, .error: throw Failure("\(reply.decision)")
                    }
                    if number < 60 { #expect(allowed == number + 1) }
                }
                #expect(allowed == 60)
            }
        }
    }

    @Test(
        "a call_id stands for one call with its arguments: asked again it counts once, another call under it is another"
    )
    func callIDs() async throws {
        try await Rig.with { rig in
            try await rig.guarding(rules: [.budget("runs", limit: 3)]) { _ in
                let client = GuardClient(rig.jetStream.connection)
                func ask(_ arguments: JSONValue, parent: EventUUID? = nil) async throws -> GuardReply.Decision {
                    var question = GuardQuestion.tool("pay", arguments, callID: "call_0")
                    question.parent = parent
                    return try await client.ask(question, tenant: "acme").decision
                }
                for _ in 0..<3 {
                    let decision = try await ask(["to": "a", "n": 1])
                    #expect(decision == .allow)
                }
                let others = [
                    try await ask(["to": "b", "n": 1]),
                    try await ask(["to": "a", "n": 1], parent: EventUUID(high: 1, low: 2)),
                ]
                #expect(others == [.allow, .allow])
                let over = try await ask(["to": "c"])
                #expect(over == .reject(rule: "runs", reason: "runs is used up"))
                let llm = GuardQuestion(name: "pay", call: .llm(headers: JSONObject(), content: ["to": "a"]))
                #expect(try await client.ask(llm, tenant: "acme").decision != .allow)
            }
        }
    }
}
