import ATOF
import Testing

@testable import Projections

@Suite("gen_ai")
struct GenAITests {
    private func span(
        _ category: String, name: String = "n", data: String = "", metadata: String = "", profile: String = "",
        output: String = "", end: String = "", endProfile: String = "", compatibility: Compatibility = .skein
    ) throws -> ProjectedSpan {
        var configuration = ProjectionConfiguration(
            projection: .genAI, attributeMappings: [.init(key: "gen_ai.operation.name", alias: "op")],
            promoteMetadataPrefixes: ["app."])
        configuration.compatibility = compatibility
        var run = Run(configuration)
        try run.receive(
            Events.fields(
                .scopeStart, Events.uuid(1), name: name, category: category, data: data, metadata: metadata,
                profile: profile))
        let fields = Events.fields(
            .scopeEnd, Events.uuid(1), name: name, category: category, data: output, metadata: end,
            profile: endProfile)
        return try #require(try run.receive(fields).first)
    }

    @Test(
        "names operations by what an event's name says, whatever its capitals",
        arguments: [
            ("openai", "chat"), ("Generate_Content", "generate_content"), ("x.generateContent", "generate_content"),
            ("text-completion", "text_completion"), ("chat.completions", "chat"), ("", "chat"),
        ])
    func operations(_ name: String, _ operation: String) throws {
        let span = try span("llm", name: name)
        #expect(span.name == operation && span["gen_ai.operation.name"] == .string(operation))
    }

    @Test(
        "knows providers by names, then by the form of the request",
        arguments: [
            ("Azure OpenAI proxy", "", "azure.ai.openai"), ("my-Claude", "", "anthropic"),
            ("vertex", "", "gcp.vertex_ai"),
            ("gateway", "openai_responses", "openai"), ("gateway", "oci_genai", "oci.genai"),
            ("gateway", "gemini_generate_content", nil), ("gateway", "custom", nil),
            ("groq", "anthropic_messages", "groq"),
        ] as [(String, String, String?)])
    func providers(_ name: String, _ api: String, _ provider: String?) throws {
        let profile = api.isEmpty ? "" : #"{"annotated_request":{"messages":[],"api_specific":{"api":"\#(api)"}}}"#
        #expect(try span("llm", name: name, profile: profile)["gen_ai.provider.name"] == provider.map { .string($0) })
    }

