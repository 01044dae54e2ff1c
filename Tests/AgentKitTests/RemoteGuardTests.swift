import ATOF
import AgentKit
import Synchronization
import Testing

@Suite("Guardrails of the collectors")
struct RemoteGuardTests {
    /// Answers as it is told, and keeps what it was asked.
    final class Asker: GuardAsker {
        private let answer: @Sendable (GuardQuestion) throws -> GuardReply
        let questions = Mutex<[GuardQuestion]>([])

        init(_ answer: @escaping @Sendable (GuardQuestion) throws -> GuardReply) { self.answer = answer }

        func ask(_ question: GuardQuestion) async throws -> GuardReply {
            questions.withLock { $0.append(question) }
            return try answer(question)
        }
    }

    private func recorder(_ asker: Asker, failsOpen: Bool = false) -> Recorder {
        Recorder(settings: AgentSettings(remoteGuards: RemoteGuards(asker: asker, failsOpen: failsOpen)))
    }

    @Test("a rejection has the pairs of the evaluations, and the mark")
    func reject() async throws {
        let asker = Asker { _ in
            GuardReply(
                .reject(rule: "deny", reason: "destructive"),
                evaluations: [
                    .init(name: "audit", outcome: .allowed),
                    .init(name: "deny", outcome: .rejected(reason: "destructive")),
                ])
        }
        let recorder = self.recorder(asker)
        await recorder.runtime.withScope(.agent, "A") { scope in
            await #expect(throws: AgentKitError(.guardrailRejected, "destructive")) {
                try await scope.callTool("delete_file", ["path": "/"]) { _ in 1 }
            }
        }
        #expect(
            try recorder.outline == [
                "start agent A", "start guardrail audit", "end guardrail audit", "start guardrail deny",
                "end guardrail deny", "mark delete_file", "end agent A",
            ])
        let question = try #require(asker.questions.withLock { $0.first })
        #expect(question.name == "delete_file")
        #expect(question.agent == "A")
        #expect(question.parent == question.trajectory)
        #expect(question.call == .tool(arguments: ["path": "/"]))
        #expect(question.callID != nil)
    }

    @Test("a transformed call goes on with what it was transformed to")
    func transform() async throws {
        let recorder = self.recorder(Asker { _ in GuardReply(.transform(.tool(arguments: ["path": "/safe"]))) })
        try await recorder.runtime.currentScope.callTool("read", ["path": "/"]) { arguments in
            #expect(arguments == ["path": "/safe"])
            return 1
        }
        #expect(try recorder.event(.scopeStart, "read")?.data?.value == ["path": "/safe"])
    }

    @Test("the collectors get no credentials, and a transformed request keeps them")
    func credentials() async throws {
        let asker = Asker { _ in
            GuardReply(.transform(.llm(headers: JSONObject([("x", "2")]), content: ["model": "small"])))
        }
        let recorder = self.recorder(asker)
        let request = ModelRequest(headers: ["authorization": "s3cret", "x": "1"], content: ["model": "big"])
        try await recorder.runtime.currentScope.callModel("openai", request) { live in
            #expect(live.content == ["model": "small"])
            #expect(live.headers["authorization"] == "s3cret")
            #expect(live.headers["x"] == "2")
            return 1
        }
        #expect(
            asker.questions.withLock { $0.map(\.call) } == [
                .llm(headers: JSONObject([("x", "1")]), content: ["model": "big"])
            ])
    }

    @Test("no answer is an error of the guardrail: the call is aborted, without a mark", arguments: [false, true])
    func noAnswer(isAnswered: Bool) async throws {
        let asker = Asker { _ in
            if isAnswered { return GuardReply(.error(GuardFailure(.busy, "ask again"))) }
            throw AgentKitError(.connectionError, "nobody answers")
        }
        let closed = self.recorder(asker)
        await #expect(throws: AgentKitError.self) { try await closed.runtime.currentScope.callTool("t") { _ in 1 } }
        #expect(try closed.outline == ["start guardrail skein-guard", "end guardrail skein-guard"])
        #expect(try closed.event(.scopeEnd, "skein-guard")?.data?.value["allowed"] == false)
        #expect(try closed.event(.scopeEnd, "skein-guard")?.data?.value["error"] != nil)

        let open = self.recorder(asker, failsOpen: true)
        try await open.runtime.currentScope.callTool("t") { _ in 1 }
        #expect(
            try open.outline == [
                "start guardrail skein-guard", "end guardrail skein-guard", "start tool t", "end tool t",
            ])
    }
}
