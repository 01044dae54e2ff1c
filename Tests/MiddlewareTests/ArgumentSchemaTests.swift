import ATOF
import Foundation
import Middleware
import Testing

@Suite("Arguments and JSON Schemas")
struct ArgumentSchemaTests {
    private static func schema(_ text: String) throws -> GuardrailRule.ArgumentSchema {
        try GuardrailRule.ArgumentSchema(JSONParser.parse(text))
    }

    private static let draft4 = #""$schema": "http://json-schema.org/draft-04/schema#""#

    /// A schema, and documents with the keyword and the place that they violate; nil conforms.
    private static let cases: [(String, [(String, String?)])] = [
        ("{}", [("1", nil), ("[{}]", nil)]),
        ("true", [("null", nil)]),
        ("false", [("null", "false ")]),
        (
            #"{"type": "object", "properties": {"path": {"type": "string"}, "n": {"type": "integer"}}, "required": ["path"]}"#,
            [
                (#"{"path": "a"}"#, nil), (#"{"path": "a", "n": 1.0}"#, nil), ("[]", "type "),
                ("{}", "required /path"),
                (#"{"path": 1}"#, "type /path"), (#"{"path": "a", "n": 1.5}"#, "type /n"),
                (#"{"path": "a", "n": "1"}"#, "type /n"),
                (#"{"path": "a", "n": 18446744073709551615}"#, "type /n"),
                (#"{"path": "a", "path": 1}"#, "type /path"),
            ]
        ),
        (
            #"{"properties": {"a": {}}, "additionalProperties": false}"#,
            [(#"{"a": 1}"#, nil), (#"{"secret": 1}"#, "additionalProperties "), ("7", nil)]
        ),
        (
            #"{"properties": {"a": {}}, "additionalProperties": {"items": {"type": "null"}}}"#,
            [(#"{"b": [null]}"#, nil), (#"{"secret": [null, 1]}"#, "type /*/1")]
        ),
        // The names of properties are no paths.
        (
            #"{"properties": {"x": {"items": {"type": "string"}}, "x/items": {"type": "integer"}}}"#,
            [(#"{"x": ["a"], "x/items": 1}"#, nil), (#"{"x/items": "a"}"#, "type /x~1items")]
        ),
        (
            #"{"items": {"anyOf": [{"type": "integer"}], "propertyNames": {"anyOf": [{"maxLength": 2}]}}}"#,
            [("[1]", nil), (#"["a"]"#, "anyOf /0"), (#"[{"abc": 1}]"#, "anyOf /0")]
        ),
        (#"{"propertyNames": {"pattern": "^[a-z]+$"}}"#, [(#"{"ab": 1}"#, nil), (#"{"a1": 1}"#, "propertyNames ")]),
        (
            #"{"items": [{"type": "integer"}], "additionalItems": false}"#,
            [("[1]", nil), ("[]", nil), (#"["a"]"#, "type /0"), ("[1, 2]", "additionalItems ")]
        ),
        (#"{"items": [{}], "additionalItems": {"minimum": 3}}"#, [("[1, 3]", nil), ("[1, 2]", "minimum /1")]),
        (#"{"contains": {"const": 1}}"#, [("[0, 1]", nil), ("[0]", "contains "), ("[]", "contains ")]),
        (
            #"{"allOf": [{"required": ["a"]}, {"properties": {"a": {"maximum": 5}}}]}"#,
            [(#"{"a": 5}"#, nil), (#"{"a": 6}"#, "maximum /a"), ("{}", "required /a")]
        ),
        (
            #"{"oneOf": [{"minimum": 5}, {"multipleOf": 2}]}"#,
            [("2", nil), ("5", nil), ("6", "oneOf "), ("3", "oneOf ")]
        ),
        (#"{"not": {"type": "string"}}"#, [("1", nil), (#""a""#, "not ")]),
        (
            #"{"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}"#,
            [(#"{"a": 1, "b": 1}"#, nil), (#"{"a": 1}"#, "if "), (#"{"c": 1}"#, nil), ("{}", "if ")]
        ),
        (
            #"{"dependencies": {"a": ["b"], "c": {"maxProperties": 1}}}"#,
            [(#"{"a": 1, "b": 1}"#, nil), (#"{"a": 1}"#, "dependencies "), (#"{"c": 1, "d": 1}"#, "dependencies ")]
        ),
        (
            #"{"enum": [1, "a", null, {"k": [1.0]}]}"#,
            [
                ("1.0", nil), (#""a""#, nil), ("null", nil), (#"{"k": [1]}"#, nil), (#""1""#, "enum "),
                ("true", "enum "),
                (#""a\u0000b""#, "enum "), (#"{"k": [1], "l": 1}"#, "enum "),
            ]
        ),
        (#"{"const": 9007199254740991}"#, [("9007199254740991", nil), ("9007199254740992", "const ")]),
        (
            #"{"minimum": 1, "exclusiveMaximum": 10}"#,
            [
                ("1", nil), ("0", "minimum "), ("10", "exclusiveMaximum "),
                ("18446744073709551615", "exclusiveMaximum "), (#""0""#, nil),
            ]
        ),
        (
            #"{"multipleOf": 7}"#,
            [
                ("14", nil), ("-7.0", nil), ("7.5", "multipleOf "), ("8", "multipleOf "), (#""8""#, nil),
                ("1e300", "multipleOf "),
            ]
        ),
        (
            #"{"minLength": 2, "maxLength": 3}"#,
            [
                (#""ab""#, nil), (#""äöü""#, nil), (#""a""#, "minLength "), (#""a\u0000bcd""#, "maxLength "),
                (#""😀😀😀😀""#, "maxLength "),
            ]
        ),
        (#"{"minItems": 1, "maxItems": 2}"#, [("[1]", nil), ("[]", "minItems "), ("[1, 2, 3]", "maxItems ")]),
        (
            #"{"minProperties": 1.0, "maxProperties": 1}"#,
            [(#"{"a": 1}"#, nil), ("{}", "minProperties "), (#"{"a": 1, "b": 1}"#, "maxProperties ")]
        ),
        (
            #"{"uniqueItems": true}"#,
            [
                (#"[1, "1", true, null, [1], {"a": 1}, "n1:1"]"#, nil), ("[1, 1.0]", "uniqueItems "),
                (#"[{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]"#, "uniqueItems "), (#"[["ab", "c"], ["a", "bc"]]"#, nil),
            ]
        ),
        (#"{"uniqueItems": false}"#, [("[1, 1]", nil)]),
        (
            #"{"pattern": "^\\d{3}$"}"#,
            [(#""123""#, nil), (#""12""#, "pattern "), ("12", nil), (#""123\n""#, "pattern ")]
        ),
        (
            ##"{"definitions": {"id": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/id"}, "b": {"$ref": "#/definitions/id", "title": "b"}}}"##,
            [(#"{"a": "x", "b": "y"}"#, nil), (#"{"b": 1}"#, "type /b")]
        ),
        (
            ##"{"$defs": {"a/b": {"items": {"$ref": "#/$defs/n"}}, "n": {"minimum": 0}}, "$ref": "#/$defs/a~1b"}"##,
            [("[0]", nil), ("[0, -1]", "minimum /1")]
        ),
        (
            "{\(draft4), \"minimum\": 1, \"exclusiveMinimum\": true, \"maximum\": 5, \"exclusiveMaximum\": false}",
            [("2", nil), ("5", nil), ("1", "exclusiveMinimum "), ("6", "maximum ")]
        ),
        (
            #"{"$schema": "https://json-schema.org/draft-07/schema", "$id": "x", "title": "t", "$comment": "c", "default": 1, "examples": [1], "readOnly": true}"#,
            [("1", nil)]
        ),
    ]

    @Test("documents conform, or violate a keyword somewhere", arguments: cases)
    func documents(schema: String, documents: [(String, String?)]) throws {
        let schema = try Self.schema(schema)
        for (document, expected) in documents {
            let violation = schema.violation(by: try JSONParser.parse(document))
            let wanted = expected.map { words -> GuardrailRule.Violation in
                let parts = words.split(separator: " ", omittingEmptySubsequences: false)
                return .keyword(String(parts[0]), at: String(parts[1]))
            }
            #expect(violation == wanted, "\(document)")
        }
    }

    /// Schemas that are none, or that would be obeyed by halves, and the place of the mistake.
    private static let mistakes: [(String, String)] = [
        ("1", ""), (#""x""#, ""), ("[]", ""), (#"{"type": "text"}"#, "/type"), (#"{"type": []}"#, "/type"),
        (#"{"type": ["string", 1]}"#, "/type"), (#"{"enum": []}"#, "/enum"), (#"{"enum": 1}"#, "/enum"),
        (#"{"minimum": "1"}"#, "/minimum"), (#"{"exclusiveMinimum": true}"#, "/exclusiveMinimum"),
        (#"{"multipleOf": 0}"#, "/multipleOf"), (#"{"multipleOf": 0.01}"#, "/multipleOf"),
        (#"{"maxLength": -1}"#, "/maxLength"), (#"{"maxLength": 1.5}"#, "/maxLength"),
        (#"{"uniqueItems": 1}"#, "/uniqueItems"), (#"{"pattern": "("}"#, "/pattern"), (#"{"pattern": 1}"#, "/pattern"),
        (#"{"pattern": "(?=a)b"}"#, "/pattern"), (#"{"required": "a"}"#, "/required"),
        (#"{"required": ["a\u0000"]}"#, "/required"), (#"{"properties": []}"#, "/properties"),
        (#"{"properties": {"a/b": 1}}"#, "/properties/a~1b"), (#"{"items": 1}"#, "/items"),
        (#"{"items": []}"#, "/items"),
        (#"{"items": {}, "additionalItems": false}"#, "/additionalItems"), (#"{"allOf": {}}"#, "/allOf"),
        (#"{"anyOf": [1]}"#, "/anyOf/0"), (#"{"not": 1}"#, "/not"), (#"{"then": {}}"#, "/then"),
        (#"{"dependencies": {"a": [1]}}"#, "/dependencies/a"),
        (#"{"const": [[[[[[[[[[1]]]]]]]]]]}"#, "/const/0/0/0/0/0/0/0/0/0"),
        (#"{"const": {"a": 9007199254740993}}"#, "/const/a"),
        (#"{"patternProperties": {"^a$": {}}}"#, "/patternProperties"),
        (#"{"properties": {"a": {"format": "date"}}}"#, "/properties/a/format"), (#"{"format": "uri"}"#, "/format"),
        (##"{"$ref": "#"}"##, "/$ref"), (##"{"items": {"$ref": "#"}}"##, "/items/$ref"),
        (
            ##"{"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}, "not": {"$ref": "#/definitions/a"}}"##,
            "/not/$ref/$ref/$ref"
        ),
        (#"{"$ref": "http://example.com/schema"}"#, "/$ref"), (#"{"$ref": "other.json"}"#, "/$ref"),
        (#"{"$ref": 1}"#, "/$ref"),
        (##"{"$ref": "#/definitions/a"}"##, "/$ref"), (##"{"$ref": "#name"}"##, "/$ref"),
        (##"{"definitions": {"a": {}}, "not": {"$ref": "#/definitions/a", "minimum": 1}}"##, "/not/minimum"),
        (#"{"properties": {"a": {"$id": "b"}}}"#, "/properties/a/$id"),
        (#"{"unevaluatedProperties": false}"#, "/unevaluatedProperties"), (#"{"prefixItems": [{}]}"#, "/prefixItems"),
        (#"{"dependentRequired": {"a": ["b"]}}"#, "/dependentRequired"), (#"{"minContains": 1}"#, "/minContains"),
        (#"{"$anchor": "a"}"#, "/$anchor"), (#"{"requird": ["a"]}"#, "/requird"),
        (#"{"divisibleBy": 2}"#, "/divisibleBy"),
        (#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#, "/$schema"), (#"{"$schema": 4}"#, "/$schema"),
        ("{\(draft4), \"const\": 1}", "/const"), ("{\(draft4), \"not\": true}", "/not"),
        ("{\(draft4), \"exclusiveMaximum\": true}", "/exclusiveMaximum"), ("{\(draft4), \"if\": {}}", "/if"),
    ]

    @Test("what is no schema, or would be obeyed by halves, is an error at its place", arguments: mistakes)
    func invalid(text: String, place: String) throws {
        #expect { try Self.schema(text) } throws: { ($0 as? SchemaError)?.pointer == place }
    }

    @Test("schemas have bounds for depth, number and length, with references written out")
    func bounds() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: #"{"properties":{"a":"#, count: depth) + "false" + String(repeating: "}}", count: depth)
        }
        let deepest = try Self.schema(nested(24))
        let document = (0..<24).reduce(JSONValue.null) { value, _ in ["a": value] }
        #expect(deepest.violation(by: document) == .keyword("false", at: String(repeating: "/a", count: 24)))
        #expect(throws: SchemaError.self) { try Self.schema(nested(25)) }
        // Two references to two references to two …
        var definitions = #""d20": {}"#
        for level in 0..<20 {
            let reference = ##"{"$ref": "#/definitions/d\##(level + 1)"}"##
            definitions += #", "d\#(level)": {"allOf": [\#(reference), \#(reference)]}"#
        }
        #expect(throws: SchemaError.self) {
            try Self.schema(##"{"definitions": {\##(definitions)}, "not": {"$ref": "#/definitions/d0"}}"##)
        }
        #expect(throws: SchemaError.self) {
            try Self.schema(#"{"const": "\#(String(repeating: "x", count: 300_000))"}"#)
        }
    }

    /// A schema, and a document that is built to be deep, long or slow.
    private static let attacks: [(String, String, JSONValue, GuardrailRule.Violation?)] = [
        (
            "depth", "{}", (0..<250).reduce(JSONValue.null) { value, _ in [value] }, .unchecked(.tooDeep)
        ),
        ("depth that is allowed", "{}", (0..<64).reduce(JSONValue.null) { value, _ in [value] }, nil),
        (
            "depth in all that is unique", #"{"uniqueItems": true}"#,
            (0..<64).reduce(JSONValue.null) { value, _ in [value] }, nil
        ),
        (
            "100,000 unique elements", #"{"uniqueItems": true}"#, .array((0..<100_000).map { .int($0) }), nil
        ),
        (
            "100,000 elements, the last like the first", #"{"uniqueItems": true}"#,
            .array((0..<100_000).map { .int($0) } + [0]), .keyword("uniqueItems", at: "")
        ),
        ("4 MB of text", #"{"maxLength": 10000000}"#, .string(String(repeating: "ä", count: 2_000_000)), nil),
        (
            "1 MB of text against patterns that ended or held valijson",
            #"{"anyOf": [{"pattern": "^(a|b)*$"}, {"pattern": "^(a+)+$"}]}"#,
            .string(String(repeating: "a", count: 1_000_000) + "!"), .keyword("anyOf", at: "")
        ),
        (
            "many patterns for a long text",
            #"{"allOf": [\#(Array(repeating: #"{"pattern": "a"}"#, count: 600).joined(separator: ", "))]}"#,
            .string(String(repeating: "a", count: 1_000_000)), .unchecked(.tooLarge)
        ),
        ("more than can be read", "{}", .string(String(repeating: "a", count: 8_400_000)), .unchecked(.tooLarge)),
        ("values without end", "{}", .array(Array(repeating: 0, count: 500_001)), .unchecked(.tooLarge)),
        (
            "a long name on the way to many values", #"{"additionalProperties": {"items": {"type": "integer"}}}"#,
            .object(
                JSONObject([(String(repeating: "k", count: 1_000_000), .array(Array(repeating: 0, count: 100_000)))])),
            .unchecked(.tooLarge)
        ),
        (
            "a choice of many for each element",
            #"{"items": {"enum": [\#((0..<500).map(String.init).joined(separator: ", "))]}}"#,
            .array(Array(repeating: 499, count: 100_000)), .unchecked(.tooLarge)
        ),
        (
            "violations everywhere", #"{"items": {"type": "string"}}"#, .array(Array(repeating: 0, count: 100_000)),
            .keyword("type", at: "/0")
        ),
        (
            "numbers at their ends", #"{"items": {"minimum": 0, "multipleOf": 3}}"#,
            [.int(.max), .unsigned(.max), .double(1e308)], .keyword("multipleOf", at: "/0")
        ),
        ("the smallest integer", #"{"multipleOf": 1}"#, .int(.min), nil),
        (
            "a name that is longer than there is room",
            #"{"properties": {"\#(String(repeating: "ä", count: 200))": false}}"#,
            .object(JSONObject([(String(repeating: "ä", count: 200), 1)])),
            .keyword("false", at: "/" + String(repeating: "ä", count: 125) + "…")
        ),
    ]

    @Test("hostile documents are checked, or not let through, on a small stack", .serialized, arguments: attacks)
    func hostile(name: String, schema: String, document: JSONValue, expected: GuardrailRule.Violation?) async throws {
        let schema = try Self.schema(schema)
        let violation = await withCheckedContinuation { continuation in
            let thread = Thread { continuation.resume(returning: schema.violation(by: document)) }
            // What threads of a collector have.
            thread.stackSize = 512 << 10
            thread.start()
        }
        #expect(violation == expected, "\(name)")
    }

    @Test("text that is no Unicode comes as what the collector made of it")
    func repairedText() throws {
        let schema = try Self.schema(#"{"properties": {"a": {"maxLength": 3}}}"#)
        for text in [#"{"a": "\ud800"}"#, "{\"a\": \"\u{0}\"}", #"{"a": 1e999}"#] {
            let value = Array(text.utf8).withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
            _ = schema.violation(by: value)
        }
        let bytes: [UInt8] = Array("{\"a\": \"".utf8) + [0xFF, 0xC0, 0x80, 0xED, 0xA0] + Array("\"}".utf8)
        let value = bytes.withUnsafeBufferPointer { JSONPolicy.value(of: $0) }
        #expect(schema.violation(by: value) != nil)
    }

    @Test("a rule rejects what violates its schema, and says which keyword where, never a value")
    func rejection() throws {
        let schema = try Self.schema(
            #"{"properties": {"to": {"maxLength": 5}, "cc": {"items": {"type": "string"}}}, "additionalProperties": {"type": "null"}}"#
        )
        let rule = GuardrailRule(
            name: "mail", condition: .arguments([.init(pointer: "/message", test: .violates(schema))]),
            actions: [.reject, .alert], reason: "not so")
        let evaluator = GuardrailEvaluator(GuardrailRules(rules: [rule]))
        func decision(_ message: JSONValue) -> GuardAnswer {
            evaluator.decide(
                GuardRequest(tenant: "acme", call: .tool(name: "mail", arguments: ["message": message])))
        }
        #expect(decision(["to": "bob"]).decision == .allow)
        let answer = decision(["to": "bobby-secret"])
        #expect(answer.decision == .reject(rule: "mail", reason: "not so: maxLength is violated at /message/to"))
        #expect(answer.alerts == [.init(rule: "mail", message: "not so: maxLength is violated at /message/to")])
        #expect(
            decision(["cc": ["a", 7]]).decision
                == .reject(rule: "mail", reason: "not so: type is violated at /message/cc/1"))
        #expect(
            decision(["secret-name": "secret"]).decision
                == .reject(rule: "mail", reason: "not so: type is violated at /message/*"))
        let deep = (0..<100).reduce(JSONValue.null) { value, _ in [value] }
        #expect(decision(deep).decision == .reject(rule: "mail", reason: "not so: nested too deeply to be checked"))
        let condition = try Self.schema(#"{"if": {"required": ["cc"]}, "then": {"required": ["to"]}}"#)
        let conditional = GuardrailRule(
            name: "mail", condition: .arguments([.init(pointer: "", test: .violates(condition))]), actions: [.reject],
            reason: "not so")
        #expect(
            GuardrailEvaluator(GuardrailRules(rules: [conditional])).decide(
                GuardRequest(tenant: "acme", call: .tool(name: "mail", arguments: ["cc": "x"]))
            ).decision == .reject(rule: "mail", reason: "not so: then or else of an if is violated"))
        // What is not there passes no test.
        let call = GuardRequest.Call.tool(name: "mail", arguments: [:])
        #expect(evaluator.decide(GuardRequest(tenant: "acme", call: call)).decision == .allow)
    }
}
