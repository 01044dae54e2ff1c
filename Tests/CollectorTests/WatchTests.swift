import ATOF
import Collector
import Middleware
import NATSTransport
import Stages
import Testing

@Suite("Watch", .timeLimit(.minutes(2)))
struct WatchTests {
    /// An agent that calls one tool with the same arguments again and again.
    private struct LoopingRun {
        let number: Int
        var tenant = "acme"
        let calls: Int

        var id: EventUUID { Run.uuid(run: number, scope: 0) }

        func messages() throws -> [OutgoingMessage] {
            var lines = [line(0, "start")]
            for call in 1..<(calls + 1) { lines += [line(call, "start"), line(call, "end")] }
            lines.append(line(0, "end"))
            return try lines.enumerated().map { index, line in
                OutgoingMessage(
                    id: "\(tenant)/\(number)/\(index)",
                    subject: SkeinSubjects.events(tenant: tenant, key: id.description), payload: try packed([line]))
            }
        }

        private func line(_ scope: Int, _ phase: String) -> String {
            AtofLine(
                phase: phase, uuid: Run.uuid(run: number, scope: scope).description,
                parent: scope == 0 ? nil : id.description, name: scope == 0 ? "looper" : "search",
                category: scope == 0 ? "agent" : "tool", data: "{\"query\":\"the same\"}"
            ).text
        }
    }

    private static let reason = "stop searching for the same"

    private static func loopRule() -> GuardrailRule {
        GuardrailRule(
            name: "loop", condition: .loop(.init(repeats: 5)), actions: [.alert, .verdict], reason: reason)
    }

    /// The steps of the finished trajectory that say why it was rejected.
    private static func verdictSteps(_ rig: Rig, _ run: LoopingRun) async throws -> Int? {
        let subject = SkeinSubjects.trajectory(tenant: run.tenant, id: run.id)
        guard
            let message = try await rig.jetStream.lastMessage(
                stream: SkeinSubjects.trajectoriesStream, subject: subject, fromLeader: true)
        else { return nil }
        let document = try JSONParser.parse(message.payload)
        return document["steps"]?.arrayValue?.count { $0["message"]?.stringValue == reason }
    }

    private static func alerts(_ rig: Rig) async throws -> [JSONValue] {
        try await rig.contents(of: SkeinSubjects.alertsStream).map { try JSONParser.parse($0.payload) }
    }

    @Test("a loop of equal calls becomes one verdict in the trajectory and one alert")
    func loop() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.middleware.guardrails = GuardrailRules(rules: [Self.loopRule()])
            let run = LoopingRun(number: 1, calls: 12)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(try run.messages())
                try await eventually("the verdict is in the trajectory") {
                    try await Self.verdictSteps(rig, run) == 1
                }
                try await rig.catchUp(collector)
            }
            #expect(try await Self.verdictSteps(rig, run) == 1)
            let alerts = try await Self.alerts(rig)
            #expect(alerts.count == 1)
            #expect(alerts.first?["rule"] == "loop")
            #expect(alerts.first?["tenant"] == "acme")
            #expect(alerts.first?["trajectory"] == .string(run.id.description))
            #expect(alerts.first?["event"] == .string(Run.uuid(run: 1, scope: 5).description))
            #expect(alerts.first?["counts"] == ["calls": 5, "limit": 4])
            #expect(
                try await rig.contents(of: SkeinSubjects.alertsStream).map(\.subject) == ["skein.v1.alerts.acme.loop"])
            let events = try await rig.processedEvents()
            // The run, and of the verdict a scope's start and end and a mark.
            #expect(events.count == 26 + 3)
            #expect(events.values.allSatisfy { $0 == 1 })
            #expect(try await rig.deadLetters().isEmpty)
        }
    }

    @Test("a collector that dies in between changes nothing about it")
    func killed() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.middleware.guardrails = GuardrailRules(rules: [Self.loopRule()])
            configuration.memberTimeToLive = .seconds(1)
            // None is written before it dies: the next one reads everything again.
            configuration.checkpointInterval = .seconds(3600)
            let run = LoopingRun(number: 1, calls: 12)
            let messages = try run.messages()
            let first = Collector(configuration, logger: LogLines().logger)
            let running = Task { try await first.run() }
            try await eventually("the first one has tasks") { await !first.tasks().isEmpty }
            try await rig.publish(messages[..<12])
            try await eventually("the alert is told") { try await Self.alerts(rig).count == 1 }
            try await eventually("the verdict has come back") { try await rig.processedEvents().count == 12 + 3 }
            running.cancel()
            _ = await running.result
            configuration.checkpointInterval = .milliseconds(20)
            try await rig.collecting(configuration) { collector in
                try await rig.publish(messages[12...])
                try await eventually("the verdict is in the trajectory") {
                    try await Self.verdictSteps(rig, run) == 1
                }
                try await rig.catchUp(collector)
                #expect(collector.metrics.total("skein_guardrail_verdicts_total") == 1)
                // Also long after the broker has forgotten the message: the events are the same.
                let verdict = try #require(
                    try await rig.contents(of: SkeinSubjects.eventsStream).first { message in
                        message.headers[SkeinHeaders.messageID]?.hasPrefix("verdict/") == true
                    })
                try await rig.publish([
                    OutgoingMessage(
                        subject: SkeinSubjects.events(tenant: "acme", key: run.id.description), payload: verdict.payload
                    )
                ])
                try await rig.catchUp(collector)
            }
            #expect(try await Self.verdictSteps(rig, run) == 1)
            #expect(try await Self.alerts(rig).count == 1)
            #expect(try await rig.processedEvents().values.allSatisfy { $0 == 1 })
        }
    }

    @Test("a tenant's budget is summed over partitions, and told once")
    func tenantBudget() async throws {
        try await Rig.with { rig in
            var configuration = try rig.configuration()
            configuration.streams.partitions = 4
            configuration.middleware.guardrails = GuardrailRules(rules: [
                GuardrailRule(
                    name: "many",
                    condition: .budget(
                        .init(measure: .toolCalls, limit: 59, owner: .tenant, window: 3_600_000_000_000)),
                    actions: [.alert], reason: "too many")
            ])
            try await rig.collecting(configuration) { collector in
                let own = (0..<12).map { LoopingRun(number: $0, calls: 5) }
                let others = (0..<12).map { LoopingRun(number: 100 + $0, tenant: "other", calls: 4) }
                for run in own + others { try await rig.publish(try run.messages()) }
                try await eventually("the alert is told") { try await !Self.alerts(rig).isEmpty }
                try await rig.catchUp(collector)
                let alerts = try await Self.alerts(rig)
                #expect(alerts.map { $0["tenant"] } == ["acme"])
                #expect(alerts.first?["counts"] == ["tool_calls": 60, "limit": 59])
                #expect(alerts.first?["trajectory"] == .null)
            }
            #expect(try await rig.deadLetters().isEmpty)
        }
    }
}
