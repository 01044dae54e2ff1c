import ATOF
import Projections
import Testing

@Suite("Metric projector")
struct MetricProjectorTests {
    /// A measurement as a mark has it.
    struct Measurement {
        var name = "m"
        var kind = "counter"
        var type = "u64"
        var value = "1"
        var attributes = "{}"
        var more = ""

        var json: String {
            #"{"name":"\#(name)","kind":"\#(kind)","value_type":"\#(type)","value":\#(value),"attributes":\#(attributes)\#(more)}"#
        }
    }

    private struct Meter {
        var projector: MetricProjector
        var outputs: [MetricOutput] = []

        init(_ configuration: MetricConfiguration = MetricConfiguration(exportInterval: 60)) {
            projector = MetricProjector(configuration: configuration)
        }

        /// Collected since the last call.
        mutating func take() -> [ProjectedMetric] {
            defer { outputs = [] }
            return outputs.flatMap(\.metrics).map(\.metric)
        }

        mutating func measure(
            _ measurements: Measurement..., at time: UInt64 = 0, of tenant: String = "t", run: UInt64 = 1,
            isExpired: Bool = false
        ) throws {
            var fields = Events.fields(
                .mark, Events.uuid(99),
                data: #"{"measurements":[\#(measurements.map(\.json).joined(separator: ","))]}"#)
            fields.dataSchema = .init(name: "nemo.relay.metric_measurements", version: "1")
            try receive(fields, at: time, of: tenant, run: run, isExpired: isExpired)
        }

        mutating func receive(
            _ fields: EventFields, at time: UInt64 = 0, of tenant: String = "t", run: UInt64 = 1,
            isExpired: Bool = false
        ) throws {
            var output = MetricOutput()
            projector.advance(to: time, into: &output)
            projector.receive(
                try Events.event(Events.packed(fields, root: Events.uuid(run))), of: tenant, isExpired: isExpired,
                into: &output)
            outputs.append(output)
        }

        mutating func tick(_ time: UInt64) -> [ProjectedMetric] {
            outputs = []
            var output = MetricOutput()
            projector.advance(to: time, into: &output)
            outputs.append(output)
            return take()
        }

        mutating func finish() -> [ProjectedMetric] {
            var output = MetricOutput()
            projector.finish(into: &output)
            outputs.append(output)
            return take()
        }

        /// The same, stopped and continued.
        func restored() throws -> Meter {
            var meter = self
            meter.projector = try MetricProjector(
                configuration: projector.configuration, snapshot: projector.snapshot())
            return meter
        }
    }

    private static func numbers(_ metric: ProjectedMetric?) -> [ProjectedMetric.NumberPoint] {
        switch metric?.data {
        case .gauge(let points), .sum(let points, _, _): points
        case .histogram, nil: []
        }
    }

    private static func values(_ metric: ProjectedMetric?) -> [MetricMeasurement.Value] { numbers(metric).map(\.value) }

    // MARK: Adding up

    @Test(
        "adds up each kind in its way",
        arguments: [
            ("counter", "u64", ["1", "2", "0"], .int(3)), ("counter", "f64", ["0.5", "2"], .double(2.5)),
            ("up_down_counter", "i64", ["1", "-3"], .int(-2)),
            ("up_down_counter", "f64", ["1.5", "-2"], .double(-0.5)),
            ("gauge", "u64", ["7", "3"], .int(3)), ("gauge", "i64", ["7", "-3"], .int(-3)),
            ("gauge", "f64", ["7", "3"], .double(3)),
        ] as [(String, String, [String], MetricMeasurement.Value)])
    func aggregates(_ kind: String, _ type: String, _ values: [String], _ expected: MetricMeasurement.Value) throws {
        var meter = Meter()
        for value in values {
            try meter.measure(Measurement(kind: kind, type: type, value: value))
            meter = try meter.restored()
        }
        let metric = meter.finish().first
        #expect(Self.values(metric) == [expected])
        switch metric?.data {
        case .sum(_, let temporality, let isMonotonic):
            #expect(temporality == .cumulative && isMonotonic == (kind == "counter"))
        case .gauge: #expect(kind == "gauge")
        case .histogram, nil: Issue.record("no number")
        }
    }

