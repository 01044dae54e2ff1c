package import ATOF
internal import CSkeinProto

extension OTLPJSON {
    /// - Parameters:
    ///   - metrics: packed Metric messages.
    ///   - resource: a packed Resource.
    ///   - scope: a packed InstrumentationScope.
    /// - Returns: an ExportMetricsServiceRequest; nil when a message is not what it should be.
    package static func exportMetricsServiceRequest(
        metrics: [[UInt8]], resource: [UInt8], scope: [UInt8]
    ) -> JSONValue? {
        request(("resourceMetrics", "scopeMetrics", "metrics"), items: metrics, resource: resource, scope: scope) {
            decode($0, skein__v1__otlp__metric__unpack, skein__v1__otlp__metric__free_unpacked, OTLPJSON.metric)
        }
    }

    private static func metric(_ metric: Skein__V1__Otlp__Metric) -> JSONValue? {
        let data: (String, JSONValue?)
        switch metric.data_case {
        case SKEIN__V1__OTLP__METRIC__DATA_GAUGE:
            guard let gauge = metric.gauge?.pointee else { return nil }
            data = ("gauge", object([("dataPoints", points(gauge.data_points, gauge.n_data_points))]))
        case SKEIN__V1__OTLP__METRIC__DATA_SUM:
            guard let sum = metric.sum?.pointee else { return nil }
            data = (
                "sum",
                object([
                    ("dataPoints", points(sum.data_points, sum.n_data_points)),
                    ("aggregationTemporality", number(Int64(sum.aggregation_temporality))),
                    ("isMonotonic", sum.is_monotonic == 0 ? nil : true),
                ])
            )
        case SKEIN__V1__OTLP__METRIC__DATA_HISTOGRAM:
            guard let histogram = metric.histogram?.pointee else { return nil }
            let points = UnsafeBufferPointer(start: histogram.data_points, count: histogram.n_data_points)
            data = (
                "histogram",
                object([
                    ("dataPoints", .array(points.compactMap(\.self).map { point($0.pointee) })),
                    ("aggregationTemporality", number(Int64(histogram.aggregation_temporality))),
                ])
            )
        default: return nil
        }
        return object([
            ("name", text(metric.name)), ("description", text(metric.description)), ("unit", text(metric.unit)), data,
        ])
    }

    private static func points(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Skein__V1__Otlp__NumberDataPoint>?>?, _ count: Int
    ) -> JSONValue? {
        .array(UnsafeBufferPointer(start: list, count: count).compactMap(\.self).map { point($0.pointee) })
    }

    private static func point(_ point: Skein__V1__Otlp__NumberDataPoint) -> JSONValue {
        let value: (String, JSONValue?) =
            switch point.value_case {
            case SKEIN__V1__OTLP__NUMBER_DATA_POINT__VALUE_AS_INT: ("asInt", .string(String(point.as_int)))
            case SKEIN__V1__OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE: ("asDouble", double(point.as_double))
            default: ("asInt", nil)
            }
        return object([
            ("attributes", attributes(point.attributes, point.n_attributes)),
            ("startTimeUnixNano", digits(point.start_time_unix_nano)), ("timeUnixNano", digits(point.time_unix_nano)),
            value, ("flags", number(Int64(point.flags))),
        ])
    }

    private static func point(_ point: Skein__V1__Otlp__HistogramDataPoint) -> JSONValue {
        let hasSum = point.has_sum_case == SKEIN__V1__OTLP__HISTOGRAM_DATA_POINT__HAS_SUM_SUM
        let hasMinimum = point.has_min_case == SKEIN__V1__OTLP__HISTOGRAM_DATA_POINT__HAS_MIN_MIN
        let hasMaximum = point.has_max_case == SKEIN__V1__OTLP__HISTOGRAM_DATA_POINT__HAS_MAX_MAX
        let buckets = UnsafeBufferPointer(start: point.bucket_counts, count: point.n_bucket_counts)
        let bounds = UnsafeBufferPointer(start: point.explicit_bounds, count: point.n_explicit_bounds)
        return object([
            ("attributes", attributes(point.attributes, point.n_attributes)),
            ("startTimeUnixNano", digits(point.start_time_unix_nano)), ("timeUnixNano", digits(point.time_unix_nano)),
            ("count", digits(point.count)), ("sum", hasSum ? double(point.sum) : nil),
            ("bucketCounts", buckets.isEmpty ? nil : .array(buckets.map { .string(String($0)) })),
            ("explicitBounds", bounds.isEmpty ? nil : .array(bounds.map(double))),
            ("min", hasMinimum ? double(point.min) : nil), ("max", hasMaximum ? double(point.max) : nil),
            ("flags", number(Int64(point.flags))),
        ])
    }
}
