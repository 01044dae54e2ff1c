import ATOF
import AgentEvents
import AgentKit
import Testing

/// Scenarios that are no more than scopes, calls and marks inside each other: the recorded events say what the program did.
@Suite("Recorded sequences: nested scopes and calls")
struct ReplayedScenarioTests {
    @Test(
        "the same scopes, managed calls and marks give the same events",
        arguments: [
            "02-managed-openai-chat", "03-nested-agents", "08-openai-responses", "09-anthropic-messages",
            "10-gemini-and-oci", "27-marks-plain", "39-turn-scopes",
        ])
    func nested(name: String) async throws {
        let recorder = Recorder()
        let nodes = RecordedNode.tree(try RecordedSequence.events(name))
        try await recorder.runtime.withStack { try await RecordedNode.run(nodes, in: $0) }
        try RecordedSequence.expect(recorder, equals: name)
    }

    @Test("scopes of every type, with metadata at both ends")
    func types() async throws {
        let recorder = Recorder()
        let nodes = RecordedNode.tree(try RecordedSequence.events("34-all-scope-categories"))
        try await recorder.runtime.withStack { try await RecordedNode.run(nodes, in: $0) }
        // The recording ended these by hand; a closure always says how it went.
        try RecordedSequence.expect(recorder, equals: "34-all-scope-categories") { events in
            events.map { event in
                guard event["scope_category"] == "end", var object = event.objectValue else { return event }
                var metadata = object["metadata"]?.objectValue ?? JSONObject()
                metadata["otel.status_code"] = "OK"
                object["metadata"] = .object(metadata)
                return .object(object)
            }
        }
    }
}

/// A recorded scope or mark with what happened inside.
struct RecordedNode: Sendable {
    let start: JSONValue
    var end: JSONValue?
    var inner: [RecordedNode] = []

    /// From events whose scopes end in the opposite order of their starts.
    static func tree(_ events: [JSONValue]) -> [RecordedNode] {
        var open: [RecordedNode] = [RecordedNode(start: .null)]
        for event in events {
            switch event["scope_category"] {
            case "start"?: open.append(RecordedNode(start: event))
            case "end"?:
                var node = open.removeLast()
                node.end = event
                open[open.count - 1].inner.append(node)
            default: open[open.count - 1].inner.append(RecordedNode(start: event))
            }
        }
        return open[0].inner
    }

    static func run(_ nodes: [RecordedNode], in scope: AgentScope) async throws {
        for node in nodes { try await node.run(in: scope) }
    }

    private func member(_ key: String) -> JSON { JSON(start[key] ?? .null) }

    @Sendable
    private func run(in scope: AgentScope) async throws {
        let name = start["name"]?.stringValue ?? ""
        let output = JSON(end?["data"] ?? .null)
        switch start["category"]?.stringValue {
        case nil:
            let schema = start["data_schema"]?.objectValue.map { schema in
                EventSchema(name: schema["name"]?.stringValue ?? "", version: schema["version"]?.stringValue ?? "")
            }
            scope.mark(name, data: member("data"), metadata: member("metadata"), schema: schema)
        case "tool"? where start["category_profile"]?.objectValue != nil:
            try await scope.callTool(
                name, member("data"), id: start["category_profile"]?["tool_call_id"]?.stringValue,
                metadata: member("metadata")
            ) { _ -> JSON in
                try await RecordedNode.run(inner, in: scope)
                return output
            }
        case "llm"? where start["category_profile"]?.objectValue != nil:
            let profile = start["category_profile"]
            let api = profile?["annotated_request"]?["api_specific"]?["api"]?.stringValue
            // Gemini is the one whose annotation does not say it.
            let codec =
                profile?["annotated_request"] == nil ? nil : api.flatMap(ModelCodec.init(rawValue:)) ?? .gemini
            // What the program sent: credentials too, and no session headers.
            var headers = JSON(start["data"]?["headers"] ?? .null)
            headers["x-dynamo-session-id"] = nil
            headers["x-dynamo-parent-session-id"] = nil
            headers["X-API-Key"] = "never published"
            try await scope.callModel(
                name, ModelRequest(headers: headers, content: JSON(start["data"]?["content"] ?? .null)),
                model: profile?["model_name"]?.stringValue, codec: codec, metadata: member("metadata")
            ) { _ in
                try await RecordedNode.run(inner, in: scope)
                return output
            }
        case let category?:
            let type = try #require(ScopeType(rawValue: category))
            let attributes = (start["attributes"]?.arrayValue ?? []).compactMap {
                $0.stringValue.flatMap(ScopeAttribute.init(rawValue:))
            }
            try await scope.withScope(
                type, name, input: member("data"), metadata: member("metadata"), attributes: attributes
            ) { inside in
                try await RecordedNode.run(inner, in: inside)
                inside.setOutput(output)
                // What was there at the start is merged anyway.
                inside.addEndMetadata(JSON(end?["metadata"] ?? .null))
            }
        }
    }
}
