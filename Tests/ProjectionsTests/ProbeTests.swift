import ATOF
import OTLP
import Testing

@testable import Projections

/// A few events that show one rule, and the spans that the reference made of them.
struct Probe: Sendable, CustomTestStringConvertible {
    let json: JSONValue

    var testDescription: String { json["probe"]?.stringValue ?? "" }
    /// Whether Skein's own answer is another one.
    var differs: Bool { json["differs"] == true }

    static let all: [Probe] = {
        let lines = (try? Events.bytes("probes", "probes.jsonl"))?.split(separator: UInt8(ascii: "\n")) ?? []
        return lines.compactMap { try? Probe(json: JSONParser.parse(Array($0))) }
    }()

    /// By projection.
    var expected: [(ProjectionConfiguration.Projection, JSONValue)] {
        json["expected"]?.objectValue?.compactMap { member in
            ProjectionConfiguration.Projection(rawValue: member.key).map { ($0, member.value) }
        } ?? []
    }

    func spans(_ projection: ProjectionConfiguration.Projection, _ compatibility: Compatibility) throws -> JSONValue {
        var configuration = ProjectionConfiguration(projection: projection)
        configuration.compatibility = compatibility
        configuration.promoteMetadataPrefixes = json["promote"]?.arrayValue?.compactMap(\.stringValue) ?? []
        configuration.attributeMappings =
            json["mappings"]?.arrayValue?.map {
                .init(key: $0["key"]?.stringValue ?? "", alias: $0["alias"]?.stringValue ?? "")
            } ?? []
        var run = Run(configuration)
        for event in json["events"]?.arrayValue ?? [] {
            try run.receive(packed: EventJSONDecoder.decode(Array(event.compactText.utf8)).packed())
        }
        if run.spans.isEmpty { return [] }
        let resource = ResourceConfiguration()
        let request = try #require(
            OTLPJSON.exportTraceServiceRequest(
                spans: run.spans.map(SpanEncoder.encode), resource: ResourceEncoder.resource(resource, version: "1"),
                scope: ResourceEncoder.scope(resource)))
        let scope = request["resourceSpans"]?.arrayValue?.first?["scopeSpans"]?.arrayValue?.first
        return .array((scope?["spans"]?.arrayValue ?? []).map(Self.form))
    }

    /// In the form of the recording.
    private static func form(_ span: JSONValue) -> JSONValue {
        var members = JSONObject([
            ("id", span["spanId"] ?? .null), ("trace", span["traceId"] ?? .null),
            ("parent", span["parentSpanId"] ?? ""), ("flags", span["flags"] ?? .null), ("name", span["name"] ?? .null),
            ("attributes", attributes(span)),
        ])
        let events = span["events"]?.arrayValue ?? []
        if !events.isEmpty { members["events"] = .array(events.map(attributes)) }
        return .object(members)
    }

    private static func attributes(_ owner: JSONValue) -> JSONValue {
        var result = JSONObject()
        for attribute in owner["attributes"]?.arrayValue ?? [] {
            if let key = attribute["key"]?.stringValue { result[key] = attribute["value"] }
        }
        return .object(result)
    }
}

@Suite("Probes of the reference")
struct ProbeTests {
    @Test("are all there")
    func count() { #expect(Probe.all.count == 101 && Probe.all.allSatisfy { !$0.expected.isEmpty }) }

    @Test("are projected as the reference did", arguments: Probe.all, Compatibility.allCases)
    func projects(_ probe: Probe, _ compatibility: Compatibility) throws {
        for (projection, expected) in probe.expected {
            let found = try probe.spans(projection, compatibility)
            if probe.differs && compatibility == .skein {
                #expect(found != expected, "\(projection)")
            } else {
                #expect(found == expected, "\(projection)")
            }
        }
    }
}
