import ATOF
import Testing

@testable import Projections

/// What is exported, beside what the conventions say.
@Suite("Conventions for generative AI")
struct GenAIConventionsTests {
    private static let names = Dictionary(uniqueKeysWithValues: GenAIConventions.all.map { ($0.key, $0) })

    @Test("have each name once, in the namespaces that they may use")
    func table() {
        #expect(Set(GenAIConventions.all.map(\.key)).count == GenAIConventions.all.count)
        for name in GenAIConventions.all {
            #expect(["gen_ai.", "server.", "error."].contains { name.key.hasPrefix($0) }, "\(name.key)")
            #expect(!name.requirements.isEmpty, "\(name.key)")
        }
        #expect(!GenAIConventions.version.isEmpty)
    }

    @Test("hold for the spans of recorded cases", arguments: recordedCases + recordedGenAICases)
    func recorded(_ name: String) throws {
        var run = Run(.genAI)
        for packed in try Events.ofCase(name) { try run.receive(packed: packed) }
        #expect(!run.spans.isEmpty)
        for span in run.spans { try check(span) }
    }

    @Test("hold for the reference's own spans", arguments: recordedCases + recordedGenAICases)
    func reference(_ name: String) throws {
        var found = 0
        for request in try JSONParser.parse(Events.bytes(name, "gen_ai.json")).arrayValue ?? [] {
            for resource in request["resourceSpans"]?.arrayValue ?? [] {
                for scope in resource["scopeSpans"]?.arrayValue ?? [] {
                    for span in scope["spans"]?.arrayValue ?? [] {
                        let attributes = (span["attributes"]?.arrayValue ?? []).compactMap { attribute in
                            attribute["key"]?.stringValue.map { ($0, attribute["value"] ?? .null) }
                        }
                        try check(reference: JSONObject(attributes))
                        found += attributes.count
                    }
                }
            }
        }
        #expect(found > 0)
    }

    @Test("hold for what the reference makes of single events", arguments: Probe.all)
    func probes(_ probe: Probe) throws {
        for span in probe.json["expected"]?["gen_ai"]?.arrayValue ?? [] {
            // What a producer has promoted is its own.
            let attributes = span["attributes"]?.objectValue?.filter { !$0.key.hasPrefix("team.") } ?? []
            try check(reference: JSONObject(attributes.map { ($0.key, $0.value) }))
        }
    }

