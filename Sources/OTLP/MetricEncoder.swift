internal import CProtobufC
internal import CSkeinProto
package import Projections

/// Writes metrics as packed OTLP Metric messages.
package enum MetricEncoder {
    /// - Returns: the body of the message, without a tag: what an export request holds behind field 2 of ScopeMetrics.
    package static func encode(_ metric: ProjectedMetric) -> [UInt8] {
        let points = pointSizes(metric.data)
        let data = dataSize(metric.data, points)
        var size = ProtobufSize.text(1, metric.name) + ProtobufSize.nested(field(metric.data), data)
        for (field, text) in texts(metric) { size += ProtobufSize.text(field, text) }
        return ProtobufWriter.bytes(size) { writer in
            writer.text(1, metric.name)
            for (field, text) in texts(metric) { writer.text(field, text) }
            writer.length(field(metric.data), data)
            write(metric.data, points, &writer)
        }
    }

    /// Whether the bytes are an encoded metric.
    package static func isEncoded(_ bytes: [UInt8]) -> Bool {
        guard let metric = skein__v1__otlp__metric__unpack(nil, bytes.count, bytes) else { return false }
        defer { skein__v1__otlp__metric__free_unpacked(metric, nil) }
        return metric.pointee.name.len > 0
    }

    private static func texts(_ metric: ProjectedMetric) -> [(Int, String)] {
        [(2, metric.description), (3, metric.unit)].compactMap { field, text in
            text.flatMap { $0.isEmpty ? nil : (field, $0) }
        }
    }

    private static func field(_ data: ProjectedMetric.Data) -> Int {
        switch data {
        case .gauge: 5
        case .sum: 7
        case .histogram: 9
        }
    }

    private static func pointSizes(_ data: ProjectedMetric.Data) -> [Int] {
        switch data {
        case .gauge(let points), .sum(let points, _, _): points.map(size)
        case .histogram(let points, _): points.map(size)
        }
    }

    private static func dataSize(_ data: ProjectedMetric.Data, _ points: [Int]) -> Int {
        let size = points.reduce(0) { $0 + ProtobufSize.nested(1, $1) }
        switch data {
        case .gauge: return size
        case .sum(_, _, let isMonotonic): return size + 2 + (isMonotonic ? 2 : 0)
        case .histogram: return size + 2
        }
    }

    private static func write(_ data: ProjectedMetric.Data, _ sizes: [Int], _ writer: inout ProtobufWriter) {
        switch data {
        case .gauge(let points):
            for (point, size) in zip(points, sizes) { write(point, size, &writer) }
        case .sum(let points, let temporality, let isMonotonic):
            for (point, size) in zip(points, sizes) { write(point, size, &writer) }
            writer.tag(2, .varint)
            writer.varint(UInt64(temporality.rawValue))
            if isMonotonic {
                writer.tag(3, .varint)
                writer.varint(1)
            }
        case .histogram(let points, let temporality):
            for (point, size) in zip(points, sizes) { write(point, size, &writer) }
            writer.tag(2, .varint)
            writer.varint(UInt64(temporality.rawValue))
        }
    }

    // MARK: Points

    private static func timesSize(_ start: UInt64, _ time: UInt64) -> Int { (start == 0 ? 0 : 9) + (time == 0 ? 0 : 9) }

    private static func writeTimes(_ start: UInt64, _ time: UInt64, _ writer: inout ProtobufWriter) {
        if start != 0 { writer.fixed64(2, start) }
        if time != 0 { writer.fixed64(3, time) }
    }

    private static func size(_ point: ProjectedMetric.NumberPoint) -> Int {
        timesSize(point.startTime, point.time) + 9 + AttributeEncoder.size(point.attributes, field: 7)
    }

    private static func write(_ point: ProjectedMetric.NumberPoint, _ size: Int, _ writer: inout ProtobufWriter) {
        writer.length(1, size)
        writeTimes(point.startTime, point.time, &writer)
        // The value is one of two fields and is there also when it is zero.
        switch point.value {
        case .double(let number): writer.fixed64(4, number.bitPattern)
        case .int(let number): writer.fixed64(6, UInt64(bitPattern: number))
        }
        AttributeEncoder.write(point.attributes, field: 7, &writer)
    }

    private static func size(_ point: ProjectedMetric.HistogramPoint) -> Int {
        timesSize(point.startTime, point.time) + (point.count == 0 ? 0 : 9) + 9
            + packedSize(6, point.buckets.count) + packedSize(7, point.bounds.count)
            + AttributeEncoder.size(point.attributes, field: 9) + 18
    }

    /// So many numbers of eight bytes in one field.
    private static func packedSize(_ field: Int, _ count: Int) -> Int {
        count == 0 ? 0 : ProtobufSize.nested(field, 8 * count)
    }

    private static func write(_ point: ProjectedMetric.HistogramPoint, _ size: Int, _ writer: inout ProtobufWriter) {
        writer.length(1, size)
        writeTimes(point.startTime, point.time, &writer)
        if point.count != 0 { writer.fixed64(4, point.count) }
        writer.fixed64(5, point.sum.bitPattern)
        writer.packed(6, point.buckets)
        writer.packed(7, point.bounds.map(\.bitPattern))
        AttributeEncoder.write(point.attributes, field: 9, &writer)
        writer.fixed64(11, point.minimum.bitPattern)
        writer.fixed64(12, point.maximum.bitPattern)
    }
}
