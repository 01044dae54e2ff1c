import ATOF
import Middleware
import Testing

@Suite("Credential headers")
struct CredentialHeaderTests {
    @Test(
        "are taken out of model requests without any configuration",
        arguments: [
            ("Authorization", true, true), ("proxy-authorization", true, true), ("COOKIE", true, true),
            ("x-api-key", true, true), ("api-key", true, true), ("anthropic-api-key", true, true),
            ("x-goog-api-key", true, true), ("set-cookie", true, false), ("X-Amz-Security-Token", true, false),
            ("x-my-api-key", true, false), ("x-auth-token", true, false), ("content-type", false, false),
            ("x_api_key", true, false), ("apikey", true, false), ("authorization ", true, false),
            ("X-Functions-Key", true, false), ("x-my-api-token", true, false),
            ("x-max-tokens", false, false), ("x-request-id", false, false),
        ] as [(String, Bool, Bool)])
    func removed(header: String, skein: Bool, strict: Bool) throws {
        let data: JSONValue = [
            "content": ["messages": []],
            "headers": .object(JSONObject([(header, "secret"), ("x-kept", "1")])),
        ]
        let event = try RedactionLines.event(["category": "llm", "data": data])
        for (compatibility, isRemoved) in [(Compatibility.skein, skein), (.strict, strict)] {
            let after = try RedactionLines.apply(try RedactionLines.chain([], compatibility), to: event)
            let headers = try #require(after.data?.value["headers"]?.objectValue)
            #expect((headers[header] == nil) == isRemoved)
            #expect(headers["x-kept"] == "1")
        }
    }

    @Test("are found however the producer escapes the word")
    func escaped() throws {
        var fields = EventFields(
            kind: .scopeStart, uuid: EventUUID(high: 1, low: 1), timestamp: EventTime(epochMicroseconds: 1), name: "n")
        fields.category = "llm"
        fields.data = Array(#"{"content":{},"he\u0061ders":{"\u0061uthorization":"secret"}}"#.utf8)
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        #expect(
            try RedactionLines.apply(try RedactionLines.chain(), to: event).data?.value
                == ["content": [:], "headers": [:]])
    }

    @Test("are not passed on by a member that is there twice, of which a reader sees the last")
    func repeated() throws {
        var fields = EventFields(
            kind: .scopeStart, uuid: EventUUID(high: 1, low: 1), timestamp: EventTime(epochMicroseconds: 1), name: "n")
        fields.category = "llm"
        fields.data = Array(#"{"headers":{"authorization":"Bearer hidden"},"content":{},"headers":{}}"#.utf8)
        var writer = EventBatchWriter()
        writer.append(packed: fields.packed())
        let event = try EventBatch(unpacking: writer.bytes).event(at: 0)
        var chain = try RedactionLines.chain()
        var notes = ChainNotes()
        guard case .changed(let packed) = chain.apply(event, tenant: "acme", &notes) else {
            Issue.record("the producer's bytes go on")
            return
        }
        #expect(!String(decoding: packed, as: UTF8.self).contains("hidden"))
    }

    @Test("of a tool's request are replaced, which the reference lets pass")
    func tools() throws {
        let event = try RedactionLines.event([
            "data": ["headers": ["Authorization": "secret", "accept": "a"], "url": "u"]
        ])
        #expect(
            try RedactionLines.apply(try RedactionLines.chain(), to: event).data?.value
                == ["headers": ["Authorization": "[REDACTED]", "accept": "a"], "url": "u"])
        #expect(
            try RedactionLines.apply(try RedactionLines.chain([], .strict), to: event).data?.value == event.data?.value)
    }

    @Test(
        "are found in the shapes that clients take, and in JSON text",
        arguments: [
            ([["Authorization", "secret"], ["accept", "a"]], [["Authorization", "[REDACTED]"], ["accept", "a"]]),
            (
                [
                    ["name": "Cookie", "value": "secret"], ["key": "x-api-key", "value": "secret"],
                    ["name": "a", "value": "b"],
                ],
                [
                    ["name": "Cookie", "value": "[REDACTED]"], ["key": "x-api-key", "value": "[REDACTED]"],
                    ["name": "a", "value": "b"],
                ]
            ),
            (["authorization: Bearer secret", "accept: a"], ["authorization: [REDACTED]", "accept: a"]),
            ("Accept: a\r\n X-Api-Key:secret", "Accept: a\n X-Api-Key: [REDACTED]"),
            ([["Authorization": "secret"]], [["Authorization": "[REDACTED]"]]),
            (["authorization": ["secret", "secret"]], ["authorization": "[REDACTED]"]),
            (#"{"authorization": "secret"}"#, #"{"authorization":"[REDACTED]"}"#),
            ("accept: a", "accept: a"),
            ([["accept", "secret"], 5, ["authorization"]], [["accept", "secret"], 5, ["authorization"]]),
        ] as [(JSONValue, JSONValue)])
    func shapes(headers: JSONValue, expected: JSONValue) throws {
        let plain: JSONValue = ["headers": headers, "url": "u"]
        for category in ["tool", "llm"] where category == "tool" || headers.objectValue == nil {
            let event = try RedactionLines.event(["category": .string(category), "data": plain])
            let after = try RedactionLines.apply(try RedactionLines.chain(), to: event)
            #expect(after.data?.value == ["headers": expected, "url": "u"])
        }
        let event = try RedactionLines.event(["data": .string(plain.compactText)])
        let after = try RedactionLines.apply(try RedactionLines.chain(), to: event)
        #expect(after.data?.value == .string((["headers": expected, "url": "u"] as JSONValue).compactText))
        #expect(
            try RedactionLines.apply(try RedactionLines.chain([], .strict), to: event).data?.value == event.data?.value)
    }

    @Test("are found in other spellings of the member", arguments: ["Headers", "HEADERS"])
    func spellings(member: String) throws {
        let headers: JSONValue = ["authorization": "secret"]
        let data: JSONValue = .object(JSONObject([(member, headers)]))
        for category in ["tool", "llm"] {
            let event = try RedactionLines.event(["category": .string(category), "data": data])
            #expect(
                try RedactionLines.apply(try RedactionLines.chain(), to: event).data?.value[member]
                    == ["authorization": "[REDACTED]"])
            #expect(try RedactionLines.apply(try RedactionLines.chain([], .strict), to: event).data?.value == data)
        }
    }

    @Test("leave events alone that have none", arguments: ["tool", "llm", "agent", "custom"])
    func others(category: String) throws {
        var chain = try RedactionLines.chain()
        var notes = ChainNotes()
        let event = try RedactionLines.event([
            "category": .string(category), "data": ["headers": ["accept": "a"], "content": "headers"],
        ])
        #expect(chain.apply(event, tenant: "t", &notes) == .unchanged)
        #expect(notes.changes.isEmpty)
    }
}
