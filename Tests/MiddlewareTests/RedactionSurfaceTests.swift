import ATOF
import LLMCodecs
import Middleware
import Testing

@Suite("Surfaces of pii_redaction")
struct RedactionSurfaceTests {
    /// The kinds of events, and which switches cover them.
    private static let kinds: [(members: JSONValue, switches: Set<String>)] = [
        (["kind": "mark", "category": .null], ["mark"]), (["category": "tool"], ["tool_input"]),
        (["category": "tool", "scope_category": "end"], ["tool_output"]), (["category": "llm"], ["input"]),
        (["category": "llm", "scope_category": "end"], ["output"]), (["category": "agent"], ["input", "tool_input"]),
        (["category": "agent", "scope_category": "end"], ["output", "tool_output"]),
        (["category": "guardrail"], ["input", "tool_input"]),
    ]

    @Test("are covered by their switches", arguments: ["input", "output", "mark", "tool_input", "tool_output"])
    func switches(name: String) throws {
        var surfaces = PIIRedaction.Surfaces()
        surfaces.input = name == "input"
        surfaces.output = name == "output"
        surfaces.mark = name == "mark"
        surfaces.toolInput = name == "tool_input"
        surfaces.toolOutput = name == "tool_output"
        let chain = try RedactionLines.chain([RedactionLines.email()], surfaces: surfaces, .strict)
        for (members, switches) in Self.kinds {
            var object = try #require(members.objectValue)
            object["data"] = ["to": "bob@example.com"]
            object["metadata"] = ["by": "ann@example.com"]
            let after = try RedactionLines.apply(chain, to: try RedactionLines.event(.object(object)))
            let isCovered = switches.contains(name)
            #expect((after.data?.value["to"] == "[REDACTED]") == isCovered, "\(members)")
            #expect((after.metadata?.value["by"] == "[REDACTED]") == isCovered, "\(members)")
        }
    }

    @Test("of a tool's end hold the annotation of its result")
    func resultAnnotation() throws {
        let event = try RedactionLines.event([
            "scope_category": "end", "data": "sent to bob@example.com",
            "category_profile": ["tool_call_id": "c", "tool_result_annotation": ["to": "bob@example.com"]],
            "metadata": ["otel.status_description": "refused by bob@example.com", "otel.status_code": "ERROR"],
        ])
        let after = try RedactionLines.apply(try RedactionLines.chain([RedactionLines.email()], .strict), to: event)
        #expect(after.data?.value == "sent to [REDACTED]")
        #expect(
            after.categoryProfile?.value == ["tool_call_id": "c", "tool_result_annotation": ["to": "[REDACTED]"]])
        #expect(
            after.metadata?.value
                == ["otel.status_description": "refused by [REDACTED]", "otel.status_code": "ERROR"])
    }

    @Test("drop a profile that has lost its shape")
    func shape() throws {
        let event = try RedactionLines.event([
            "kind": "mark", "category": "custom",
            "category_profile": [
                "subtype": "s", "annotated_request": ["messages": [["role": "user", "content": "x"]]],
            ],
        ])
        let paths = ["/annotated_request/messages/0/role"]
        let after = try RedactionLines.apply(
            try RedactionLines.chain([RedactionLines.email(.remove, paths: paths)], .strict), to: event)
        #expect(after.categoryProfile == nil)
    }

    @Test("have no place in an event that the policy does not look at", arguments: [Compatibility.skein, .strict])
    func names(compatibility: Compatibility) throws {
        let event = try RedactionLines.event([
            "name": "mail to bob@example.com", "category": "tool", "attributes": ["remote", "bob@example.com"],
            "category_profile": ["tool_call_id": "call bob@example.com", "more": ["bob@example.com"]],
            "data": ["bob@example.com": 1], "data_schema": ["name": "bob@example.com", "version": "1"],
            "x_unknown": ["bob@example.com"],
        ])
        let after = try RedactionLines.apply(
            try RedactionLines.chain([RedactionLines.email()], compatibility), to: event)
        let line = String(decoding: EventJSONEncoder.line(after), as: UTF8.self)
        #expect(line.contains("bob@example.com") == (compatibility == .strict))
        #expect(after.uuid == event.uuid && after.timestamp == event.timestamp)
        if compatibility == .skein {
            #expect(after.name == "mail to [REDACTED]")
            #expect(after.attributes == ["remote", "[REDACTED]"])
        }
    }

    @Test("keep the words that say what a document is, when every text is hashed or masked")
    func words() throws {
        var builtin = BuiltinRedaction()
        builtin.action = .mask
        let event = try RedactionLines.event([
            "kind": "mark", "category": .null,
            "data": ["role": "user", "type": "text", "model": "gpt-4o", "text": "abc", "status": "a free text"],
            "metadata": ["otel.status_code": "OK"],
        ])
        let skein = try RedactionLines.apply(try RedactionLines.chain([builtin]), to: event)
        #expect(
            skein.data?.value
                == ["role": "user", "type": "text", "model": "gpt-4o", "text": "***", "status": "***********"])
        #expect(skein.metadata?.value == ["otel.status_code": "OK"])
        let strict = try RedactionLines.apply(try RedactionLines.chain([builtin], .strict), to: event)
        #expect(strict.data?.value["role"] == "****")
        #expect(strict.metadata?.value == ["otel.status_code": "**"])
    }
}
