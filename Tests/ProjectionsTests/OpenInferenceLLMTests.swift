import ATOF
import Projections
import Testing

@Suite("OpenInference model calls")
struct OpenInferenceLLMTests {
    private func span(
        name: String = "openai", input: String = "", inputProfile: String = "", output: String = "",
        outputProfile: String = ""
    ) throws -> ProjectedSpan {
        var run = Run(.openinference)
        try run.receive(
            Events.fields(.scopeStart, Events.uuid(1), name: name, category: "llm", data: input, profile: inputProfile))
        let end = Events.fields(
            .scopeEnd, Events.uuid(1), name: name, category: "llm", data: output, profile: outputProfile)
        return try #require(try run.receive(end).first)
    }

    @Test("without text show the input without its headers")
    func inputWithoutText() throws {
        let span = try span(input: #"{"headers":{"authorization":"secret"},"model":"m"}"#)
        #expect(
            span["input.value"] == .string(#"{"model":"m"}"#) && span["input.mime_type"] == .string("application/json"))
        #expect(span["llm.model_name"] == .string("m"))
    }

    @Test("write parameters in the order of the reference, with doubles as such")
    func invocationParameters() throws {
        let span = try span(
            input: #"{"headers":{},"content":{"messages":[],"stop":["x"],"top_p":1,"max_tokens":7,"temperature":0}}"#)
        #expect(
            span["llm.invocation_parameters"]
                == .string(#"{"temperature":0.0,"max_tokens":7,"top_p":1.0,"stop":["x"]}"#))
    }

    @Test("expand messages of several shapes")
    func messages() throws {
        let annotation = #"""
            {"annotated_request":{"instructions":"be kind","messages":[
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"},{"type":"tool_result","tool_use_id":"t2","content":{"a":1}}]},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"}]},
            {"role":"tool","tool_call_id":"c","content":""},
            {"role":"tool_call","call_id":"d","name":"f","arguments":{}},
            {"role":"tool_result","call_id":"d","output":[1]},
            {"role":"provider_native","provider":"x","kind":"k","value":{"role":"critic","content":"n"}}]}}
            """#
        let span = try span(inputProfile: annotation)
        let expected: [(String, String?, String?)] = [
            ("system", "be kind", nil), ("tool", "r", "t1"), ("tool", #"{"a":1}"#, "t2"), ("user", "a\nb", nil),
            ("tool", "", "c"),
            ("assistant", nil, nil), ("tool", "[1]", "d"), ("critic", "n", nil),
        ]
        for (index, (role, content, call)) in expected.enumerated() {
            let prefix = "llm.input_messages.\(index).message"
            #expect(span["\(prefix).role"] == .string(role))
            #expect(span["\(prefix).content"] == content.map { .string($0) })
            #expect(span["\(prefix).tool_call_id"] == call.map { .string($0) })
        }
        #expect(span["llm.input_messages.8.message.role"] == nil)
    }

    @Test("show what OpenClaw replays")
    func replay() throws {
        let span = try span(
            input:
                #"{"content":{"source":"openclaw.x","provider":"p","systemPrompt":"s","messages":[{"role":"user"}],"prompt":"q"}}"#,
            output: #"{"openclaw":1,"content":"done","tool_calls":[{"call_id":"c","toolName":"f","args":{"a":1}}]}"#)
        #expect(span["llm.provider"] == .string("p"))
        #expect(span["llm.input_messages.0.message.content"] == .string("s"))
        #expect(span["llm.input_messages.1.message.role"] == .string("user"))
        #expect(span["llm.input_messages.1.message.content"] == .string("q"))
        let message = "llm.output_messages.0.message"
        #expect(span["\(message).role"] == .string("assistant") && span["\(message).content"] == .string("done"))
        #expect(span["\(message).tool_calls.0.tool_call.id"] == .string("c"))
        #expect(span["\(message).tool_calls.0.tool_call.function.name"] == .string("f"))
        #expect(span["\(message).tool_calls.0.tool_call.function.arguments"] == .string(#"{"a":1}"#))
    }

    @Test(
        "count tokens, with the caches of Anthropic as input",
        arguments: [("other", 10, 15), ("Claude proxy", 17, 22), ("anthropic", 17, 22)] as [(String, Int64, Int64)])
    func usage(_ name: String, _ prompt: Int64, _ total: Int64) throws {
        let span = try span(
            name: name,
            output: #"{"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15,"cache_read_input_tokens":4},"#
                + #""token_usage":{"cache_creation_input_tokens":3}}"#)
        #expect(span["llm.token_count.prompt"] == .int(prompt) && span["llm.token_count.total"] == .int(total))
        #expect(span["llm.token_count.completion"] == .int(5))
        #expect(span["llm.token_count.prompt_details.cache_read"] == .int(4))
        #expect(span["llm.token_count.prompt_details.cache_write"] == .int(3))
    }

    @Test(
        "cost only what is in dollars",
        arguments: [
            (#"{"usage":{"cost_usd":0.5}}"#, 0.5), (#"{"usage":{"cost":{"total":1,"currency":"EUR"}}}"#, nil),
            (#"{"usage":{"cost":{"total":1,"currency":"EUR"}},"token_usage":{"cost":{"input":1,"output":2}}}"#, 3),
        ] as [(String, Double?)])
    func cost(_ output: String, _ cost: Double?) throws {
        #expect(try span(output: output)["llm.cost.total"] == cost.map { .double($0) })
    }
}
