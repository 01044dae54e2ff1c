internal import ATOF
internal import OTLP
internal import Projections
internal import Trajectories

/// Measures what becomes of events on one thread: CPU for each event, from the unpacked event to the bytes that are sent.
///
/// In it are the parsing of the payloads, the conversion and the encoding; the unpacking of the batch is not, and neither are gzip, HTTP
/// and the broker.
struct ProjectionBenchmark {
    /// What is said about NeMo Relay 0.10.4: CPU microseconds for each event above its run without an exporter.
    private enum Reference {
        static let atif = 118.0

        static func of(_ projection: ProjectionConfiguration.Projection) -> Double {
            switch projection {
            case .full: 47
            case .genAI: 44
            case .openinference: 57
            }
        }
    }

    /// Enough for a stable figure, few enough for a short run.
    private static let events = 20_000
    private static let (small, large) = (10_000, 80_000)
    private static let repetitions = 3

    struct Result {
        var figures: [BenchmarkReport.InMemory]
        var targets: [BenchmarkReport.Target]
    }

    /// - Parameter messages: what `process` put out.
    func run(messages: [[UInt8]]) throws -> Result {
        var events: [Event] = []
        for message in messages where events.count < Self.events {
            let batch = try EventBatch(unpacking: message)
            for index in 0..<batch.count { events.append(try batch.event(at: index)) }
        }
        var figures = ProjectionConfiguration.Projection.allCases.map { projection in
            figure("project \(projection.rawValue), to OTLP", Reference.of(projection), events) {
                spans(projection, $0)
            }
        }
        let measured = events + (try unpacked((0..<events.count / 20).map(measurement)))
        figures += [
            figure("project logs, to OTLP", nil, events) { logs($0) },
            figure("project metrics, to OTLP", nil, measured) { metrics($0) },
        ]
        var workload = BenchmarkWorkload()
        let giant = try unpacked(workload.giantRun(events: Self.large))
        let short = figure("convert to ATIF, \(Self.small) events", Reference.atif, Array(giant.prefix(Self.small))) {
            document($0)
        }
        let long = figure("convert to ATIF, \(Self.large) events", Reference.atif, giant) { document($0) }
        let all = figures + [short, long]
        let growth =
            long.cpuMicrosecondsPerEvent * Double(Self.large) / (short.cpuMicrosecondsPerEvent * Double(Self.small))
        let targets =
            all.map { BenchmarkReport.Target($0.name, $0.cpuMicrosecondsPerEvent, atMost: 10, "µs/event") } + [
                .init("\(Self.large) events to ATIF, of the time for \(Self.small)", growth, atMost: 9, "times")
            ]
        return Result(figures: all, targets: targets)
    }

    private func unpacked(_ packed: [[UInt8]]) throws -> [Event] {
        try packed.map { event in
            var writer = EventBatchWriter()
            writer.append(packed: event)
            return try EventBatch(unpacking: writer.bytes).event(at: 0)
        }
    }

    /// A packed mark with three measurements.
    private func measurement(_ number: Int) -> [UInt8] {
        var fields = EventFields(
            kind: .mark, uuid: EventUUID(high: 1, low: UInt64(number)),
            timestamp: EventTime(epochMicroseconds: 1_772_000_000_000_000), name: "tokenomics")
        fields.dataSchema = .init(name: "nemo.relay.metric_measurements", version: "1")
        let data =
            #"{"measurements":[{"name":"tokens","kind":"counter","value_type":"u64","value":\#(number),"attributes":{"model":"m"}},"#
            + #"{"name":"queue","kind":"gauge","value_type":"f64","value":0.5},"#
            + #"{"name":"latency","kind":"histogram","value_type":"f64","value":12.5,"boundaries":[10.0,20.0]}]}"#
        fields.data = Array(data.utf8)
        return fields.packed()
    }

    private func spans(_ projection: ProjectionConfiguration.Projection, _ events: [Event]) -> Int {
        var projector = SpanProjector(configuration: ProjectionConfiguration(projection: projection))
        var bytes = 0
        for (index, event) in events.enumerated() {
            for span in projector.receive(event, at: .init(sequence: UInt64(index + 1), index: 0)) {
                bytes += SpanEncoder.encode(span).count
            }
        }
        return bytes
    }

    private func logs(_ events: [Event]) -> Int {
        var projector = LogProjector(configuration: LogConfiguration())
        var output = LogOutput()
        for event in events { projector.receive(event, of: BenchmarkWorkload.tenant, into: &output) }
        return output.records.reduce(0) { $0 + LogRecordEncoder.encode($1.record).count }
    }

    private func metrics(_ events: [Event]) -> Int {
        var projector = MetricProjector(configuration: MetricConfiguration())
        var output = MetricOutput()
        for event in events { projector.receive(event, of: BenchmarkWorkload.tenant, into: &output) }
        projector.finish(into: &output)
        return output.metrics.reduce(0) { $0 + MetricEncoder.encode($1.metric).count }
    }

    private func document(_ events: [Event]) -> Int {
        let builder = TrajectoryBuilder(
            origin: .manual(sessionID: "bench"), agent: AgentDescription(name: "bench", version: "1"),
            compatibility: .skein)
        return DocumentWriter.bytes(of: builder.draft(of: events), expected: 4096 * events.count).count
    }

    /// The best of some repetitions: what a busy machine adds is not what is asked for.
    ///
    /// - Parameter body: says how many bytes came out, so that nothing is left out.
    private func figure(_ name: String, _ reference: Double?, _ events: [Event], _ body: ([Event]) -> Int)
        -> BenchmarkReport.InMemory
    {
        var best = Duration.seconds(Int64.max)
        for _ in 0..<Self.repetitions {
            let start = ResourceUsage.threadCPU
            precondition(body(events) > 0, "the workload has spans and steps")
            best = min(best, ResourceUsage.threadCPU - start)
        }
        return .init(
            name: name, cpuMicrosecondsPerEvent: best / .microseconds(1) / Double(events.count),
            referenceMicroseconds: reference)
    }
}
