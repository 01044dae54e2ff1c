import ATOF
import Testing

@Suite("ATOF JSON lines")
struct EventJSONDecoderTests {
    static let uuid = "019b7711-9a74-7090-8d72-d297c1624d91"
    static let parent = "019b7710-b009-7f53-b77b-77cd12b59081"

    /// The members of a scope start; nil leaves a key out, and other keys are added.
    static func line(_ changes: [String: String?] = [:]) -> [UInt8] {
        var members: [String: String?] = [
            "kind": #""scope""#, "scope_category": #""start""#, "atof_version": #""0.1""#, "uuid": "\"\(uuid)\"",
            "parent_uuid": "\"\(parent)\"", "timestamp": #""2026-01-01T00:00:00Z""#, "name": #""n""#,
            "attributes": "[]",
            "category": #""tool""#,
        ]
        for (key, value) in changes { members[key] = .some(value) }
        let pairs = members.compactMap { key, value in value.map { "\"\(key)\":\($0)" } }
        return Array("{\(pairs.joined(separator: ","))}".utf8)
    }

    static func event(_ line: [UInt8]) throws -> Event {
        var writer = EventBatchWriter()
        writer.append(packed: try EventJSONDecoder.decode(line).packed())
        return try EventBatch(unpacking: writer.bytes).event(at: 0)
    }

    static func canonical(_ line: [UInt8]) throws -> String {
        String(decoding: EventJSONEncoder.line(try event(line)), as: UTF8.self)
    }

    @Test("writes the canonical form of a scope")
    func canonicalScope() throws {
        let line = EventJSONDecoderTests.line([
            "data": #"{ "b" : 1.0, "a" : [ 1e2 , "é" ] }"#, "data_schema": #"{"version":"2","name":"s"}"#,
            "metadata": "null",
            "category_profile": #"{"x":{},"model_name":"m"}"#,
            "propagation_root_uuid": "\"\(EventJSONDecoderTests.parent)\"",
            "attributes": #"["streaming","remote"]"#,
        ])
        let expected =
            #"{"atof_version":"0.1","attributes":["streaming","remote"],"category":"tool","category_profile":{"model_name":"m","x":{}},"#
            + #""data":{"a":[100.0,"é"],"b":1.0},"data_schema":{"name":"s","version":"2"},"kind":"scope","metadata":null,"name":"n","#
            + #""parent_uuid":"019b7710-b009-7f53-b77b-77cd12b59081","#
            + #""propagation_root_uuid":"019b7710-b009-7f53-b77b-77cd12b59081","scope_category":"start","#
            + #""timestamp":"2026-01-01T00:00:00+00:00","uuid":"019b7711-9a74-7090-8d72-d297c1624d91"}"#
        #expect(try EventJSONDecoderTests.canonical(line) == expected)
        #expect(try EventJSONDecoderTests.canonical(Array(expected.utf8)) == expected)
    }