    @Test(
        "tells what form of output a request asks for",
        arguments: [
            ("openai_chat", #""response_format":{"type":"json_schema"}"#, "", "json"),
            ("openai_chat", #""response_format":{"type":"text"},"modalities":["audio"]"#, "", "speech"),
            ("openai_chat", #""modalities":["text"]"#, "", "text"),
            ("openai_chat", #""modalities":["text","audio"]"#, "", nil),
            ("openai_chat", #""modalities":["image"]"#, "", nil),
            ("openai_responses", #""text":{"format":{"type":"json_object"}}"#, "", "json"),
            ("anthropic_messages", #""response_format":{"type":"json_object"}"#, "", nil),
            ("openai_chat", #""response_format":{"type":"json_object"}"#, #"{"gen_ai.output.type":"own"}"#, "own"),
            ("openai_chat", #""modalities":["text"]"#, #"{"gen_ai.output.type":" "}"#, "text"),
        ] as [(String, String, String, String?)])
    func outputTypes(_ api: String, _ members: String, _ metadata: String, _ expected: String?) throws {
        let profile = #"{"annotated_request":{"messages":[],"api_specific":{"api":"\#(api)",\#(members)}}}"#
        let span = try span("llm", metadata: metadata, profile: profile)
        #expect(span["gen_ai.output.type"] == expected.map { .string($0) })
        // Without a request nobody asked for anything.
        #expect(try self.span("llm", metadata: metadata)["gen_ai.output.type"] == nil)
    }

    @Test("lets a producer say how much a model is to think, and how much it did")
    func reasoning() throws {
        func span(_ effort: String, _ metadata: String, _ end: String) throws -> ProjectedSpan {
            try self.span(
                "llm", metadata: metadata,
                profile: #"{"annotated_request":{"messages":[],"reasoning":{"effort":"\#(effort)"}}}"#, end: end,
                endProfile:
                    #"{"annotated_response":{"message":"a","api_specific":{"output_tokens_details":{"reasoning_tokens":3}}}}"#
            )
        }
        let (level, tokens) = ("gen_ai.request.reasoning.level", "gen_ai.usage.reasoning.output_tokens")
        let said = try span("low", #"{"\#(level)":"md"}"#, #"{"usage":{"\#(tokens)":9}}"#)
        #expect(said[level] == .string("md") && said[tokens] == .int(9))
        let plain = try span("low", #"{"\#(level)":" "}"#, #"{"\#(tokens)":-1}"#)
        #expect(plain[level] == .string("low") && plain[tokens] == .int(3))
        #expect(try span(" ", "", "")[level] == nil)
    }

    @Test(
        "tells how embeddings are wanted",
        arguments: [
            (#"{"dimensions":256,"encoding_format":"float"}"#, 256, ["float"]),
            (#"{"request":{"dimensions":3,"encoding_formats":["a","","a"]}}"#, 3, ["a", "a"]),
            (
                #"{"gen_ai.embeddings.dimension.count":0,"dimensions":1.0,"encoding_formats":[],"encoding_format":"f"}"#,
                nil, ["f"]
            ),
            (#"{"dimensions":"2","encoding_formats":["a",1],"encoding_format":" "}"#, nil, nil),
        ] as [(String, Int64?, [String]?)])
    func embeddings(_ data: String, _ dimensions: Int64?, _ formats: [String]?) throws {
        let span = try span("embedder", data: data)
        #expect(span["gen_ai.embeddings.dimension.count"] == dimensions.map { .int($0) })
        #expect(span["gen_ai.request.encoding_formats"] == formats.map { .strings($0) })
    }

    @Test("looks into a producer's own keys, the metadata and the payload, in this order, and into nested objects")
    func lookup() throws {
        let data = #"{"conversation_id":"d","request":{"agent_description":7},"server.port":"no"}"#
        #expect(try span("agent", data: data)["gen_ai.conversation.id"] == .string("d"))
        #expect(try span("agent", data: data)["gen_ai.agent.description"] == .string("7"))
        let metadata = #"{"conversation_id":"m"}"#
        #expect(try span("agent", data: data, metadata: metadata)["gen_ai.conversation.id"] == .string("m"))
        let profile = #"{"thread_id":"p"}"#
        #expect(
            try span("agent", data: data, metadata: metadata, profile: profile)["gen_ai.conversation.id"]
                == .string("p"))
        // A value that does not fit leads to the next key, not to the next place of the same key.
        #expect(
            try span("retriever", data: #"{"server.port":1.0,"server_port":2}"#)["server.port"] == .int(2))
        // What ATOF defines in the profile is no key of the producer's.
        #expect(try span("embedder", profile: #"{"model_name":"m","model":null}"#).name == "embeddings m")
    }

    @Test("never takes what a model says to a tool for what the tool is")
    func toolArguments() throws {
        let span = try span(
            "tool", name: "search", data: #"{"gen_ai.tool.name":"x","description":"y","session_id":"z"}"#)
        #expect(span.name == "execute_tool search" && span.attributes.count == 3)
    }

    @Test(
        "keeps results of tools that did not fail",
        arguments: [
            ("1", #"{"otel.status_code":"OK"}"#, "1"), ("1", #"{"otel.status_code":"ERROR"}"#, nil), ("null", "", nil),
            (#""t""#, #"{"otel.status_code":"error"}"#, nil), (#""t""#, #"{"otel.status_code":5}"#, #""t""#),
        ] as [(String, String, String?)])
    func toolResults(_ output: String, _ end: String, _ result: String?) throws {
        #expect(
            try span("tool", output: output, end: end)["gen_ai.tool.call.result"] == result.map { .string($0) })
    }

    @Test(
        "types errors whose code is not in capitals, too, without the status",
        arguments: [
            (#"{"otel.status_code":"Error"}"#, "_OTHER"), (#"{"otel.status_code":"error","error_type":5}"#, "5"),
            (#"{"otel.status_code":"OK","error_type":"x"}"#, nil), (#"{"otel.status_code":2}"#, nil),
        ] as [(String, String?)])
    func looseErrors(_ end: String, _ type: String?) throws {
        let span = try span("function", end: end)
        #expect(span["error.type"] == type.map { .string($0) })
        #expect(span.status == (type == nil && end.contains("OK") ? .ok : .unset))
    }

    @Test("promotes metadata, and maps no attributes: the names are the conventions'")
    func promotion() throws {
        let span = try span("function", metadata: #"{"app.a":1}"#, end: #"{"app.b":[true]}"#)
        #expect(span.attributes == [Attribute("app.a", .int(1)), Attribute("app.b", .bools([true]))])
        #expect(try self.span("agent")["op"] == nil)
    }

    @Test("takes a custom scope for an invocation when it is a turn")
    func turns() throws {
        #expect(try span("custom", metadata: #"{"nemo_relay_scope_role":"turn"}"#).name == "invoke_agent")
        #expect(
            try span("custom", metadata: #"{"nemo_relay_scope_role":"turn","gen_ai.agent.name":"a"}"#).name
                == "invoke_agent a")
        #expect(try span("custom", metadata: #"{"nemo_relay_scope_role":"step"}"#).attributes.isEmpty)
    }

    @Test("writes messages of every role and parts of every kind")
    func messages() throws {
        let profile = #"""
            {"annotated_request":{"messages":[
            {"role":"user","name":"bob","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"},
            {"type":"file","file":{"id":1},"x":2}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[1],"is_error":true}]},
            {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
            {"id":"d","type":"function","function":{"name":"g","arguments":"{bad"}}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"u","name":"h","input":null}]},
            {"role":"tool","tool_call_id":"c","content":""},
            {"role":"function","name":"old","content":null},
            {"role":"tool_call","call_id":"e","name":"k","arguments":"raw"},
            {"role":"tool_result","call_id":"e","output":{"b":1}},
            {"role":"provider_native","provider":"x","kind":"k","value":{"role":"critic","type":"was","z":1}},
            {"role":"provider_native","provider":"x","kind":"k","value":3}]}}
            """#
        let expected = [
            #"{"name":"bob","parts":[{"content":"a","type":"text"},{"content":"b","type":"text"},"#
                + #"{"file":{"id":1},"type":"file","x":2}],"role":"user"}"#,
            #"{"parts":[{"id":"t","response":[1],"type":"tool_call_response"}],"role":"tool"}"#,
            #"{"parts":[{"arguments":{"a":1},"id":"c","name":"f","type":"tool_call"},"#
                + #"{"arguments":"{bad","id":"d","name":"g","type":"tool_call"}],"role":"assistant"}"#,
            #"{"parts":[{"arguments":null,"id":"u","name":"h","type":"tool_call"}],"role":"assistant"}"#,
            #"{"parts":[{"id":"c","response":"","type":"tool_call_response"}],"role":"tool"}"#,
            #"{"name":"old","parts":[{"response":null,"type":"tool_call_response"}],"role":"tool"}"#,
            #"{"parts":[{"arguments":"raw","id":"e","name":"k","type":"tool_call"}],"role":"assistant"}"#,
            #"{"parts":[{"id":"e","response":{"b":1},"type":"tool_call_response"}],"role":"tool"}"#,
            #"{"parts":[{"role":"critic","type":"k","z":1}],"role":"critic"}"#,
            #"{"parts":[{"content":3,"type":"k"}],"role":"provider_native"}"#,
        ]
        #expect(
            try span("llm", profile: profile)["gen_ai.input.messages"]
                == .string("[\(expected.joined(separator: ","))]"))
    }

    @Test(
        "writes an answer only when there is something in it",
        arguments: [
            (
                #"{"message":""}"#,
                #"[{"finish_reason":"unknown","parts":[{"content":"","type":"text"}],"role":"assistant"}]"#
            ),
            (#"{"message":[],"tool_calls":[],"finish_reason":"complete"}"#, nil),
            (
                #"{"finish_reason":{"unknown":"odd"},"tool_calls":[{"id":"i","name":"f","arguments":"x"}]}"#,
                #"[{"finish_reason":"odd","parts":[{"arguments":"x","id":"i","name":"f","type":"tool_call"}],"role":"assistant"}]"#
            ),
        ] as [(String, String?)])
    func answers(_ response: String, _ expected: String?) throws {
        let span = try span("llm", endProfile: #"{"annotated_response":\#(response)}"#)
        #expect(span["gen_ai.output.messages"] == expected.map { .string($0) })
    }

    @Test("leaves out counts that OTLP cannot tell")
    func hugeCounts() throws {
        let span = try span(
            "llm", profile: #"{"annotated_request":{"messages":[],"params":{"max_tokens":18446744073709551615}}}"#,
            endProfile: #"{"annotated_response":{"usage":{"prompt_tokens":9223372036854775808,"completion_tokens":1}}}"#
        )
        #expect(span["gen_ai.request.max_tokens"] == nil && span["gen_ai.usage.input_tokens"] == nil)
        #expect(span["gen_ai.usage.output_tokens"] == .int(1))
    }
}
