import ATOF
import Testing
import Trajectories

/// Agents below agents, where the reference's document is wrong (`docs/deviations.md`).
@Suite("Deviations of subagents")
struct SubagentDeviationTests {
    private func document(_ fields: [EventFields], opener: Int? = 1, _ compatibility: Compatibility = .skein) throws
        -> JSONValue
    {
        let document = TrajectoryBuilder(
            origin: opener.map { .dispatcher(opener: Sample.uuid($0)) } ?? .manual(sessionID: "s"),
            agent: AgentDescription(name: "configured", version: "1"), compatibility: compatibility
        ).document(of: try Sample.events(fields))
        if compatibility == .skein { #expect(DocumentValidator.findings(in: document).isEmpty) }
        return document
    }

    private static func answer(_ number: Int, in parent: Int, at second: Int64, _ text: String = "a", tokens: Int64 = 1)
        -> EventFields
    {
        Sample.fields(
            .scopeEnd, number, in: parent, "llm", at: second,
            data: ["answer": .string(text), "usage": ["prompt_tokens": .int(tokens)]])
    }

    private static let opener = Sample.fields(.scopeStart, 1, in: 90, "agent", name: "root")
    private static let turn: JSONValue = ["nemo_relay_scope_role": "turn"]

    @Test("names a subagent by its scope, and counts what it used")
    func identity() throws {
        let fields = [
            Self.opener, Self.answer(2, in: 1, at: 1, tokens: 2),
            Sample.fields(.scopeStart, 3, in: 1, "agent", at: 2, name: "child"),
            Self.answer(4, in: 3, at: 3, tokens: 5),
        ]
        let strict = try document(fields, .strict)
        #expect(strict["subagent_trajectories"]?[0]?["agent"]?["name"] == "configured")
        #expect(strict["final_metrics"]?["total_prompt_tokens"] == 2)
        #expect(strict["notes"] == nil)
        let skein = try document(fields)
        #expect(skein["agent"]?["name"] == "configured")
        #expect(skein["subagent_trajectories"]?[0]?["agent"]?["name"] == "child")
        #expect(skein["final_metrics"]?["total_prompt_tokens"] == 7)
        #expect(skein["final_metrics"]?["total_steps"] == 2)
        #expect(skein["notes"] != nil)
    }

    @Test("dispatches a subagent once whose start comes twice")
    func startedTwice() throws {
        func child(at second: Int64) -> EventFields {
            Sample.fields(.scopeStart, 3, in: 1, "agent", at: second, name: "child")
        }
        let fields = [
            Self.opener, Self.answer(2, in: 1, at: 1), child(at: 2), Self.answer(4, in: 3, at: 3), child(at: 4),
        ]
        #expect(try document(fields, .strict)["steps"]?.arrayValue?.count == 3)
        #expect(try document(fields)["steps"]?.arrayValue?.count == 2)
    }

    @Test("leaves out a subagent without steps")
    func empty() throws {
        let fields = [
            Self.opener, Self.answer(2, in: 1, at: 1), Sample.fields(.scopeStart, 3, in: 1, "agent", at: 2),
            Sample.fields(.scopeEnd, 3, in: 1, "agent", at: 3),
        ]
        #expect(try document(fields, .strict)["subagent_trajectories"]?[0]?["steps"] == [])
        #expect(try document(fields)["subagent_trajectories"] == nil)
    }

    @Test("keeps a subagent without steps that failed or hangs", arguments: [true, false])
    func emptyFailure(hangs: Bool) throws {
        let end = Sample.fields(.scopeEnd, 3, in: 1, "agent", at: 3, metadata: ["otel.status_code": "ERROR"])
        let fields = [Self.opener, Self.answer(2, in: 1, at: 1), Sample.fields(.scopeStart, 3, in: 1, "agent", at: 2)]
        let document = try document(hangs ? fields : fields + [end])
        let embedded = document["subagent_trajectories"]?[0]
        #expect(embedded?["steps"]?.arrayValue?.count == 1)
        #expect(embedded?["extra"]?["unended_scopes"]?.arrayValue?.count == (hangs ? 1 : nil))
        #expect(hangs || embedded?["extra"]?["error"] == ["description": "failed without a description"])
        #expect(DocumentValidator.findings(in: document).isEmpty)
    }

    @Test("says of agents side by side what failed and what hangs")
    func sideBySide() throws {
        let fields = [
            Sample.fields(.scopeStart, 1, in: 90, "agent", at: 0), Self.answer(2, in: 1, at: 1),
            Sample.fields(.scopeEnd, 1, in: 90, "agent", at: 2), Sample.fields(.scopeStart, 3, in: 91, "agent", at: 3),
            Sample.fields(.scopeEnd, 3, in: 91, "agent", at: 4, metadata: ["otel.status_code": "ERROR"]),
            Sample.fields(.scopeStart, 4, in: 92, "agent", at: 5),
        ]
        let extra = try document(fields, opener: nil)["extra"]
        let description = extra?["error"]?["description"]?.stringValue
        #expect(description?.hasSuffix(": failed without a description") == true)
        #expect(extra?["unended_scopes"]?.arrayValue?.count == 1)
    }

    @Test("finds the tool that a subagent runs in, whichever started last")
    func parallelDelegation() throws {
        func tool(_ number: Int, at second: Int64) -> EventFields {
            Sample.fields(
                .scopeStart, number, in: 1, "tool", at: second, data: [:],
                profile: ["tool_call_id": .string("c\(number)")])
        }
        let fields = [
            Self.opener, Self.answer(2, in: 1, at: 1), tool(3, at: 2), tool(4, at: 3),
            Sample.fields(.scopeStart, 5, in: 3, "agent", at: 4), Self.answer(6, in: 5, at: 5),
        ]
        func delegating(_ compatibility: Compatibility) throws -> JSONValue? {
            try document(fields, compatibility)["steps"]?[0]?["observation"]?["results"]?[0]?["source_call_id"]
        }
        #expect(try delegating(.strict) == "c4")
        #expect(try delegating(.skein) == "c3")
    }

    @Test("keeps the subagents of a turn apart from it")
    func turnOpener() throws {
        let fields = [
            Sample.fields(.scopeStart, 1, in: 90, "custom", at: 0, metadata: Self.turn),
            Self.answer(2, in: 1, at: 1, "own"),
            Sample.fields(.scopeStart, 3, in: 1, "agent", at: 2, name: "child"),
            Self.answer(4, in: 3, at: 3, "child's"),
            Self.answer(5, in: 1, at: 4, "own again"),
        ]
        let strict = try document(fields, .strict)
        #expect(strict["steps"]?.arrayValue?.map { $0["message"] } == ["own", "child's", "own again"])
        let skein = try document(fields)
        #expect(skein["steps"]?.arrayValue?.map { $0["message"] } == ["own", "", "own again"])
        #expect(skein["subagent_trajectories"]?[0]?["steps"]?[0]?["message"] == "child's")
    }

    @Test("gives what belongs to no agent to the opener, without giving up the tree")
    func orphans() throws {
        let fields = [
            Self.opener, Self.answer(2, in: 1, at: 1, "own"),
            Sample.fields(.scopeStart, 3, in: 1, "agent", at: 2), Self.answer(4, in: 3, at: 3, "child's"),
            Self.answer(5, in: 77, at: 4, "orphan"), Sample.fields(.scopeStart, 6, in: 78, "agent", at: 5),
            Self.answer(7, in: 6, at: 6, "orphan agent's"),
        ]
        #expect(try document(fields, .strict)["subagent_trajectories"] == nil)
        let skein = try document(fields)
        #expect(skein["steps"]?.arrayValue?.map { $0["message"] } == ["own", "", "orphan", ""])
        #expect(
            skein["subagent_trajectories"]?.arrayValue?.map { $0["steps"]?[0]?["message"] }
                == ["child's", "orphan agent's"])
    }

    @Test("joins agents that follow each other without an opener, and keeps theirs apart")
    func session() throws {
        let fields = [
            Self.opener, Self.answer(2, in: 1, at: 1, "first"),
            Sample.fields(.scopeStart, 3, in: 90, "agent", at: 2), Self.answer(4, in: 3, at: 3, "second"),
            Sample.fields(.scopeStart, 5, in: 3, "agent", at: 4), Self.answer(6, in: 5, at: 5, "below"),
        ]
        let strict = try document(fields, opener: nil, .strict)
        #expect(strict["steps"]?.arrayValue?.map { $0["message"] } == ["first", "second", "below"])
        let skein = try document(fields, opener: nil)
        #expect(skein["steps"]?.arrayValue?.map { $0["message"] } == ["first", "second", ""])
        #expect(skein["subagent_trajectories"]?.arrayValue?.count == 1)
    }
}