    @Test("reads a line behind the byte order mark of its file")
    func byteOrderMark() throws {
        let line = EventJSONDecoderTests.line()
        #expect(
            try EventJSONDecoderTests.canonical([0xEF, 0xBB, 0xBF] + line) == EventJSONDecoderTests.canonical(line))
        #expect(throws: EventError.self) { try EventJSONDecoder.decode([0xEF, 0xBB, 0xBF, 0xEF, 0xBB, 0xBF] + line) }
    }

    @Test("writes the canonical form of a mark, without what only scopes have")
    func canonicalMark() throws {
        let line = EventJSONDecoderTests.line([
            "kind": #""mark""#, "category": nil, "data": #"{"x":1}"#, "parent_uuid": nil,
        ])
        #expect(
            try EventJSONDecoderTests.canonical(line)
                == #"{"atof_version":"0.1","category":null,"category_profile":null,"data":{"x":1},"data_schema":null,"kind":"mark","#
                + #""metadata":null,"name":"n","parent_uuid":null,"timestamp":"2026-01-01T00:00:00+00:00","#
                + #""uuid":"019b7711-9a74-7090-8d72-d297c1624d91"}"#)
    }

    @Test(
        "accepts",
        arguments: [
            ["parent_uuid": nil], ["parent_uuid": "null"], ["data": nil], ["data": "null"], ["data": "false"],
            ["data": "\"\""],
            ["data_schema": "null"], ["metadata": "[1]"], ["category_profile": "{}"], ["category_profile": "null"],
            ["name": "\"\""], ["name": #""a\u0000b""#], ["atof_version": #""9""#], ["category": #""anything""#],
            ["category": "\"\""],
            ["attributes": #"["x","x"]"#], ["scope_category": #""end""#], ["timestamp": "0"], ["timestamp": "-1"],
            ["timestamp": "1767225600000001"], ["uuid": "\"{\(uuid)}\""], ["uuid": "\"urn:uuid:\(uuid)\""],
            ["uuid": #""019B77119A7470908D72D297C1624D91""#],
            ["kind": #""mark""#, "attributes": nil, "scope_category": nil, "category": "null"],
            ["kind": #""mark""#, "attributes": "7", "scope_category": "7"], ["kind": #""mar\u006b""#],
            ["propagation_root_uuid": "null"], ["propagation_root_uuid": "7"], ["propagation_root_uuid": #""no uuid""#],
            ["x": #"{"y":[1,{"z":"}"}]}"#], ["data_schema": #"{"name":"","version":"","more":1}"#],
        ] as [[String: String?]])
    func accepted(changes: [String: String?]) throws {
        let canonical = try EventJSONDecoderTests.canonical(EventJSONDecoderTests.line(changes))
        #expect(try EventJSONDecoderTests.canonical(Array(canonical.utf8)) == canonical)
    }

    @Test(
        "rejects and names the field",
        arguments: [
            (["kind": nil], .missingField, "kind"), (["kind": "null"], .missingField, "kind"),
            (["kind": #""span""#], .invalidField, "kind"), (["kind": "1"], .invalidField, "kind"),
            (["atof_version": nil], .missingField, "atof_version"),
            (["atof_version": "0.1"], .invalidField, "atof_version"),
            (["uuid": nil], .missingField, "uuid"), (["uuid": #""abc""#], .invalidField, "uuid"),
            (["uuid": "1"], .invalidField, "uuid"),
            (["parent_uuid": "\"\""], .invalidField, "parent_uuid"),
            (["parent_uuid": "{}"], .invalidField, "parent_uuid"),
            (["timestamp": nil], .missingField, "timestamp"), (["timestamp": "null"], .missingField, "timestamp"),
            (["timestamp": #""2026-01-01T00:00:00""#], .invalidField, "timestamp"),
            (["timestamp": "1.7e15"], .invalidField, "timestamp"), (["timestamp": "true"], .invalidField, "timestamp"),
            (["timestamp": "9223372036854775807"], .invalidField, "timestamp"),
            (["timestamp": "9223372036854775808"], .invalidField, "timestamp"),
            (["timestamp": "18446744073709551616"], .invalidField, "timestamp"),
            (["name": nil], .missingField, "name"), (["name": "null"], .missingField, "name"),
            (["name": "1"], .invalidField, "name"),
            (["name": #""\ud83d""#], .invalidField, "name"),
            (["scope_category": nil], .missingField, "scope_category"),
            (["scope_category": #""middle""#], .invalidField, "scope_category"),
            (["attributes": nil], .missingField, "attributes"),
            (["attributes": #""remote""#], .invalidField, "attributes"),
            (["attributes": "[1]"], .invalidField, "attributes"),
            (["category": nil], .missingField, "category"), (["category": "null"], .missingField, "category"),
            (["category": "[]"], .invalidField, "category"),
            (["data_schema": "[]"], .invalidField, "data_schema"),
            (["data_schema": #"{"name":"n"}"#], .invalidField, "data_schema"),
            (["data_schema": #"{"name":"n","version":1}"#], .invalidField, "data_schema"),
            (["category_profile": "[]"], .invalidField, "category_profile"),
            (["category_profile": #""x""#], .invalidField, "category_profile"),
            (["data": "nonsense"], .invalidJSON, "data"), (["data": "[1}"], .invalidJSON, "data"),
            (["metadata": #"{"a":}"#], .invalidJSON, "metadata"),
            (["x": "nonsense"], .invalidJSON, ""), (["x": "[1,}"], .invalidJSON, ""),
            (["kind": #""mark""#, "attributes": "nonsense"], .invalidJSON, "attributes"),
        ] as [([String: String?], EventError.Reason, String)])
    func rejected(changes: [String: String?], reason: EventError.Reason, field: String) {
        let error = #expect(throws: EventError.self) {
            try EventJSONDecoder.decode(EventJSONDecoderTests.line(changes))
        }
        #expect(error?.reason == reason)
        #expect(error?.field == field)
    }

    @Test(
        "rejects lines that are not one object",
        arguments: [
            "", " ", "null", "[]", "{", "}", "{}x", #"{"kind":"mark","#, #"{"kind":"mark",}"#, #"{"kind" "mark"}"#,
            #"{kind:"mark"}"#,
            #"{"kind":}"#, #"{"kind":"mark"]"#, #"{"kind":"mark\"}"#, #"{"a\"#, #"{}{}"#, #"{"a":1,,"b":2}"#,
        ])
    func notAnObject(line: String) {
        let error = #expect(throws: EventError.self) { try EventJSONDecoder.decode(Array(line.utf8)) }
        // An object that ends where it should is refused for what it lacks; only then a field is named.
        #expect(error?.reason == .invalidJSON || error?.field.isEmpty == false)
        #expect(throws: EventError(.missingField, field: "kind", "is missing")) {
            try EventJSONDecoder.decode(Array("{ }".utf8))
        }
    }

    @Test("counts the last of a repeated key")
    func repeatedKey() throws {
        var text = String(decoding: EventJSONDecoderTests.line(), as: UTF8.self)
        text = "{\"name\":1,\"x\":1,\"x\":2," + text.dropFirst().dropLast() + ",\"data\":1,\"data\":2}"
        let event = try EventJSONDecoderTests.event(Array(text.utf8))
        #expect(event.name == "n")
        #expect(event.data?.value == 2)
        #expect(event.unknownFields?.value == ["x": 2])
    }

    @Test("keeps top-level members that ATOF does not define, whatever their names")
    func unknownMembers() throws {
        let line = String(
            decoding: EventJSONDecoderTests.line(["z": "1", "propagation_root_uuid": "7", "n": "null"]), as: UTF8.self)
        // Equal for Swift's dictionaries, but not for JSON.
        let event = try EventJSONDecoderTests.event(
            Array((line.dropLast() + ",\"\u{E9}\":{\"b\":1.0,\"a\":null},\"e\u{301}\":1e400}").utf8))
        #expect(event.propagationRootUUID == nil)
        #expect(
            event.unknownFields?.value.compactText
                == "{\"e\u{301}\":\"1e400\",\"n\":null,\"propagation_root_uuid\":7,\"z\":1,\"\u{E9}\":{\"a\":null,\"b\":1.0}}"
        )
    }

    @Test("splits a line of many unknown members in good time")
    func manyMembers() throws {
        let changes = Dictionary(uniqueKeysWithValues: (0..<50_000).map { ("k\($0)", String?.some("0")) })
        let event = try EventJSONDecoderTests.event(EventJSONDecoderTests.line(changes))
        #expect(event.unknownFields?.value.objectValue?.count == 50_000)
    }

    @Test(
        "keeps the event when simdjson refuses a payload, and reads it by the policy",
        arguments: [
            (#"{"a":18446744073709551616}"#, #"{"a":1.8446744073709552e+19}"#), (#"["\ud83d"]"#, #""[\"\\ud83d\"]""#),
            (String(repeating: "[", count: 300) + String(repeating: "]", count: 300), nil),
        ] as [(String, String?)])
    func refusedPayload(payload: String, value: String?) throws {
        let event = try EventJSONDecoderTests.event(EventJSONDecoderTests.line(["data": payload, "metadata": "1"]))
        let data = try #require(event.data)
        #expect(data.withBytes { Array($0) } == Array(payload.utf8))
        #expect(data.value == (try value.map { try JSONParser.parse($0) } ?? .string(payload)))
        #expect(event.repaired() != nil)
    }
}