    @Test(
        "puts values into buckets, a bound into the one below it",
        arguments: [
            ("f64", ",\"boundaries\":[-1,0,1]", ["-1", "-0.5", "0", "0.1", "1", "2"], [1, 2, 2, 1], 1.6, -1, 2),
            ("u64", ",\"boundaries\":[10]", ["10", "11", "0"], [2, 1], 21, 0, 11),
            ("u64", ",\"boundaries\":[]", ["3"], [], 3, 3, 3),
            ("u64", "", ["0", "10001"], [1] + [UInt64](repeating: 0, count: 14) + [1], 10001, 0, 10001),
        ] as [(String, String, [String], [UInt64], Double, Double, Double)])
    func histogram(
        _ type: String, _ boundaries: String, _ values: [String], _ buckets: [UInt64], _ sum: Double, _ minimum: Double,
        _ maximum: Double
    ) throws {
        var meter = Meter()
        for value in values {
            try meter.measure(Measurement(kind: "histogram", type: type, value: value, more: boundaries))
            meter = try meter.restored()
        }
        guard case .histogram(let points, .cumulative) = meter.finish().first?.data, let point = points.first else {
            Issue.record("no histogram")
            return
        }
        #expect(point.buckets == buckets && point.bounds.count == max(0, buckets.count - 1))
        #expect(point.count == UInt64(values.count) && abs(point.sum - sum) < 1e-9)
        #expect(point.minimum == minimum && point.maximum == maximum)
    }

    @Test(
        "stays at the limit of 64 bits; the reference exports nothing or the other end",
        arguments: [
            ("counter", "u64", "9223372036854775807", .skein, .int(.max)),
            ("counter", "u64", "9223372036854775807", .strict, .int(0)),
            ("up_down_counter", "i64", "9223372036854775807", .skein, .int(.max)),
            ("up_down_counter", "i64", "-9223372036854775808", .skein, .int(.min)),
            ("up_down_counter", "i64", "-9223372036854775808", .strict, .int(0)),
        ] as [(String, String, String, Compatibility, MetricMeasurement.Value)])
    func overflow(
        _ kind: String, _ type: String, _ value: String, _ compatibility: Compatibility,
        _ expected: MetricMeasurement.Value
    ) throws {
        var meter = Meter(MetricConfiguration(compatibility: compatibility))
        for _ in 0..<2 { try meter.measure(Measurement(kind: kind, type: type, value: value)) }
        #expect(Self.values(meter.finish().first) == [expected])
    }

    // MARK: Instruments and series

