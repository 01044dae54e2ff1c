import ATOF
import Projections
import Testing

@Suite("Metric marks")
struct MetricMarkTests {
    /// What a projector makes of a mark with this data alone.
    private static func metrics(
        _ data: String, schema: String = "nemo.relay.metric_measurements", version: String = "1"
    ) throws -> (metrics: [ProjectedMetric], counters: MetricCounters) {
        var fields = Events.fields(.mark, Events.uuid(1), data: data)
        fields.dataSchema = .init(name: schema, version: version)
        var projector = MetricProjector(configuration: MetricConfiguration())
        var output = MetricOutput()
        projector.receive(try Events.event(fields.packed()), of: "", into: &output)
        projector.finish(into: &output)
        return (output.metrics.map(\.metric), projector.counters)
    }

    /// A valid measurement with some members replaced; an empty text takes the member away.
    private static func measurement(_ changes: KeyValuePairs<String, String> = [:]) -> String {
        var members = ["name": #""m""#, "kind": #""counter""#, "value_type": #""u64""#, "value": "1"]
        for (key, value) in changes { members[key] = value.isEmpty ? nil : value }
        return "{" + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    private static let longest = String(repeating: "a", count: 255)

    private static let good: [String] = [
        measurement(), measurement(["unit": "null", "description": "null", "attributes": "null"]),
        measurement(["name": "\"\(longest)\""]), measurement(["name": #""A_z.9-/""#]),
        measurement(["unit": "\"\(longest.prefix(63))\"", "description": #""ünï""#]), measurement(["unit": #""""#]),
        measurement(["value": "0"]), measurement(["value": "9223372036854775807"]),
        measurement(["value_type": #""f64""#, "value": "0"]),
        measurement(["value_type": #""f64""#, "value": "18446744073709551615"]),
        measurement(["kind": #""up_down_counter""#, "value_type": #""i64""#, "value": "-9223372036854775808"]),
        measurement(["kind": #""up_down_counter""#, "value_type": #""f64""#, "value": "-1e300"]),
        measurement(["kind": #""gauge""#]),
        measurement(["kind": #""gauge""#, "value_type": #""i64""#, "value": "-1"]),
        measurement(["kind": #""gauge""#, "value_type": #""f64""#, "value": "-0.5"]),
        measurement(["kind": #""histogram""#]),
        measurement(["kind": #""histogram""#, "value_type": #""f64""#, "value": "-1", "boundaries": "[-2,0,1.5]"]),
        measurement(["kind": #""histogram""#, "boundaries": "[]"]), measurement(["boundaries": "null"]),
        measurement([
            "attributes": #"{"s":"","b":false,"i":-1,"d":1.5,"ss":["a"],"bs":[true],"is":[1,2],"ds":[1.0,2.5]}"#
        ]),
        measurement(["attributes": "{}"]),
    ]

    @Test("are taken when each field is as it must be", arguments: good)
    func valid(_ measurement: String) throws {
        let (metrics, counters) = try Self.metrics(#"{"measurements":[\#(measurement)]}"#)
        #expect(metrics.count == 1 && counters == MetricCounters())
    }

    private static let bad: [String] = [
        measurement(["name": ""]), measurement(["name": "null"]), measurement(["name": "1"]),
        measurement(["name": #""""#]), measurement(["name": #""1a""#]), measurement(["name": #""_a""#]),
        measurement(["name": #""a b""#]), measurement(["name": #""ä""#]), measurement(["name": #""aä""#]),
        measurement(["name": "\"a\(longest)\""]), measurement(["kind": ""]), measurement(["kind": #""Counter""#]),
        measurement(["kind": #""summary""#]), measurement(["value_type": ""]),
        measurement(["value_type": #""u32""#]),
        measurement(["value_type": #""i64""#]), measurement(["kind": #""up_down_counter""#]),
        measurement(["kind": #""histogram""#, "value_type": #""i64""#]), measurement(["value": ""]),
        measurement(["value": "null"]), measurement(["value": #""1""#]), measurement(["value": "true"]),
        measurement(["value": "1.0"]), measurement(["value": "-1"]), measurement(["value": "9223372036854775808"]),
        measurement(["value_type": #""f64""#, "value": "-0.1"]),
        measurement(["kind": #""gauge""#, "value_type": #""i64""#, "value": "9223372036854775808"]),
        measurement(["unit": "1"]), measurement(["unit": #""µs""#]),
        measurement(["unit": "\"\(longest.prefix(64))\""]),
        measurement(["description": "[]"]), measurement(["boundaries": "[]"]), measurement(["boundaries": "[1]"]),
        measurement(["kind": #""gauge""#, "boundaries": "[1]"]),
        measurement(["kind": #""histogram""#, "boundaries": "1"]),
        measurement(["kind": #""histogram""#, "boundaries": "[1,1]"]),
        measurement(["kind": #""histogram""#, "boundaries": "[2,1]"]),
        measurement(["kind": #""histogram""#, "boundaries": #"["1"]"#]),
        measurement(["kind": #""histogram""#, "boundaries": "[\((0..<65).map { "\($0)" }.joined(separator: ","))]"]
        ),
        measurement(["attributes": "[]"]), measurement(["attributes": #"{"a":null}"#]),
        measurement(["attributes": #"{"a":{}}"#]),
        measurement(["attributes": #"{"a":9223372036854775808}"#]), measurement(["attributes": #"{"":1}"#]),
        measurement(["attributes": #"{" \t":1}"#]), measurement(["attributes": #"{"a":[]}"#]),
        measurement(["attributes": #"{"a":[1,1.5]}"#]), measurement(["attributes": #"{"a":[1.5,1]}"#]),
        measurement(["attributes": #"{"a":[null]}"#]), measurement(["attributes": #"{"a":["x",1]}"#]),
        measurement(["attributes": #"{"a":[[1]]}"#]), measurement(["extra": "1"]), measurement(["extra": "null"]),
        "1", "[]", "null",
    ]

    @Test("are dropped for one bad field", arguments: bad)
    func invalid(_ measurement: String) throws {
        // The others of the mark go with it.
        let (metrics, counters) = try Self.metrics(#"{"measurements":[\#(Self.measurement()),\#(measurement)]}"#)
        #expect(metrics.isEmpty && counters.invalidMarks == 1)
    }

    @Test(
        "are dropped for a bad envelope",
        arguments: [
            "", "[]", "1", "{}", #"{"measurements":[]}"#, #"{"measurements":null}"#, #"{"measurements":{}}"#,
            #"{"measurements":[\#(measurement())],"extra":null}"#,
            // The same name with another unit, whatever its case.
            #"{"measurements":[\#(measurement()),\#(measurement(["name": #""M""#, "unit": #""s""#]))]}"#,
        ])
    func envelope(_ data: String) throws {
        let (metrics, counters) = try Self.metrics(data)
        #expect(metrics.isEmpty && counters.invalidMarks == 1)
    }

    @Test("are those of one schema and version")
    func schema() throws {
        let data = #"{"measurements":[\#(Self.measurement())]}"#
        #expect(try Self.metrics(data, version: "2").counters.invalidMarks == 1)
        let other = try Self.metrics(data, schema: "nemo.relay.metric_measurement")
        #expect(other.metrics.isEmpty && other.counters.invalidMarks == 0)
    }
}
