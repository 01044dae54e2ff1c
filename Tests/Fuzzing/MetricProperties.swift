internal import ATOF
internal import OTLP
internal import Projections

enum MetricProperties {
    private static let second: UInt64 = 1_000_000_000

    /// Every event is measured or settled, metrics can be read back, and a restart changes none.
    static func check(_ log: EventLog) throws(FuzzFailure) {
        for temporality in [.cumulative, .delta, .lowMemory] as [MetricConfiguration.Temporality] {
            let configuration = MetricConfiguration(temporality: temporality, exportInterval: 5 * second)
            let whole = try metrics(configuration, log, restarts: false)
            try FuzzFailure.unless(
                try metrics(configuration, log, restarts: true) == whole, "a restart changes the metrics")
        }
        var narrow = MetricConfiguration(
            exportInterval: 2 * second, maximumInstruments: 2, cardinalityLimit: 2, compatibility: .strict)
        narrow.maximumSeries = 3
        _ = try metrics(narrow, log, restarts: false)
    }

    private static func metrics(_ configuration: MetricConfiguration, _ log: EventLog, restarts: Bool)
        throws(FuzzFailure) -> [[UInt8]]
    {
        var projector = MetricProjector(configuration: configuration)
        var output = MetricOutput()
        for (index, event) in log.events.enumerated() {
            if restarts {
                guard let restored = try? MetricProjector(configuration: configuration, snapshot: projector.snapshot())
                else { throw FuzzFailure("a snapshot cannot be restored") }
                projector = restored
            }
            projector.advance(to: UInt64(index) * second, into: &output)
            projector.receive(event, of: "t", isExpired: index % 17 == 16, into: &output)
        }
        projector.finish(into: &output)
        let received = output.events.received.reduce(0) { $0 + $1.events }
        let settled = output.events.settled.reduce(0) { $0 + $1.events }
        try FuzzFailure.unless(
            received == log.events.count && settled <= received, "\(settled) of \(received) events are settled")
        let metrics = output.metrics.map { MetricEncoder.encode($0.metric) }
        let resource = ResourceConfiguration(serviceName: "fuzz")
        let request = OTLPJSON.exportMetricsServiceRequest(
            metrics: metrics, resource: ResourceEncoder.resource(resource, version: "1"),
            scope: ResourceEncoder.scope(resource))
        let read = request?["resourceMetrics"]?[0]?["scopeMetrics"]?[0]?["metrics"]?.arrayValue?.count ?? 0
        try FuzzFailure.unless(request != nil && read == metrics.count, "metrics cannot be read back")
        return metrics
    }
}
