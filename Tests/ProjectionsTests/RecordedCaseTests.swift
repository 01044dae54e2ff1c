import ATOF
import OTLP
import Projections
import Testing

let recordedCases = [
    "01-simple-agent-tool-llm", "02-managed-openai-chat", "03-nested-agents", "06-parallel-tools-no-ids",
    "18-error-inheritance", "27-marks-plain",
]

/// Of which only the spans of `gen_ai` are kept.
let recordedGenAICases = [
    "08-openai-responses", "09-anthropic-messages", "11-streaming-ok", "35-gen-ai-attributes", "36-custom-profile",
    "39-turn-scopes", "48-metadata-injection", "58-multimodal",
]

@Suite("Recorded cases")
struct RecordedCaseTests {
    @Test(
        "are projected as the reference did",
        arguments: recordedCases, ["full", "openinference", "full.marktool", "openinference.marktool"])
    func projects(_ name: String, _ output: String) throws { try compare(name, output) }

    @Test("are projected to gen_ai as the reference did", arguments: recordedCases + recordedGenAICases)
    func projectsGenAI(_ name: String) throws { try compare(name, "gen_ai") }

    private func compare(_ name: String, _ output: String) throws {
        let words = output.split(separator: ".")
        let projection = try #require(ProjectionConfiguration.Projection(rawValue: String(words[0])))
        var configuration = ProjectionConfiguration(
            projection: projection, markProjection: words.count > 1 ? .tool : .inherit)
        configuration.compatibility = .strict
        var run = Run(configuration)
        for packed in try Events.ofCase(name) { try run.receive(packed: packed) }
        let resource = ResourceConfiguration(
            serviceName: "golden-service", serviceNamespace: "golden", serviceVersion: "1.2.3",
            instrumentationScope: "golden-scope", resourceAttributes: ["deployment.environment": "test"])
        let request = try #require(
            OTLPJSON.exportTraceServiceRequest(
                spans: run.spans.map(SpanEncoder.encode), resource: ResourceEncoder.resource(resource, version: "1"),
                scope: ResourceEncoder.scope(resource)))
        let expected = try spans(JSONParser.parse(Events.bytes(name, "\(output).json")))
        let found = spans([request])
        #expect(!expected.isEmpty && found.count == expected.count)
        for (key, span) in expected { #expect(found[key] == span) }
    }

    /// Spans by identifier, attributes by key, resource and scope with each; texts that hold JSON are compared as JSON.
    private func spans(_ requests: JSONValue) -> [String: JSONValue] {
        var result: [String: JSONValue] = [:]
        for resource in requests.arrayValue?.compactMap({ $0["resourceSpans"]?.arrayValue }).flatMap(\.self) ?? [] {
            for scope in resource["scopeSpans"]?.arrayValue ?? [] {
                for span in scope["spans"]?.arrayValue ?? [] {
                    guard var members = span.objectValue, let id = span["spanId"]?.stringValue else { continue }
                    members["attributes"] = attributes(span)
                    members["resource"] = resource["resource"].map(attributes)
                    members["scope"] = scope["scope"]?["name"]
                    members["status"] = span["status"]?.objectValue.flatMap { $0.isEmpty ? nil : .object($0) }
                    members["events"] = span["events"]?.arrayValue.map { events in
                        .array(
                            events.map { event in
                                guard var members = event.objectValue else { return event }
                                members["attributes"] = attributes(event)
                                return .object(members)
                            })
                    }
                    result[id] = .object(members)
                }
            }
        }
        return result
    }

    private func attributes(_ owner: JSONValue) -> JSONValue {
        var result = JSONObject()
        for attribute in owner["attributes"]?.arrayValue ?? [] {
            guard let key = attribute["key"]?.stringValue, !key.hasPrefix("telemetry.sdk.") else { continue }
            let json = attribute["value"]?["stringValue"]?.stringValue.flatMap { text -> JSONValue? in
                text.hasPrefix("{") || text.hasPrefix("[") ? try? JSONParser.parse(text) : nil
            }
            result[key] = json.map { ["json": $0] } ?? attribute["value"]
        }
        return .object(result)
    }
}