    /// Every attribute of the reference is known, of its type, and one of its operation.
    private func check(reference attributes: JSONObject) throws {
        let word = attributes[GenAIConventions.operationName.key]?["stringValue"]?.stringValue
        let operation = try word.map { try #require(Self.operations[$0], "\($0)") }
        for attribute in attributes {
            let known = try #require(Self.names[attribute.key], "\(attribute.key) is not in the table")
            #expect(attribute.value.objectValue?.keys == [Self.member(known.type)], "\(attribute.key)")
            let isOfOperation = operation.map { known.requirements[$0] != nil } ?? (known == GenAIConventions.errorType)
            #expect(isOfOperation, "\(attribute.key) on \(word ?? "a scope without an operation")")
        }
    }

    @Test("are all exported when a producer says everything")
    func everything() throws {
        var run = Run(.genAI)
        for (number, scope) in Self.everything.enumerated() {
            let id = Events.uuid(UInt64(number + 1))
            try run.receive(
                Events.fields(
                    .scopeStart, id, name: scope.name, category: scope.category, data: scope.input,
                    metadata: scope.metadata, profile: scope.request))
            try run.receive(
                Events.fields(
                    .scopeEnd, id, name: scope.name, category: scope.category, data: scope.output,
                    metadata: scope.end, profile: scope.response))
        }
        for span in run.spans { try check(span) }
        let seen = Set(run.spans.flatMap(\.attributes).map(\.key))
        #expect(seen == Set(Self.names.keys))
    }

    /// Every attribute is known, of its type, and one of its operation; what an operation requires is there.
    private func check(_ span: ProjectedSpan) throws {
        guard case .string(let word)? = span[GenAIConventions.operationName.key] else {
            #expect(span.attributes.allSatisfy { $0.key == GenAIConventions.errorType.key }, "\(span.name)")
            return
        }
        let operation = try #require(Self.operations[word], "\(word)")
        #expect(span.name == word || span.name.hasPrefix("\(word) "))
        #expect(span.kind == (operation == .invokeAgent || operation == .executeTool ? .internal : .client))
        for attribute in span.attributes {
            let name = try #require(Self.names[attribute.key], "\(attribute.key) is not in the table")
            #expect(name.requirements[operation] != nil, "\(attribute.key) on \(word)")
            #expect(Self.isOfType(attribute.value, name.type), "\(attribute.key) is \(attribute.value)")
        }
        for name in GenAIConventions.all where name.requirements[operation] == .required {
            #expect(span[name.key] != nil, "\(word) without \(name.key)")
        }
        if case .error = span.status { #expect(span[GenAIConventions.errorType.key] != nil) }
    }

    private static let operations: [String: GenAIConventions.Operation] = [
        "invoke_agent": .invokeAgent, "chat": .inference, "generate_content": .inference,
        "text_completion": .inference,
        "execute_tool": .executeTool, "retrieval": .retrieval, "embeddings": .embeddings,
    ]

    private static func isOfType(_ value: AttributeValue, _ type: GenAIConventions.ValueType) -> Bool {
        switch (value, type) {
        case (.string, .string), (.int, .int), (.double, .double), (.bool, .bool), (.strings, .strings): true
        case (.string(let text), .json): (try? JSONParser.parse(text)) != nil
        case (.string, _), (.int, _), (.double, _), (.bool, _), (.strings, _), (.bools, _), (.ints, _), (.doubles, _):
            false
        }
    }

    private static func member(_ type: GenAIConventions.ValueType) -> String {
        switch type {
        case .string, .json: "stringValue"
        case .int: "intValue"
        case .double: "doubleValue"
        case .bool: "boolValue"
        case .strings: "arrayValue"
        }
    }

    private struct Scope {
        let category: String
        let name: String
        var input = ""
        var metadata = ""
        var request = ""
        var output = ""
        var end = ""
        var response = ""
    }

    private static let everything = [
        Scope(
            category: "agent", name: "a", metadata: #"{"session_id":"s","agent_description":"d"}"#,
            end: #"{"otel.status_code":"ERROR"}"#),
        Scope(
            category: "tool", name: "t", input: "{}", metadata: #"{"tool_type":"function","description":"d"}"#,
            request: #"{"tool_call_id":"c"}"#, output: "1"),
        Scope(
            category: "retriever", name: "openai r",
            input: #"{"index_name":"i","server_address":"h","server_port":1,"top_k":5,"model":"m"}"#),
        Scope(
            category: "embedder", name: "openai e", input: #"{"model":"m","dimensions":8,"encoding_format":"float"}"#,
            output: #"{"model":"m2","usage":{"prompt_tokens":3}}"#),
        Scope(
            category: "llm", name: "openai",
            request: #"""
                {"annotated_request":{"messages":[{"role":"user","content":"q"}],"instructions":"i","model":"m","stream":true,
                "params":{"temperature":0,"top_p":1,"max_tokens":5,"stop":["x"]},"reasoning":{"effort":"low"},
                "previous_response_id":"p","tools":[{"type":"function","function":{"name":"f"}}],
                "api_specific":{"api":"openai_chat","response_format":{"type":"json_object"},"frequency_penalty":1,"presence_penalty":2,"n":2,"seed":-1}}}
                """#,
            response: #"""
                {"time_to_first_chunk":0.5,"annotated_response":{"id":"r","model":"m3","message":"a","finish_reason":"complete",
                "usage":{"prompt_tokens":1,"completion_tokens":2,"cache_read_tokens":3,"cache_write_tokens":4},
                "api_specific":{"api":"openai_responses","output_tokens_details":{"reasoning_tokens":6}}}}
                """#),
        Scope(
            category: "llm", name: "anthropic",
            request: #"{"annotated_request":{"messages":[],"api_specific":{"api":"anthropic_messages","top_k":4}}}"#),
    ]
}
