import ATOF
import Testing

@testable import Projections

@Suite("Attributes")
struct AttributeTests {
    @Test(
        "follow the scalar rule",
        arguments: [
            ("null", nil), ("true", .bool(true)), ("-5", .int(-5)), ("9223372036854775807", .int(.max)),
            ("9223372036854775808", .string("9223372036854775808")), ("1.0", .double(1)), ("1e300", .double(1e300)),
            (#""x""#, .string("x")), (#"{"b":1,"a":[1.0,null]}"#, .string(#"{"a":[1.0,null],"b":1}"#)),
            ("{}", .string("{}")), ("[]", .string("[]")),
        ] as [(String, AttributeValue?)])
    func scalar(_ json: String, _ value: AttributeValue?) throws {
        #expect(AttributeValue(scalar: try JSONParser.parse(json)) == value)
    }

    @Test(
        "of a payload are its members, or the payload itself",
        arguments: [
            (#"{"b":1,"a.c":"x","n":null}"#, [Attribute("p.a.c", .string("x")), Attribute("p.b", .int(1))]), ("{}", []),
            ("[]", [Attribute("p", .string("[]"))]), ("3", [Attribute("p", .int(3))]),
        ])
    func payload(_ json: String, _ expected: [Attribute]) throws {
        var attributes: [Attribute] = []
        attributes.append("p", PayloadFields(try JSONParser.parse(json)))
        #expect(attributes == expected)
    }

    // MARK: Promotion

    @Test(
        "are promoted from metadata by type",
        arguments: [
            (#""s""#, .string("s")), ("false", .bool(false)), ("5", .int(5)), ("2.5", .double(2.5)),
            ("[]", .strings([])),
            (#"["a","b"]"#, .strings(["a", "b"])), ("[true]", .bools([true])), ("[1,2]", .ints([1, 2])),
            ("[1,2.5]", .doubles([1, 2.5])), ("null", nil), ("{}", nil), ("9223372036854775808", nil),
            ("[1,9223372036854775808]", nil), (#"[1,"a"]"#, nil), ("[null]", nil), ("[[1]]", nil),
            (#"["a",null]"#, nil),
        ] as [(String, AttributeValue?)])
    func promoted(_ json: String, _ value: AttributeValue?) throws {
        var diagnostics = ProjectionDiagnostics()
        let metadata: JSONValue = ["app.x": try JSONParser.parse(json), "other": 1]
        let promotion = MetadataPromotion(metadata: metadata, prefixes: ["app."], diagnostics: &diagnostics)
        #expect(promotion.candidates == (value.map { [Attribute("app.x", $0)] } ?? []))
        #expect(promotion.rest == (value == nil ? metadata : ["other": 1]))
        #expect(diagnostics.entries.isEmpty == (value != nil))
    }

    @Test(
        "are not promoted under reserved names",
        arguments: ["metadata", "gen_ai.x", "session.id", "tool_call.id", "user.id"])
    func reserved(_ key: String) {
        var diagnostics = ProjectionDiagnostics()
        let metadata = JSONValue.object(JSONObject([(key, "v")]))
        let promotion = MetadataPromotion(
            metadata: metadata, prefixes: ["metadata", "gen_ai", "session", "tool", "user"], diagnostics: &diagnostics)
        #expect(promotion.candidates.isEmpty && promotion.rest == metadata)
        #expect(diagnostics.entries["otel.metadata_promotion_value_unsupported.\(key)"]?.count == 1)
    }

    @Test("promoted at the start give way to what the end says, usable or not")
    func promotionEndWins() throws {
        var run = Run(.init(projection: .full, promoteMetadataPrefixes: ["a."]))
        let uuid = Events.uuid(1)
        try run.receive(Events.fields(.scopeStart, uuid, metadata: #"{"a.x":1,"a.y":1,"a.z":1}"#))
        let span = try #require(
            try run.receive(Events.fields(.scopeEnd, uuid, metadata: #"{"a.x":2,"a.y":{},"k":0}"#)).first)
        #expect(span["a.x"] == .int(2) && span["a.y"] == nil && span["a.z"] == .int(1))
        #expect(span["nemo_relay.start.metadata.a.x"] == nil && span["nemo_relay.end.metadata.k"] == .int(0))
    }

    @Test("keep diagnostics within 32 codes and 1024 characters")
    func diagnosticBounds() {
        var diagnostics = ProjectionDiagnostics()
        for number in 0..<40 { diagnostics.record("code-\(number)", "m") }
        #expect(diagnostics.entries.count == 32)
        for number in 0..<100 {
            diagnostics.record("code-0", "message \(1000 - number), \(String(repeating: "x", count: 30))")
        }
        let entry = diagnostics.entries["code-0"]
        #expect(entry?.count == 101 && entry?.messages == entry?.messages.sorted())
        #expect((entry?.text.count ?? 0) <= 1024 && (entry?.messages.count ?? 0) > 10)
        diagnostics.record("code-1", String(repeating: "y", count: 5000))
        #expect(diagnostics.entries["code-1"]?.text == "m")
    }

    // MARK: Mappings

    @Test("are copied to aliases, never from aliases, never over what exists")
    func aliases() throws {
        let mappings = [
            ("nemo_relay.end.data", "one"), ("one", "two"), ("nemo_relay.end.data", "nemo_relay.uuid"),
            ("absent", "three"),
        ].map { ProjectionConfiguration.AttributeMapping(key: $0.0, alias: $0.1) }
        var run = Run(.init(projection: .full, attributeMappings: mappings, promoteMetadataPrefixes: ["one"]))
        let uuid = Events.uuid(1)
        try run.receive(Events.fields(.scopeStart, uuid))
        let span = try #require(
            try run.receive(Events.fields(.scopeEnd, uuid, data: "4", metadata: #"{"one":9}"#)).first)
        #expect(span["one"] == .int(4) && span["two"] == nil && span["three"] == nil)
        #expect(span.attributes.filter { $0.key == "nemo_relay.uuid" }.count == 1)
    }

    @Test("of metadata as a whole have what is promoted of it")
    func metadataAlias() throws {
        let mappings = [ProjectionConfiguration.AttributeMapping(key: "metadata", alias: "all")]
        var run = Run(.init(projection: .openinference, attributeMappings: mappings, promoteMetadataPrefixes: ["team"]))
        let uuid = Events.uuid(1)
        try run.receive(Events.fields(.scopeStart, uuid, category: "agent", metadata: #"{"team":"x","n":1}"#))
        let fields = Events.fields(
            .scopeEnd, uuid, category: "agent", metadata: #"{"n":1,"team":["y"],"z":2}"#)
        let span = try #require(try run.receive(fields).first)
        #expect(span["metadata"] == .string(#"{"n":1,"z":2}"#))
        #expect(span["all"] == .string(#"{"n":1,"team":["y"],"z":2}"#))
        #expect(span["team"] == .strings(["y"]))
    }

    @Test("are exported once a key, although openinference has metadata at start and end")
    func openInferenceMetadata() throws {
        var run = Run(.openinference)
        let uuid = Events.uuid(1)
        try run.receive(Events.fields(.scopeStart, uuid, metadata: #"{"a":1,"b":1}"#))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, uuid, metadata: #"{"b":2}"#)).first)
        #expect(Set(span.attributes.map(\.key)).count == span.attributes.count)
        #expect(span["metadata"] == .string(#"{"b":2}"#))
        #expect(span["openinference.metadata.a"] == .int(1) && span["openinference.metadata.b"] == .int(2))
    }

    @Test(
        "of metadata with very many keys take time in proportion",
        arguments: ProjectionConfiguration.Projection.allCases, [[], ["k"]])
    func manyKeys(_ projection: ProjectionConfiguration.Projection, _ promoted: [String]) throws {
        // Comparing each key with each would take minutes.
        let count = 100_000
        let metadata = "{\((0..<count).map { "\"k\($0)\":1" }.joined(separator: ","))}"
        var run = Run(.init(projection: projection, promoteMetadataPrefixes: promoted))
        try run.receive(Events.fields(.scopeStart, Events.uuid(1), metadata: metadata))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, Events.uuid(1), metadata: metadata)).first)
        if projection == .genAI, promoted.isEmpty {
            #expect(span.attributes.isEmpty)
            return
        }
        let name =
            !promoted.isEmpty ? "k7" : projection == .full ? "nemo_relay.end.metadata.k7" : "openinference.metadata.k7"
        #expect(span.attributes.count >= count && span.attributes.filter { $0.key == name }.count == 1)
    }

    @Test(
        "give categories their kind",
        arguments: [
            ("agent", "AGENT", .internal), ("function", "CHAIN", .internal), ("llm", "LLM", .client),
            ("tool", "TOOL", .client),
            ("retriever", "RETRIEVER", .client), ("embedder", "EMBEDDING", .client), ("reranker", "RERANKER", .client),
            ("guardrail", "GUARDRAIL", .internal), ("evaluator", "EVALUATOR", .internal),
            ("custom", "CHAIN", .internal),
            ("made up", "CHAIN", .internal),
        ] as [(String, String, ProjectedSpan.Kind)])
    func kinds(_ category: String, _ kind: String, _ spanKind: ProjectedSpan.Kind) throws {
        var run = Run(.openinference)
        try run.receive(Events.fields(.scopeStart, Events.uuid(1), category: category))
        let span = try #require(try run.receive(Events.fields(.scopeEnd, Events.uuid(1), category: category)).first)
        #expect(span["openinference.span.kind"] == .string(kind) && span.kind == spanKind)
        #expect(span["nemo_relay.scope_type"] == .string(category == "made up" ? "unknown" : category))
        #expect(span["skein.scope.category"] == (category == "made up" ? .string(category) : nil))
    }
}
