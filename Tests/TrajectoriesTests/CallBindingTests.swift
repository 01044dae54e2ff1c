import ATOF
import Testing
import Trajectories

/// Which call of which step a tool's result goes to, where ids are used again or missing.
@Suite("Tools and their calls")
struct CallBindingTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let events: [EventFields]
        /// Calls of the steps with what they got, `name(arguments)=result`; results without a call.
        let expected: [String]

        init(_ description: String, _ events: [EventFields], _ expected: [String]) {
            testDescription = description
            self.events = events
            self.expected = expected
        }
    }

    private static func call(_ id: String?, _ name: String, _ number: Int) -> JSONValue {
        var call = JSONObject([("name", .string(name)), ("arguments", ["n": .int(Int64(number))])])
        call["id"] = id.map { .string($0) }
        return .object(call)
    }

    private static func start(_ number: Int, at second: Int64) -> EventFields {
        Sample.fields(.scopeStart, number, in: 1, "llm", at: second, data: ["prompt": "p"])
    }

    private static func end(_ number: Int, at second: Int64, _ calls: JSONValue...) -> EventFields {
        Sample.fields(.scopeEnd, number, in: 1, "llm", at: second, data: ["answer": "", "tool_calls": .array(calls)])
    }

    private static func tool(
        _ number: Int, _ name: String, _ argument: Int, at second: Int64, until end: Int64? = nil, id: String? = nil
    ) -> [EventFields] {
        let profile: JSONValue = id.map { ["tool_call_id": .string($0)] } ?? [:]
        return [
            Sample.fields(
                .scopeStart, number, in: 1, "tool", at: second, name: name, data: ["n": .int(Int64(argument))],
                profile: profile),
            Sample.fields(
                .scopeEnd, number, in: 1, "tool", at: end ?? second, name: name,
                data: .string("\(name)\(argument)"), profile: profile),
        ]
    }

    private static let gemini: JSONValue = [
        "candidates": [
            [
                "content": [
                    "role": "model",
                    "parts": [
                        ["functionCall": ["name": "w", "args": ["n": 1]]],
                        ["functionCall": ["name": "w", "args": ["n": 2]]],
                    ],
                ]
            ]
        ]
    ]

    static let cases: [Case] = [
        Case(
            "an id that nobody asked for goes with an open call that is equal",
            [end(2, at: 2, call("x", "f", 1), call("y", "f", 2))] + tool(5, "f", 2, at: 3, id: "fw-1"),
            ["f(1)=", "f(2)=f2"]),
        Case(
            "an id that nobody asked for is a call of its own where none is equal",
            [end(2, at: 2, call("x", "f", 1))] + tool(5, "f", 3, at: 3, id: "fw-1"), ["f(1)=", "f(3)=f3"]),
        Case(
            "two calls of an answer with one id, which the tools have too",
            [end(2, at: 2, call("x", "f", 1), call("x", "g", 2))] + tool(5, "f", 1, at: 3, id: "x")
                + tool(6, "g", 2, at: 4, id: "x"),
            ["f(1)=f1", "g(2)=g2"]),
        Case(
            "the same, the second first",
            [end(2, at: 2, call("x", "f", 1), call("x", "g", 2))] + tool(6, "g", 2, at: 3, id: "x")
                + tool(5, "f", 1, at: 4, id: "x"),
            ["f(1)=f1", "g(2)=g2"]),
        Case(
            "the same by arguments, without ids at the tools",
            [end(2, at: 2, call("x", "f", 1), call("x", "f", 2))] + tool(6, "f", 2, at: 3) + tool(5, "f", 1, at: 4),
            ["f(1)=f1", "f(2)=f2"]),
        Case(
            "the same, and the tools ran before the model's call ended",
            tool(6, "g", 2, at: 1, id: "x") + tool(5, "f", 1, at: 1, id: "x")
                + [end(2, at: 2, call("x", "f", 1), call("x", "g", 2))],
            ["f(1)=f1", "g(2)=g2"]),
        Case(
            "parallel calls of Gemini, which have no ids",
            [Sample.fields(.scopeEnd, 2, in: 1, "llm", at: 2, data: gemini)] + tool(6, "w", 2, at: 3)
                + tool(5, "w", 1, at: 4),
            ["w(1)=w1", "w(2)=w2"]),
        Case(
            "a tool that ends after its id was asked for again",
            [start(2, at: 1), end(2, at: 2, call("x", "f", 1))] + tool(5, "f", 1, at: 3, until: 6, id: "x")
                + [start(3, at: 4), end(3, at: 5, call("x", "f", 2))] + tool(6, "f", 2, at: 7, id: "x"),
            ["f(1)=f1", "f(2)=f2"]),
        Case(
            "an id that every answer has, with tools one after the other",
            [end(2, at: 1, call("x", "f", 1))] + tool(5, "f", 1, at: 2, id: "x")
                + [end(3, at: 3, call("x", "f", 1))] + tool(6, "f", 1, at: 4, id: "x")
                + [end(4, at: 5, call("x", "f", 3))] + tool(7, "f", 3, at: 6, id: "x"),
            ["f(1)=f1", "f(1)=f1", "f(3)=f3"]),
        Case(
            "a call that never ran, whose id the next answer has",
            [end(2, at: 1, call("x", "f", 1)), end(3, at: 3, call("x", "f", 2))]
                + tool(6, "f", 2, at: 4, id: "x"),
            ["f(1)=", "f(2)=f2"]),
        Case(
            "the same, and the tool of the first answer runs then",
            [end(2, at: 1, call("x", "f", 1)), end(3, at: 3, call("x", "f", 2))]
                + tool(6, "f", 1, at: 4, id: "x"),
            ["f(1)=f1", "f(2)="]),
        Case(
            "equal calls of the answer that has the id again",
            [end(2, at: 1, call("x", "f", 1)), end(3, at: 3, call("x", "f", 2), call("x", "f", 2))]
                + tool(6, "f", 2, at: 4, id: "x"),
            ["f(1)=", "f(2)=f2", "f(2)="]),
        Case(
            "an id that looks like those that are made of one that is used again",
            [
                end(2, at: 1, call("x", "f", 1)), end(3, at: 2, call("x:2", "f", 2)), end(4, at: 3, call("x", "f", 3)),
            ] + tool(5, "f", 2, at: 4, id: "x:2") + tool(6, "f", 3, at: 5, id: "x"),
            ["f(1)=", "f(2)=f2", "f(3)=f3"]),
        Case(
            "a tool without an id that starts while the next model call runs",
            [start(2, at: 1), end(2, at: 2, call("c", "f", 1)), start(3, at: 3)] + tool(5, "f", 9, at: 4)
                + [end(3, at: 5)],
            ["f(1)=f9"]),
        Case(
            "tools whose name was asked for twice with other arguments: either may be meant",
            [end(2, at: 2, call("c", "f", 1), call("d", "f", 2))] + tool(5, "f", 9, at: 3), ["f(1)=", "f(2)=", "=f9"]),
        Case(
            "the same, and another call has that id meanwhile",
            tool(5, "f", 2, at: 2) + [end(2, at: 3, call("x", "g", 1)), end(3, at: 4, call("x", "f", 2))],
            ["g(1)=", "f(2)=f2"]),
        Case(
            "a tool without an id that an answer to come asks for",
            [end(2, at: 1, call("c", "g", 1))] + tool(5, "f", 2, at: 2) + [end(3, at: 3, call("d", "f", 2))],
            ["g(1)=", "f(2)=f2"]),
    ]

    @Test("find each other", arguments: cases)
    func results(_ example: Case) throws {
        let opener = Sample.fields(.scopeStart, 1, in: 90, "agent", name: "root")
        let document = TrajectoryBuilder(
            origin: .manual(sessionID: "s"), agent: AgentDescription(name: "a", version: "1"), compatibility: .skein
        ).document(of: try Sample.events([opener] + example.events))
        #expect(DocumentValidator.findings(in: document).isEmpty)
        var found: [String] = []
        var ids: Set<String> = []
        for step in document["steps"]?.arrayValue ?? [] {
            var results = step["observation"]?["results"]?.arrayValue ?? []
            var executions = step["extra"]?["tool_invocations"]?.arrayValue ?? []
            for call in step["tool_calls"]?.arrayValue ?? [] {
                let id = try #require(call["tool_call_id"]?.stringValue)
                #expect(ids.insert(id).inserted)
                let own = results.filter { $0["source_call_id"]?.stringValue == id }
                results.removeAll { $0["source_call_id"]?.stringValue == id }
                #expect(executions.filter { $0["invocation_id"]?.stringValue == id }.count == own.count)
                executions.removeAll { $0["invocation_id"]?.stringValue == id }
                #expect(own.allSatisfy { $0["extra"]?["other_results"] == nil })
                let texts = own.compactMap { $0["content"]?.stringValue }.joined(separator: ",")
                let name = call["function_name"]?.stringValue ?? ""
                found.append("\(name)(\(call["arguments"]?["n"]?.int64Value ?? 0))=\(texts)")
            }
            #expect(executions.isEmpty)
            found += results.map { "=" + ($0["content"]?.stringValue ?? "") }
        }
        #expect(found == example.expected)
    }

    @Test("keep the id that they came with beside the one that they have in the document")
    func askedID() throws {
        let fields =
            [Self.end(2, at: 1, Self.call("x", "f", 1))] + Self.tool(5, "f", 1, at: 2, id: "x")
            + [Self.end(3, at: 3, Self.call("x", "f", 2))] + Self.tool(6, "f", 2, at: 4, id: "x")
        let steps = TrajectoryBuilder(
            origin: .manual(sessionID: "s"), agent: AgentDescription(name: "a", version: "1"), compatibility: .skein
        ).document(of: try Sample.events(fields))["steps"]
        #expect(steps?[0]?["tool_calls"]?[0]?["tool_call_id"] == "x")
        #expect(steps?[1]?["tool_calls"]?[0]?["tool_call_id"] == "x:2")
        #expect(steps?[1]?["tool_calls"]?[0]?["extra"]?["tool_call_id"] == "x")
        #expect(steps?[1]?["extra"]?["tool_invocations"]?[0]?["invocation_id"] == "x:2")
    }
}
