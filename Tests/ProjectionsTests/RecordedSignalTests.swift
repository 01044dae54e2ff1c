import ATOF
import OTLP
import Projections
import Testing

@Suite("Recorded logs and metrics")
struct RecordedSignalTests {
    private static let resource = ResourceConfiguration(
        serviceName: "golden-service", instrumentationScope: "golden-scope")

    @Test(
        "records are those of the reference",
        arguments: [
            ("27-marks-plain", .trace), ("28-marks-severity", .trace), ("33-orphan-marks", .trace),
            ("48-metadata-injection", .trace), ("69-log-minimum-severity", .warn),
        ] as [(String, LogSeverity)])
    func logs(_ name: String, _ minimum: LogSeverity) throws {
        var projector = LogProjector(configuration: LogConfiguration(minimumSeverity: minimum))
        var output = LogOutput()
        for packed in try Events.ofCase(name) { projector.receive(try Events.event(packed), of: "", into: &output) }
        let request = try #require(
            OTLPJSON.exportLogsServiceRequest(
                records: output.records.map { LogRecordEncoder.encode($0.record) },
                resource: ResourceEncoder.resource(Self.resource, version: "1"),
                scope: ResourceEncoder.scope(Self.resource)))
        let expected = try JSONParser.parse(Events.bytes(name, "logs.json"))
        let path = ["resourceLogs", "scopeLogs", "logRecords"]
        let (found, wanted) = (Self.records([request], path), Self.records(expected, path))
        #expect(!wanted.isEmpty && found == wanted)
    }

    @Test(
        "metrics are those of the reference",
        arguments: ["11-streaming-ok", "29-marks-metrics", "30-marks-metrics-invalid", "70-metrics-delta"])
    func metrics(_ name: String) throws {
        var configuration = MetricConfiguration()
        if name.hasPrefix("70") {
            configuration = MetricConfiguration(temporality: .delta, maximumInstruments: 2, cardinalityLimit: 3)
        }
        for compatibility in Compatibility.allCases {
            configuration.compatibility = compatibility
            var projector = MetricProjector(configuration: configuration)
            var output = MetricOutput()
            for packed in try Events.ofCase(name) { projector.receive(try Events.event(packed), of: "", into: &output) }
            projector.finish(into: &output)
            let request = try #require(
                OTLPJSON.exportMetricsServiceRequest(
                    metrics: output.metrics.map { MetricEncoder.encode($0.metric) },
                    resource: ResourceEncoder.resource(Self.resource, version: "1"),
                    scope: ResourceEncoder.scope(Self.resource)))
            let expected = try JSONParser.parse(Events.bytes(name, "metrics.json")).arrayValue?.last
            let path = ["resourceMetrics", "scopeMetrics", "metrics"]
            let (found, wanted) = (Self.records([request], path), Self.records([expected ?? .null], path))
            #expect(!wanted.isEmpty && found == wanted)
        }
    }

    /// The items of all requests without their order and the clocks; attributes and kvlists by key.
    private static func records(_ requests: JSONValue, _ path: [String]) -> Set<JSONValue> {
        var found = requests.arrayValue ?? []
        for key in path { found = found.compactMap { $0[key]?.arrayValue }.flatMap(\.self) }
        return Set(found.map(normal))
    }

    private static func normal(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements):
            let keyed = elements.filter { $0.objectValue.map { $0["value"] != nil && $0.count <= 2 } ?? false }
            if !elements.isEmpty, keyed.count == elements.count {
                return .object(
                    JSONObject(elements.map { ($0["key"]?.stringValue ?? "", normal($0["value"] ?? .null)) }))
            }
            let isPoints = elements.contains { $0["timeUnixNano"] != nil }
            let normalised = elements.map(normal)
            return .array(isPoints ? normalised.sorted { $0.compactText < $1.compactText } : normalised)
        case .object(var members):
            members["observedTimeUnixNano"] = nil
            if members["startTimeUnixNano"] != nil || members["asInt"] != nil || members["asDouble"] != nil
                || members["bucketCounts"] != nil
            {
                members["startTimeUnixNano"] = nil
                members["timeUnixNano"] = nil
            }
            return .object(JSONObject(members.map { ($0.key, normal($0.value)) }))
        case .null, .bool, .int, .unsigned, .double, .string: return value
        }
    }
}