    @Test("names instruments in lower case; the first description and boundaries count")
    func identity() throws {
        var meter = Meter()
        try meter.measure(
            Measurement(name: "A.b", kind: "histogram", more: #","description":"one","boundaries":[1],"unit":"s""#))
        try meter.measure(
            Measurement(name: "a.B", kind: "histogram", more: #","description":"two","boundaries":[2],"unit":"s""#))
        let metrics = meter.finish()
        #expect(metrics.map(\.name) == ["a.b"] && metrics.first?.description == "one" && metrics.first?.unit == "s")
        guard case .histogram(let points, _) = metrics.first?.data else { return }
        #expect(points.map(\.bounds) == [[1]] && points.map(\.count) == [2])
    }

    @Test(
        "drops a mark that describes an instrument otherwise, as a whole",
        arguments: [
            Measurement(kind: "gauge"), Measurement(type: "f64"), Measurement(more: #","unit":"s""#),
            Measurement(name: "M", kind: "histogram"),
        ])
    func conflict(_ other: Measurement) throws {
        var meter = Meter()
        try meter.measure(Measurement())
        try meter.measure(Measurement(name: "new"), other)
        #expect(meter.projector.counters.descriptorConflicts == 1)
        #expect(meter.projector.diagnostics.entries["otel.metric_descriptor_conflict"]?.count == 1)
        let metrics = meter.finish()
        #expect(metrics.map(\.name) == ["m"] && Self.values(metrics.first) == [.int(1)])
        // Another tenant's is another instrument.
        try meter.measure(other, of: "other")
        #expect(meter.projector.counters.descriptorConflicts == 1)
    }

    @Test("drops a mark that would make too many instruments, as a whole; known ones go on")
    func instrumentLimit() throws {
        var meter = Meter(MetricConfiguration(maximumInstruments: 2))
        try meter.measure(Measurement(name: "a"), Measurement(name: "b"))
        meter = try meter.restored()
        try meter.measure(Measurement(name: "a"), Measurement(name: "c"))
        try meter.measure(Measurement(name: "a"), Measurement(name: "B"))
        #expect(meter.projector.counters.instrumentLimit == 1)
        #expect(meter.finish().map { Self.values($0) } == [[.int(2)], [.int(2)]])
    }

    @Test("adds up attribute sets apart, by type and without order; too many in one series of their own")
    func cardinality() throws {
        var meter = Meter(MetricConfiguration(cardinalityLimit: 2))
        for attributes in [
            "{}", #"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#, #"{"a":1.0}"#, #"{"a":"1"}"#, #"{"a":true}"#, "{}",
            #"{"a":1.0}"#,
        ] {
            try meter.measure(Measurement(attributes: attributes))
            meter = try meter.restored()
        }
        let points = Self.numbers(meter.finish().first)
        #expect(points.map(\.value) == [.int(2), .int(2), .int(2), .int(2)])
        #expect(points.last?.attributes == [Attribute("otel.metric.overflow", .bool(true))])
        #expect(points[2].attributes == [Attribute("a", .double(1))])
    }

    @Test("bounds the series of all tenants together, and the tenants")
    func bounds() throws {
        var configuration = MetricConfiguration()
        configuration.maximumSeries = 2
        configuration.maximumTenants = 2
        var meter = Meter(configuration)
        try meter.measure(Measurement(attributes: #"{"a":1}"#), of: "x")
        try meter.measure(Measurement(attributes: #"{"a":1}"#), of: "y")
        try meter.measure(Measurement(attributes: #"{"a":2}"#), of: "x")
        #expect(meter.projector.counters.overflowed == 1 && meter.projector.seriesCount == 3)
        #expect(meter.take().isEmpty)
        try meter.measure(Measurement(), of: "z")
        // The tenant that was silent for longest leaves with its sums.
        #expect(meter.outputs.flatMap(\.metrics).map(\.tenant) == ["y"])
        #expect(meter.projector.counters.forgottenTenants == 1 && meter.projector.seriesCount == 3)
    }

    // MARK: Collections

    @Test("collects every interval of log time, at its end, while there is something new")
    func interval() throws {
        var meter = Meter()
        #expect(meter.projector.nextDeadline() == nil)
        try meter.measure(Measurement(), at: 1000)
        #expect(meter.projector.nextDeadline() == 1060)
        #expect(meter.tick(1059).isEmpty)
        meter = try meter.restored()
        let first = meter.tick(1060)
        #expect(Self.numbers(first.first).map { [$0.startTime, $0.time] } == [[1000, 1060]])
        #expect(meter.projector.nextDeadline() == nil)
        // What is known is said again when other things make the log go on.
        #expect(Self.numbers(meter.tick(1300).first).map(\.time) == [1120])
        try meter.measure(Measurement(), at: 1310)
        #expect(meter.projector.nextDeadline() == 1360)
        let last = meter.tick(2000)
        #expect(Self.numbers(last.first).map { [$0.startTime, $0.time] } == [[1000, 1360]])
        #expect(Self.values(last.first) == [.int(2)])
    }

    @Test(
        "says what came since the last collection where that is asked for",
        arguments: [
            ("counter", "u64", .cumulative, [1], [3]), ("counter", "u64", .delta, [1], [2]),
            ("counter", "u64", .lowMemory, [1], [2]), ("up_down_counter", "i64", .delta, [1], [3]),
            ("up_down_counter", "i64", .lowMemory, [1], [3]), ("gauge", "i64", .delta, [1], [2]),
        ] as [(String, String, MetricConfiguration.Temporality, [Int64], [Int64])])
    func temporality(
        _ kind: String, _ type: String, _ temporality: MetricConfiguration.Temporality, _ first: [Int64],
        _ second: [Int64]
    ) throws {
        var meter = Meter(MetricConfiguration(temporality: temporality, exportInterval: 60))
        try meter.measure(Measurement(kind: kind, type: type, value: "1"), at: 100)
        let before = meter.tick(160).first
        #expect(Self.values(before) == first.map { .int($0) })
        meter = try meter.restored()
        try meter.measure(Measurement(kind: kind, type: type, value: "2"), at: 170)
        let after = meter.tick(220).first
        #expect(Self.values(after) == second.map { .int($0) })
        let isDelta = temporality != .cumulative && kind == "counter"
        if case .sum(_, let found, _) = after?.data { #expect(found == (isDelta ? .delta : .cumulative)) }
        if kind != "gauge" { #expect(Self.numbers(after).map(\.startTime) == [isDelta ? 160 : 100]) }
        // Nothing new: deltas have nothing to say.
        #expect(meter.tick(280).isEmpty == (isDelta || (kind == "gauge" && temporality == .delta)))
    }

    @Test(
        "counts attribute sets anew with every delta; the reference never does",
        arguments: [(Compatibility.skein, UInt64(0)), (.strict, 1)])
    func deltaCardinality(_ compatibility: Compatibility, _ overflowed: UInt64) throws {
        var meter = Meter(
            MetricConfiguration(
                temporality: .delta, exportInterval: 60, cardinalityLimit: 1, compatibility: compatibility))
        try meter.measure(Measurement(attributes: #"{"a":1}"#), at: 0)
        _ = meter.tick(60)
        meter = try meter.restored()
        try meter.measure(Measurement(attributes: #"{"a":1}"#), at: 61)
        #expect(meter.projector.counters.overflowed == 0)
        _ = meter.tick(120)
        try meter.measure(Measurement(attributes: #"{"a":2}"#), at: 121)
        #expect(meter.projector.counters.overflowed == overflowed)
    }

    // MARK: Books

    @Test("says once of which runs the events of a collection are")
    func shares() throws {
        var meter = Meter()
        try meter.measure(Measurement(name: "a"), Measurement(name: "b"), run: 1)
        try meter.measure(Measurement(name: "b"), run: 2)
        try meter.measure(Measurement(name: "b"), run: 2)
        try meter.measure(Measurement(name: "b"), run: 3, isExpired: true)
        try meter.measure(Measurement(name: "b", value: "-1"), run: 3)
        try meter.receive(Events.fields(.mark, Events.uuid(5)), run: 3)
        let settled = meter.outputs.flatMap(\.events.settled)
        #expect(settled.map(\.fate) == [.expired, .notProjected, .notProjected])
        #expect(meter.outputs.flatMap(\.events.received).reduce(0) { $0 + $1.events } == 6)
        meter = try meter.restored()
        meter.outputs = []
        var output = MetricOutput()
        meter.projector.finish(into: &output)
        func shares() -> [[String]] { output.metrics.map { $0.shares.map { "\($0.run.uuid.low): \($0.events)" } } }
        let runs = (1...2).map { Events.uuid($0).low }
        #expect(shares() == [["\(runs[0]): 1"], ["\(runs[1]): 2"]])
        output = MetricOutput()
        meter.projector.finish(into: &output)
        #expect(shares() == [[], []])
    }

    // MARK: Time to first chunk

    private static let metric = "gen_ai.client.operation.time_to_first_chunk"

    private static func end(
        _ name: String, members: String = "", metadata: String = "", data: String = "", category: String = "llm"
    ) -> EventFields {
        let profile = #"{"time_to_first_chunk":0.25\#(members.isEmpty ? "" : "," + members)}"#
        return Events.fields(
            .scopeEnd, Events.uuid(1), name: name, category: category, data: data, metadata: metadata, profile: profile)
    }

    private static func attributes(_ meter: Meter) throws -> [String: AttributeValue] {
        var meter = meter
        guard case .histogram(let points, _) = meter.finish().first?.data, let point = points.first else { return [:] }
        return Dictionary(uniqueKeysWithValues: point.attributes.map { ($0.key, $0.value) })
    }

    @Test("measures how long the first chunks of streamed calls took, by their ends alone")
    func firstChunk() throws {
        var meter = Meter()
        for _ in 0..<2 {
            try meter.receive(Self.end("openai"))
            meter = try meter.restored()
        }
        let metric = meter.finish().first
        #expect(metric?.name == Self.metric && metric?.unit == "s" && metric?.description == nil)
        guard case .histogram(let points, _) = metric?.data, let point = points.first else {
            Issue.record("no histogram")
            return
        }
        #expect(point.count == 2 && point.sum == 0.5 && point.bounds.count == 15)
    }

    @Test(
        "says of a first chunk what the end says; the reference takes the model of an answer for the one that was asked for",
        arguments: [
            ("openai", "", "", "", ["chat", "openai", nil, nil, nil], [nil, nil]),
            (
                "openai", #""model_name":"a""#, "", #"{"choices":[],"model":"c"}"#, ["chat", "openai", nil, "a", nil],
                ["a", "c"]
            ),
            ("openai", "", "", #"{"choices":[],"model":"c"}"#, ["chat", "openai", nil, "c", nil], [nil, "c"]),
            ("openai", #""model_name":"""#, "", "", ["chat", "openai", nil, "", nil], ["", nil]),
            (
                "openai", #""annotated_response":{"model":"c"}"#, "", #"{"response":{"model":"d"}}"#,
                ["chat", "openai", nil, "d", "c"], [nil, "c"]
            ),
            (
                "text_completion", #""annotated_response":{"model":"c"}"#, "", #"{"provider":"own"}"#,
                ["text_completion", "own", nil, nil, "c"], [nil, "c"]
            ),
            (
                "GenerateContent", "", #"{"model":7,"provider_name":"m","server.address":"h","server_port":1}"#, "",
                ["generate_content", "m", "h", "7", nil], ["7", nil]
            ),
            ("azure OpenAI chat completion", "", "", "", ["chat", "azure.ai.openai", nil, nil, nil], [nil, nil]),
        ] as [(String, String, String, String, [String?], [String?])])
    func firstChunkAttributes(
        _ name: String, _ members: String, _ metadata: String, _ data: String, _ strict: [String?], _ models: [String?]
    ) throws {
        for compatibility in Compatibility.allCases {
            var meter = Meter(MetricConfiguration(compatibility: compatibility))
            try meter.receive(Self.end(name, members: members, metadata: metadata, data: data))
            let attributes = try Self.attributes(meter)
            let keys = [
                "gen_ai.operation.name", "gen_ai.provider.name", "server.address", "gen_ai.request.model",
                "gen_ai.response.model",
            ]
            let expected = compatibility == .strict ? strict : strict.prefix(3) + models
            #expect(keys.map { attributes[$0] } == expected.map { $0.map { .string($0) } })
            #expect(attributes["server.port"] == (metadata.contains("server_port") ? .int(1) : nil))
        }
    }

    @Test(
        "measures the first chunk of a provider that only the answer tells, or nobody; the reference does not",
        arguments: [(#""annotated_response":{"api_specific":{"api":"anthropic_messages"}}"#, "anthropic"), ("", nil)]
            as [(String, String?)])
    func firstChunkOfSomebody(members: String, provider: String?) throws {
        for compatibility in Compatibility.allCases {
            var meter = Meter(MetricConfiguration(compatibility: compatibility))
            try meter.receive(Self.end("x", members: members))
            let metric = meter.finish().first
            #expect((metric == nil) == (compatibility == .strict))
            guard case .histogram(let points, _) = metric?.data else { continue }
            let names = points.first?.attributes.filter { $0.key == "gen_ai.provider.name" }
            #expect(names == (provider.map { [Attribute("gen_ai.provider.name", .string($0))] } ?? []))
        }
    }

    @Test(
        "measures nothing that is no time, and no scope but a model's",
        arguments: [
            ("llm", #"{"time_to_first_chunk":-1}"#), ("llm", #"{"time_to_first_chunk":"1"}"#), ("llm", "{}"),
            ("llm", ""),
            ("llm", #"{"x":{"time_to_first_chunk":1}}"#), ("tool", #"{"time_to_first_chunk":1}"#),
        ])
    func noFirstChunk(_ category: String, _ profile: String) throws {
        var meter = Meter()
        try meter.receive(
            Events.fields(.scopeEnd, Events.uuid(1), name: "openai", category: category, profile: profile))
        #expect(meter.finish().isEmpty)
    }

    @Test(
        "counts against the limit of instruments as what a mark asks for, and is dropped at it",
        arguments: [true, false])
    func firstChunkLimit(isFirst: Bool) throws {
        var meter = Meter(MetricConfiguration(maximumInstruments: 1))
        if isFirst { try meter.receive(Self.end("openai")) }
        try meter.measure(Measurement())
        if !isFirst { try meter.receive(Self.end("openai")) }
        #expect(meter.finish().map(\.name) == [isFirst ? Self.metric : "m"])
        #expect(meter.projector.counters.instrumentLimit == 1)
    }

    @Test("takes no snapshot that was cut off")
    func damage() throws {
        var meter = Meter()
        try meter.measure(Measurement(attributes: #"{"a":[1,2],"b":"x"}"#), Measurement(name: "h", kind: "histogram"))
        let bytes = meter.projector.snapshot()
        for count in 0..<bytes.count {
            #expect(throws: SnapshotError.self) {
                try MetricProjector(configuration: MetricConfiguration(), snapshot: Array(bytes.prefix(count)))
            }
        }
    }
}
