import ATOF
import LLMCodecs
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

    private struct Told: Sendable {
        let name: String
        /// What the provider got.
        let body: String
        /// Attributes below `llm.input_messages.`, beside those that the reference has.
        let told: [String: String]
    }

    private static let call = ".message.tool_calls.0.tool_call"

    private static let histories = [
        Told(
            name: "calls among Anthropic's blocks",
            body: #"""
                {"system":"s","messages":[{"role":"assistant","content":[{"type":"text","text":"a"},
                {"type":"tool_use","id":"c1","name":"f","input":{"q":1}}]}]}
                """#,
            told: [
                "1.message.content": "a", "1\(call).id": "c1", "1\(call).function.name": "f",
                "1\(call).function.arguments": #"{"q":1}"#,
            ]),
        Told(
            name: "results beside text",
            body: #"""
                {"system":"s","messages":[{"role":"user","content":[
                {"type":"tool_result","tool_use_id":"c1","content":"r"},{"type":"text","text":"go on"}]}]}
                """#,
            told: [
                "1.message.role": "tool", "1.message.content": "r", "1.message.tool_call_id": "c1",
                "2.message.role": "user", "2.message.content": "go on",
            ]),
        Told(
            name: "calls beside a refusal that is null",
            body: #"""
                {"messages":[{"role":"assistant","content":null,"refusal":null,"tool_calls":[
                {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"},"index":0}]},
                {"role":"tool","tool_call_id":"c1","content":"r","name":"f"}]}
                """#,
            told: [
                "0.message.role": "assistant", "0\(call).id": "c1", "0\(call).function.name": "f",
                "0\(call).function.arguments": "{}", "1.message.content": "r", "1.message.tool_call_id": "c1",
            ]),
        Told(
            name: "a custom tool's call",
            body: #"""
                {"messages":[{"role":"assistant","content":"a","tool_calls":[
                {"id":"c1","type":"custom","custom":{"name":"f","input":"x y"}}]}]}
                """#,
            told: ["0\(call).function.name": "f", "0\(call).function.arguments": "x y", "0.message.content": "a"]),
        Told(
            name: "an image of a message with further members",
            body: #"""
                {"messages":[{"role":"user","cache":1,"content":[
                {"type":"image_url","image_url":{"url":"https://a/b.png"}},{"type":"text","text":"t"}]}]}
                """#,
            told: [
                "0.message.content": "t", "0.message.contents.0.message_content.image.image.url": "https://a/b.png",
                "0.message.contents.1.message_content.text": "t",
            ]),
        Told(
            name: "Gemini's data and files",
            body: #"""
                {"contents":[{"role":"user","parts":[{"text":"t"},
                {"inlineData":{"mimeType":"image/png","data":"QQ=="}},
                {"fileData":{"mimeType":"image/png","fileUri":"gs://b/i"}},
                {"inlineData":{"mimeType":"audio/wav","data":"QQ=="}},
                {"fileData":{"mimeType":"application/pdf","fileUri":"gs://b/p"}}]}]}
                """#,
            told: [
                "0.message.contents.0.message_content.text": "t",
                "0.message.contents.1.message_content.type": "image",
                "0.message.contents.1.message_content.image.image.url": "data:image/png;base64,QQ==",
                "0.message.contents.2.message_content.image.image.url": "gs://b/i",
                "0.message.contents.3.message_content.audio": #"{"data":"QQ==","mimeType":"audio/wav"}"#,
                "0.message.contents.4.message_content.type": "file",
                "0.message.contents.4.message_content.file": #"{"fileUri":"gs://b/p","mimeType":"application/pdf"}"#,
            ]),
        Told(
            name: "OCI's images",
            body: #"""
                {"compartmentId":"c","chatRequest":{"apiFormat":"GENERIC","messages":[{"role":"USER","content":[
                {"type":"TEXT","text":"t"},{"type":"IMAGE","imageUrl":{"url":"https://a/i"}}]}]}}
                """#,
            told: [
                "0.message.contents.0.message_content.text": "t",
                "0.message.contents.1.message_content.type": "image",
                "0.message.contents.1.message_content.image.image.url": "https://a/i",
            ]),
        Told(
            name: "an image in the provider's store",
            body: #"{"input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}]}"#,
            told: [
                "0.message.contents.0.message_content.type": "image",
                "0.message.contents.0.message_content.image": #"{"file_id":"file-1"}"#,
            ]),
        Told(
            name: "a Responses message that was an answer",
            body: #"""
                {"input":[{"type":"message","id":"m","status":"completed","role":"assistant",
                "content":[{"type":"output_text","text":"a","annotations":[]}]}]}
                """#,
            told: ["0.message.role": "assistant", "0.message.content": "a"]),
    ]

    @Test("tell the whole of what was said before", arguments: histories)
    private func history(_ sample: Told) throws {
        let span = try span(input: #"{"headers":{},"content":\#(sample.body)}"#)
        for (key, value) in sample.told {
            #expect(span["llm.input_messages.\(key)"] == .string(value), "\(sample.name): \(key)")
        }
        let prefixes = Set(sample.told.keys.map { $0.prefix { $0 != "." } })
        let roles = span.attributes.filter { $0.key.hasSuffix(".message.role") && $0.key.contains("input") }
        #expect(Int(prefixes.max() ?? "") == roles.count - 1, "\(sample.name)")
    }

    @Test(
        "cost what the model costs that was asked for, if nobody has a price for the one that answered",
        arguments: Compatibility.allCases, ["", #""model":"other","#])
    func requestedModel(_ compatibility: Compatibility, _ answered: String) throws {
        var configuration = ProjectionConfiguration(projection: .openinference)
        configuration.compatibility = compatibility
        configuration.pricing = PricingSources([
            try PricingCatalog([
                "version": 1,
                "entries": [
                    [
                        "provider": "openai", "model_id": "m", "pricing_as_of": "x", "pricing_source": "x",
                        "rates": ["input_per_million": 1_000_000, "output_per_million": 1],
                        "prompt_cache": ["read_accounting": "included_in_prompt_tokens"],
                    ],
                    [
                        "provider": "openai", "model_id": "dear", "pricing_as_of": "x", "pricing_source": "x",
                        "rates": ["input_per_million": 2_000_000, "output_per_million": 1],
                        "prompt_cache": ["read_accounting": "included_in_prompt_tokens"],
                    ],
                ],
            ])
        ])
        var run = Run(configuration)
        try run.receive(
            Events.fields(.scopeStart, Events.uuid(1), category: "llm", data: #"{"model":"m","prompt":"p"}"#))
        let end = Events.fields(
            .scopeEnd, Events.uuid(1), category: "llm", data: #"{\#(answered)"usage":{"prompt_tokens":2}}"#)
        let span = try #require(try run.receive(end).first)
        #expect(span["llm.cost.total"] == (compatibility == .skein ? .double(2) : nil))
        // Gemini's thinking is billed as output, whoever finds the price.
        try run.receive(Events.fields(.scopeStart, Events.uuid(3), category: "llm", profile: #"{"model_name":"m"}"#))
        let thinking = Events.fields(
            .scopeEnd, Events.uuid(3), category: "llm",
            profile: #"""
                {"model_name":"m","annotated_response":{"message":"a","usage":{"prompt_tokens":1,"completion_tokens":1000000},
                "api_specific":{"thoughts_tokens":2000000}}}
                """#)
        let cost = try run.receive(thinking).first?["llm.cost.total"]
        #expect(cost == .double(compatibility == .skein ? 4 : 2))
        // What has a price by what the end says costs that, whatever was asked for.
        try run.receive(
            Events.fields(.scopeStart, Events.uuid(2), category: "llm", data: #"{"model":"m","prompt":"p"}"#))
        let priced = Events.fields(
            .scopeEnd, Events.uuid(2), category: "llm", data: #"{"model":"dear","usage":{"prompt_tokens":2}}"#,
            profile: #"{"annotated_response":{"model":"other","usage":{"prompt_tokens":2}}}"#)
        #expect(try run.receive(priced).first?["llm.cost.total"] == .double(4))
    }

    @Test("show what OpenClaw replays")
    func replay() throws {
        let span = try span(
            input:
                #"{"content":{"source":"openclaw.x","provider":"p","systemPrompt":"s","messages":[{"role":"user"}],"prompt":"q"}}"#,
            output: #"{"openclaw":{},"content":"done","tool_calls":[{"call_id":"c","toolName":"f","args":{"a":1}}]}"#)
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

    @Test("take nothing else for a replay", arguments: ["1", "null", "[]", #""s""#])
    func noReplay(_ value: String) throws {
        let span = try span(output: #"{"openclaw":\#(value),"content":"c"}"#)
        #expect(span["llm.output_messages.0.message.content"] == nil)
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
