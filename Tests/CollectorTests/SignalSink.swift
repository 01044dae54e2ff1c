import CProtobufC
import CSkeinProto
import Collector
import HTTPTestServer
import Projections
import Synchronization

/// An OTLP/HTTP backend that keeps log records, metrics and the points of sums.
final class SignalSink: Sendable {
    struct Record: Sendable, Hashable {
        let severity: Int32
        let body: String
        let traceID: [UInt8]
        let bytes: [UInt8]
    }

    /// A point of a sum of integers.
    struct Point: Sendable, Hashable {
        let instance: String
        let name: String
        let startTime: UInt64
        let time: UInt64
        let value: Int64
    }

    private struct State {
        var records: [Record] = []
        var points: [Point] = []
        var metrics: [[UInt8]] = []
    }

    private final class Received: Sendable {
        let value = Mutex(State())
    }

    let server: HTTPTestServer
    private let state: Received

    /// - Parameter status: of the answer to a path; what is not 200 is not kept.
    init(status: @escaping @Sendable (String) -> Int = { _ in 200 }) {
        let state = Received()
        self.state = state
        server = HTTPTestServer { request in
            let status = status(request.path)
            if status == 200 {
                let body = request.plainBody
                if request.path == "/v1/logs" { state.value.withLock { $0.records += SignalSink.records(body) } }
                if request.path == "/v1/metrics" {
                    let (points, metrics) = SignalSink.metrics(body)
                    state.value.withLock {
                        $0.points += points
                        $0.metrics += metrics
                    }
                }
            }
            return .init(status)
        }
    }

    /// Has logs and metrics sent here, as a configuration document says it. A busy machine is no reason to send anything again.
    func addEndpoints(
        to configuration: inout CollectorConfiguration, temporality: MetricConfiguration.Temporality = .cumulative
    ) throws {
        let text = """
            [[components]]
            kind = "observability"
            [components.config]
            version = 4
            [components.config.opentelemetry]
            enabled = true
            [components.config.opentelemetry.logs]
            enabled = true
            scheduled_delay_millis = 20
            [[components.config.opentelemetry.logs.endpoints]]
            endpoint = "\(server.url)"
            timeout_millis = 30000
            [components.config.opentelemetry.metrics]
            enabled = true
            temporality = "\(temporality.rawValue)"
            [[components.config.opentelemetry.metrics.endpoints]]
            endpoint = "\(server.url)"
            timeout_millis = 30000
            """
        let read = try ConfigurationReader.read(text: text, name: "", environment: [:]).0
        configuration.logEndpoints = read.logEndpoints
        configuration.metricEndpoints = read.metricEndpoints
    }

    var records: [Record] { state.value.withLock { $0.records } }
    var points: [Point] { state.value.withLock { $0.points } }
    /// Every metric of every request, packed.
    var metrics: [[UInt8]] { state.value.withLock { $0.metrics } }

    private static func records(_ body: [UInt8]) -> [Record] {
        guard let request = skein__v1__otlp__export_logs_service_request__unpack(nil, body.count, body) else {
            return []
        }
        defer { skein__v1__otlp__export_logs_service_request__free_unpacked(request, nil) }
        var found: [Record] = []
        for resource in pointers(request.pointee.resource_logs, request.pointee.n_resource_logs) {
            for scope in pointers(resource.pointee.scope_logs, resource.pointee.n_scope_logs) {
                for record in pointers(scope.pointee.log_records, scope.pointee.n_log_records) {
                    var packed = [UInt8](repeating: 0, count: skein__v1__otlp__log_record__get_packed_size(record))
                    skein__v1__otlp__log_record__pack(record, &packed)
                    found.append(
                        Record(
                            severity: record.pointee.severity_number,
                            body: record.pointee.body.map { string($0.pointee) } ?? "",
                            traceID: bytes(record.pointee.trace_id), bytes: packed))
                }
            }
        }
        return found
    }

    private static func metrics(_ body: [UInt8]) -> ([Point], [[UInt8]]) {
        guard let request = skein__v1__otlp__export_metrics_service_request__unpack(nil, body.count, body) else {
            return ([], [])
        }
        defer { skein__v1__otlp__export_metrics_service_request__free_unpacked(request, nil) }
        var found: [Point] = []
        var metrics: [[UInt8]] = []
        for resource in pointers(request.pointee.resource_metrics, request.pointee.n_resource_metrics) {
            let attributes = resource.pointee.resource.map { pointers($0.pointee.attributes, $0.pointee.n_attributes) }
            let instance = attributes?.first { text($0.pointee.key) == "service.instance.id" }?.pointee.value
            for scope in pointers(resource.pointee.scope_metrics, resource.pointee.n_scope_metrics) {
                for metric in pointers(scope.pointee.metrics, scope.pointee.n_metrics) {
                    var packed = [UInt8](repeating: 0, count: skein__v1__otlp__metric__get_packed_size(metric))
                    skein__v1__otlp__metric__pack(metric, &packed)
                    metrics.append(packed)
                    guard metric.pointee.data_case == SKEIN__V1__OTLP__METRIC__DATA_SUM,
                        let sum = metric.pointee.sum?.pointee
                    else { continue }
                    for point in pointers(sum.data_points, sum.n_data_points) {
                        found.append(
                            Point(
                                instance: instance.map { text($0.pointee.string_value) } ?? "",
                                name: text(metric.pointee.name), startTime: point.pointee.start_time_unix_nano,
                                time: point.pointee.time_unix_nano, value: point.pointee.as_int))
                    }
                }
            }
        }
        return (found, metrics)
    }

    private static func pointers<Element>(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>?, _ count: Int
    ) -> [UnsafeMutablePointer<Element>] {
        UnsafeBufferPointer(start: list, count: list == nil ? 0 : count).compactMap { $0 }
    }

    private static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
        Array(UnsafeBufferPointer(start: data.data, count: data.len))
    }

    /// Empty for other values than texts.
    private static func string(_ value: Skein__V1__Otlp__AnyValue) -> String {
        value.value_case == SKEIN__V1__OTLP__ANY_VALUE__VALUE_STRING_VALUE ? text(value.string_value) : ""
    }

    private static func text(_ data: ProtobufCBinaryData) -> String { String(decoding: bytes(data), as: UTF8.self) }
}
