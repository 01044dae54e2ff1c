internal import ATOF

/// An instrument of a tenant with its series (`otel-projections.md` 5.3).
struct MetricInstrument: Sendable {
    private struct Series: Sendable {
        let attributes: [Attribute]
        var aggregate: MetricAggregate
    }

    static let defaultBounds: [Double] = [
        0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000,
    ]
    static let overflow = [Attribute("otel.metric.overflow", .bool(true))]

    let name: String
    let descriptor: MetricDescriptor
    private let description: String?
    private let bounds: [Double]
    /// Log time since when the series count, nanoseconds since 1970.
    private var startTime: UInt64

    private var series: [Series] = []
    private var numbers: [[Attribute]: Int] = [:]
    /// Attribute sets that count against the limit. The reference never takes one off, also when its series is gone.
    private var distinct: Set<[Attribute]> = []
    /// Events since the last collection by the run that they belong to.
    private var pending: [ScopeKey: Int] = [:]

    /// The instrument that a first measurement asks for; description and boundaries of later ones do not count.
    init(_ measurement: MetricMeasurement, now: UInt64) {
        name = measurement.name
        descriptor = measurement.descriptor
        description = measurement.description
        bounds = descriptor.kind == .histogram ? measurement.boundaries ?? MetricInstrument.defaultBounds : []
        startTime = now
    }

    var seriesCount: Int { series.count }
    var pendingRuns: Int { pending.count }

    /// Whether a collection would say something new.
    private(set) var hasNews = false

    /// - Parameter canGrow: there is room for another series, of all that a task may have.
    /// - Returns: whether the measurement went to the overflow series.
    mutating func record(_ measurement: MetricMeasurement, canGrow: Bool, _ configuration: MetricConfiguration) -> Bool
    {
        hasNews = true
        let wraps = configuration.compatibility == .strict
        var attributes = measurement.attributes
        var isOverflow = false
        if numbers[attributes] == nil, !attributes.isEmpty, attributes != MetricInstrument.overflow {
            let isKnown = distinct.contains(attributes)
            if canGrow, isKnown || distinct.count < configuration.cardinalityLimit {
                distinct.insert(attributes)
            } else {
                attributes = MetricInstrument.overflow
                isOverflow = true
            }
        }
        let number = numbers[attributes] ?? add(attributes)
        series[number].aggregate.record(measurement.value, bounds: bounds, wraps: wraps)
        return isOverflow
    }

    private mutating func add(_ attributes: [Attribute]) -> Int {
        numbers[attributes] = series.count
        series.append(Series(attributes: attributes, aggregate: MetricAggregate(descriptor, bounds: bounds)))
        return series.count - 1
    }

    /// An event of the run is in the measurements.
    mutating func count(_ run: ScopeKey) { pending[run, default: 0] += 1 }

    /// What there is to report at a time, and what it stands for; nil for nothing.
    mutating func collect(
        at time: UInt64, _ configuration: MetricConfiguration
    ) -> (metric: ProjectedMetric, shares: [MetricOutput.Share])? {
        guard !series.isEmpty else { return nil }
        let isDelta = configuration.isDelta(descriptor.kind)
        let shares = pending.sorted { $0.key < $1.key }.map { MetricOutput.Share(run: $0.key, events: $0.value) }
        let metric = ProjectedMetric(
            name: name, description: description, unit: descriptor.unit,
            data: data(at: time, isDelta, wraps: configuration.compatibility == .strict))
        pending = [:]
        hasNews = false
        if isDelta {
            series = []
            numbers = [:]
            startTime = time
            if configuration.compatibility == .skein { distinct = [] }
        }
        return (metric, shares)
    }

    private func data(at time: UInt64, _ isDelta: Bool, wraps: Bool) -> ProjectedMetric.Data {
        let temporality: ProjectedMetric.Temporality = isDelta ? .delta : .cumulative
        switch descriptor.kind {
        case .gauge: return .gauge(numberPoints(at: time, wraps))
        case .counter: return .sum(numberPoints(at: time, wraps), temporality, isMonotonic: true)
        case .upDownCounter: return .sum(numberPoints(at: time, wraps), temporality, isMonotonic: false)
        case .histogram:
            return .histogram(
                series.compactMap { series in
                    guard case .histogram(let histogram) = series.aggregate else { return nil }
                    return .init(
                        attributes: series.attributes, startTime: startTime, time: time, count: histogram.count,
                        sum: histogram.sum, minimum: histogram.minimum, maximum: histogram.maximum,
                        // Without bounds the count says it all.
                        buckets: bounds.isEmpty ? [] : histogram.buckets, bounds: bounds)
                }, temporality)
        }
    }

    private func numberPoints(at time: UInt64, _ wraps: Bool) -> [ProjectedMetric.NumberPoint] {
        series.compactMap { series in
            series.aggregate.number(wraps: wraps).map {
                .init(attributes: series.attributes, startTime: startTime, time: time, value: $0)
            }
        }
    }

    // MARK: Snapshot

    func write(to writer: inout SnapshotWriter) {
        writer.write(name)
        writer.write(descriptor.kind.rawValue)
        writer.write(descriptor.valueType.rawValue)
        writer.write(descriptor.unit) { $0.write($1) }
        writer.write(description) { $0.write($1) }
        writer.write(bounds.count)
        for bound in bounds { writer.write(bound.bitPattern) }
        writer.write(startTime)
        writer.write(UInt64(hasNews ? 1 : 0))
        writer.write(series.count)
        for series in series {
            writer.write(series.attributes)
            series.aggregate.write(to: &writer)
        }
        // Those of the series are in them.
        // The same state gives the same bytes: sets and dictionaries have no order of their own.
        let others = distinct.filter { numbers[$0] == nil }.map { attributes in
            var writer = SnapshotWriter(version: 0)
            writer.write(attributes)
            return writer.bytes.dropFirst()
        }.sorted { $0.lexicographicallyPrecedes($1) }
        writer.write(others.count)
        for attributes in others { writer.append(attributes) }
        writer.write(pending.count)
        for (run, events) in pending.sorted(by: { $0.key < $1.key }) {
            writer.write(run.tenant)
            writer.write(run.uuid)
            writer.write(events)
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        name = try reader.readText()
        guard let kind = MetricDescriptor.Kind(rawValue: try reader.readText()),
            let valueType = MetricDescriptor.ValueType(rawValue: try reader.readText())
        else { throw SnapshotError("an instrument of the snapshot is of no known kind") }
        let unit = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
        descriptor = MetricDescriptor(kind: kind, valueType: valueType, unit: unit)
        description = try reader.readOptional { reader throws(SnapshotError) in try reader.readText() }
        var bounds: [Double] = []
        for _ in 0..<(try reader.readCount()) { bounds.append(Double(bitPattern: try reader.readNumber())) }
        self.bounds = bounds
        startTime = try reader.readNumber()
        hasNews = try reader.readNumber() == 1
        for _ in 0..<(try reader.readCount()) {
            let attributes = try reader.readAttributes()
            series.append(
                Series(
                    attributes: attributes,
                    aggregate: try MetricAggregate(from: &reader, descriptor, bounds: bounds.count)))
            numbers[attributes] = series.count - 1
            if !attributes.isEmpty, attributes != MetricInstrument.overflow { distinct.insert(attributes) }
        }
        for _ in 0..<(try reader.readCount()) { distinct.insert(try reader.readAttributes()) }
        for _ in 0..<(try reader.readCount()) {
            let run = ScopeKey(tenant: try reader.readText(), uuid: try reader.readUUID())
            pending[run] = Int(try reader.readTally())
        }
    }
}
