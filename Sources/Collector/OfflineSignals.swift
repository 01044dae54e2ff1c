internal import ATOF
internal import OTLP
internal import Projections

/// The log records of a file of events, by the code of the live stage. What a collector's server says about time, the events say here.
struct OfflineLogs {
    private let resource: ResourceConfiguration
    private var projector: LogProjector
    private var records: [[UInt8]] = []

    /// - Parameter endpoint: the first one that is configured.
    init(_ endpoint: CollectorConfiguration.LogEndpoint?, _ compatibility: Compatibility) {
        resource = endpoint?.resource ?? ResourceConfiguration()
        var configuration = endpoint?.projection ?? LogConfiguration()
        configuration.compatibility = compatibility
        projector = LogProjector(configuration: configuration)
    }

    var diagnostics: ProjectionDiagnostics { projector.diagnostics }

    mutating func add(_ event: Event) {
        var output = LogOutput()
        projector.advance(to: event.timestamp.epochNanoseconds ?? 0)
        projector.receive(event, of: "", into: &output)
        records += output.records.map { LogRecordEncoder.encode($0.record) }
    }

    /// One request, or none; nil when what was encoded cannot be read back.
    func requests() -> JSONValue? {
        if records.isEmpty { return [] }
        return OTLPJSON.exportLogsServiceRequest(
            records: records, resource: ResourceEncoder.resource(resource, version: SkeinVersion.current),
            scope: ResourceEncoder.scope(resource))
    }
}

/// The metrics of a file of events, collected once, at its end.
struct OfflineMetrics {
    private let resource: ResourceConfiguration
    private var projector: MetricProjector
    private var output = MetricOutput()

    /// - Parameter endpoint: the first one that is configured.
    init(_ endpoint: CollectorConfiguration.MetricEndpoint?, _ compatibility: Compatibility) {
        resource = endpoint?.resource ?? ResourceConfiguration()
        var configuration = endpoint?.projection ?? MetricConfiguration()
        configuration.exportInterval = .max
        configuration.compatibility = compatibility
        projector = MetricProjector(configuration: configuration)
    }

    var diagnostics: ProjectionDiagnostics { projector.diagnostics }

    mutating func add(_ event: Event) {
        projector.advance(to: event.timestamp.epochNanoseconds ?? 0, into: &output)
        projector.receive(event, of: "", into: &output)
    }

    /// One request, or none; nil when what was encoded cannot be read back.
    mutating func requests() -> JSONValue? {
        projector.finish(into: &output)
        if output.metrics.isEmpty { return [] }
        return OTLPJSON.exportMetricsServiceRequest(
            metrics: output.metrics.map { MetricEncoder.encode($0.metric) },
            resource: ResourceEncoder.resource(resource, version: SkeinVersion.current),
            scope: ResourceEncoder.scope(resource))
    }
}
