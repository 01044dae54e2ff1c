import ATOF
import Collector
import Foundation
import Middleware
import NATSTransport
import Stages
import Synchronization

extension Rig {
    /// Runs members with these guardrails around the body, which begins when all of them answer.
    func guarding(
        rules: [GuardrailRule] = [], deciders: [any GuardDecider] = [], members: Int = 1, limit: Int = 256,
        log: LogLines = LogLines(),
        _ body: ([Collector]) async throws -> Void
    ) async throws {
        var configuration = try configuration()
        configuration.trajectories = nil
        configuration.middleware.guardrails = GuardrailRules(rules: rules)
        configuration.deciders = deciders
        configuration.guardRequests = limit
        let collectors = (0..<members).map { _ in Collector(configuration, logger: log.logger) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for collector in collectors { group.addTask { try await collector.run() } }
            defer { group.cancelAll() }
            try await eventually("\(members) members answer") { try await guardMembers().count == members }
            try await body(collectors)
            for collector in collectors { await collector.stop() }
            try await group.waitForAll()
        }
    }

    /// The ids of the members that discovery finds now.
    func guardMembers() async throws -> Set<String> {
        let inbox = "_INBOX.test.\(UUID().uuidString)"
        let answers = try await jetStream.connection.subscribe(subject: inbox)
        try await jetStream.connection.publish(subject: "$SRV.PING.skein-guard", payload: [], reply: inbox)
        // Behind the answer to a request of our own all that were sent before have come, or soon will.
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(100)) { answers.cancel() }
        var ids: Set<String> = []
        for await answer in answers {
            guard let value = try? JSONParser.parse(answer.payload), let id = value["id"]?.stringValue else { continue }
            ids.insert(id)
        }
        return ids
    }

    /// A connection of an agent's own.
    func withAgent<Result>(_ body: (NATSConnection) async throws -> Result) async throws -> Result {
        let connection = try await NATSConnection.connect(NATSOptions(urls: [server.url], name: "agent"))
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }
}

extension GuardQuestion {
    /// A call of a tool.
    static func tool(
        _ name: String, _ arguments: JSONValue = [:], agent: String? = nil, trajectory: EventUUID? = nil,
        callID: String? = nil
    ) -> GuardQuestion {
        var question = GuardQuestion(name: name, call: .tool(arguments: arguments))
        question.agent = agent
        question.trajectory = trajectory
        question.callID = callID
        return question
    }
}

extension GuardrailRule {
    /// A budget of calls that rejects.
    static func budget(
        _ name: String, limit: UInt64, owner: Budget.Owner = .tenant, window: UInt64? = nil
    ) -> GuardrailRule {
        GuardrailRule(
            name: name, condition: .budget(.init(measure: .calls, limit: limit, owner: owner, window: window)),
            actions: [.reject], reason: "\(name) is used up")
    }

    static func denying(_ name: String, _ tools: String..., priority: Int32 = 100) -> GuardrailRule {
        var rule = GuardrailRule(
            name: name, condition: .tools(.init(deny: tools.map { NameGlob($0) })), actions: [.reject],
            reason: "\(name) says no")
        rule.priority = priority
        return rule
    }
}
