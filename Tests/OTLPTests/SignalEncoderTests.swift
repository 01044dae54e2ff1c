import ATOF
import CProtobufC
import CSkeinProto
import OTLP
import Projections
import Testing

@Suite("OTLP encoders of logs and metrics")
struct SignalEncoderTests {
    private static let value: JSONValue = [
        "null": .null, "no": false, "zero": 0, "most": .int(.max), "beyond": .unsigned(.max), "double": -2.5,
        "text": "ünï\0x", "empty": "", "": 1, "list": [1, "x", .null, [], [:]], "none": [], "object": ["a": ["b": 1]],
        "long": .string(String(repeating: "y", count: 70_000)),
    ]

    @Test(
        "write log records that protobuf-c reads, byte for byte as it would write them",
        arguments: [nil, .null, "x", 7, value] as [JSONValue?], [false, true])
    func logRecord(_ body: JSONValue?, _ hasContext: Bool) throws {
        let record = ProjectedLogRecord(
            time: hasContext ? 7 : 0, observedTime: hasContext ? .max : 0, severity: .warn, body: body,
            attributes: [.init("a", Self.value), .init("b", "")],
            context: hasContext
                ? .init(
                    traceID: EventUUID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10), spanID: 0xFF) : nil)
        let encoded = LogRecordEncoder.encode(record)
        let decoded = try #require(skein__v1__otlp__log_record__unpack(nil, encoded.count, encoded))
        defer { skein__v1__otlp__log_record__free_unpacked(decoded, nil) }
        #expect(decoded.pointee.severity_number == 13 && bytes(decoded.pointee.severity_text) == Array("WARN".utf8))
        #expect(decoded.pointee.flags == (hasContext ? 1 : 0) && decoded.pointee.n_attributes == 2)
        #expect(bytes(decoded.pointee.trace_id) == (hasContext ? Array(1...16) : []))
        #expect(bytes(decoded.pointee.span_id) == (hasContext ? [0, 0, 0, 0, 0, 0, 0, 0xFF] : []))
        #expect((decoded.pointee.body == nil) == (body == nil))
        var packed = [UInt8](repeating: 0, count: skein__v1__otlp__log_record__get_packed_size(decoded))
        #expect(skein__v1__otlp__log_record__pack(decoded, &packed) == encoded.count && packed == encoded)
        let (isRecord, traceID) = LogRecordEncoder.trace(ofEncoded: encoded)
        #expect(isRecord && traceID == record.context?.traceID)
        #expect(!LogRecordEncoder.trace(ofEncoded: [0x0A]).isRecord)
    }

    private static let attributes: [Attribute] = [.init("k", .string("v")), .init("list", .ints([1, 2]))]

    private static let points: [ProjectedMetric.NumberPoint] = [
        .init(attributes: attributes, startTime: 1, time: 2, value: .int(-1)),
        .init(attributes: [], startTime: 0, time: 0, value: .int(0)),
        .init(attributes: [], startTime: 0, time: 3, value: .double(0)),
    ]

    private static let histograms: [ProjectedMetric.HistogramPoint] = [
        .init(
            attributes: attributes, startTime: 1, time: 2, count: 3, sum: -1.5, minimum: -2, maximum: 0,
            buckets: [1, 0, 2], bounds: [-1, 0.5]),
        .init(
            attributes: [], startTime: 1, time: 2, count: 300, sum: 0, minimum: 0, maximum: 0, buckets: [300],
            bounds: []),
    ]

    @Test(
        "write metrics that protobuf-c reads, byte for byte as it would write them",
        arguments: [
            .gauge(points), .sum(points, .delta, isMonotonic: true), .sum(points, .cumulative, isMonotonic: false),
            .histogram(histograms, .cumulative), .gauge([]),
        ] as [ProjectedMetric.Data], [nil, "", "ünit"])
    func metric(_ data: ProjectedMetric.Data, _ text: String?) throws {
        let encoded = MetricEncoder.encode(ProjectedMetric(name: "m", description: text, unit: text, data: data))
        let decoded = try #require(skein__v1__otlp__metric__unpack(nil, encoded.count, encoded))
        defer { skein__v1__otlp__metric__free_unpacked(decoded, nil) }
        #expect(bytes(decoded.pointee.name) == Array("m".utf8))
        #expect(bytes(decoded.pointee.unit) == Array((text ?? "").utf8))
        var packed = [UInt8](repeating: 0, count: skein__v1__otlp__metric__get_packed_size(decoded))
        #expect(skein__v1__otlp__metric__pack(decoded, &packed) == encoded.count && packed == encoded)
        #expect(MetricEncoder.isEncoded(encoded) && !MetricEncoder.isEncoded([0x0A]) && !MetricEncoder.isEncoded([]))
    }

    @Test("show the packed bytes as OTLP/JSON")
    func json() throws {
        let record = ProjectedLogRecord(
            time: 1, observedTime: 2, severity: .info, body: ["a": [.null, .unsigned(.max)]], attributes: [],
            context: nil)
        let logs = OTLPJSON.exportLogsServiceRequest(
            records: [LogRecordEncoder.encode(record)], resource: [], scope: [])
        let expectedLogs = #"""
            {"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1",
            "observedTimeUnixNano":"2","severityNumber":9,"severityText":"INFO","body":{"kvlistValue":{"values":[{"key":"a",
            "value":{"arrayValue":{"values":[{"stringValue":"null"},{"stringValue":"18446744073709551615"}]}}}]}}}]}]}]}
            """#
        #expect(logs == (try JSONParser.parse(expectedLogs)))
        let sum = ProjectedMetric(
            name: "s", description: nil, unit: "1",
            data: .sum([.init(attributes: [], startTime: 1, time: 2, value: .int(0))], .delta, isMonotonic: true))
        let histogram = ProjectedMetric(
            name: "h", description: "d", unit: nil, data: .histogram([Self.histograms[0]], .cumulative))
        let gauge = ProjectedMetric(
            name: "g", description: nil, unit: nil,
            data: .gauge([.init(attributes: [], startTime: 0, time: 2, value: .double(.infinity))]))
        let metrics = OTLPJSON.exportMetricsServiceRequest(
            metrics: [sum, histogram, gauge].map(MetricEncoder.encode), resource: [], scope: [])
        let expectedMetrics = #"""
            {"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[
            {"name":"s","unit":"1","sum":{"aggregationTemporality":1,"isMonotonic":true,
            "dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"2","asInt":"0"}]}},
            {"name":"h","description":"d","histogram":{"aggregationTemporality":2,"dataPoints":[{"startTimeUnixNano":"1",
            "timeUnixNano":"2","count":"3","sum":-1.5,"min":-2.0,"max":0.0,"bucketCounts":["1","0","2"],
            "explicitBounds":[-1.0,0.5],"attributes":[{"key":"k","value":{"stringValue":"v"}},
            {"key":"list","value":{"arrayValue":{"values":[{"intValue":"1"},{"intValue":"2"}]}}}]}]}},
            {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"2","asDouble":"Infinity"}]}}]}]}]}
            """#
        #expect(metrics == (try JSONParser.parse(expectedMetrics)))
        #expect(OTLPJSON.exportLogsServiceRequest(records: [[0x0A]], resource: [], scope: []) == nil)
        #expect(OTLPJSON.exportMetricsServiceRequest(metrics: [[0x0A]], resource: [], scope: []) == nil)
    }

    private func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
        Array(UnsafeBufferPointer(start: data.data, count: data.len))
    }
}
