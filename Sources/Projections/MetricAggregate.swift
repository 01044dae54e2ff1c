internal import ATOF

/// What the measurements of one series add up to.
enum MetricAggregate: Sendable, Hashable {
    /// Sum of a counter of u64.
    case unsigned(UInt64)
    /// Sum of an up-down counter of i64.
    case signed(Int64)
    /// Sum of f64.
    case double(Double)
    /// A gauge's last value.
    case last(MetricMeasurement.Value)
    case histogram(MetricHistogram)

    /// Nothing measured yet.
    init(_ descriptor: MetricDescriptor, bounds: [Double]) {
        switch (descriptor.kind, descriptor.valueType) {
        case (.counter, .unsigned): self = .unsigned(0)
        case (.counter, _), (.upDownCounter, .double): self = .double(0)
        case (.upDownCounter, _): self = .signed(0)
        case (.gauge, .double): self = .last(.double(0))
        case (.gauge, _): self = .last(.int(0))
        case (.histogram, _): self = .histogram(MetricHistogram(bounds: bounds.count))
        }
    }

    /// - Parameter wraps: sums that leave 64 bits begin again at the other end, as the reference's; else they stay at the limit.
    mutating func record(_ value: MetricMeasurement.Value, bounds: [Double], wraps: Bool) {
        switch (self, value) {
        case (.unsigned(let sum), .int(let number)):
            self = .unsigned(MetricAggregate.sum(sum, UInt64(clamping: number), wraps))
        case (.signed(let sum), .int(let number)):
            let (total, overflow) = sum.addingReportingOverflow(number)
            self = .signed(!overflow || wraps ? total : number < 0 ? .min : .max)
        case (.double(let sum), .double(let number)): self = .double(sum + number)
        case (.last, _): self = .last(value)
        case (.histogram(var histogram), _):
            // Emptied first, so that the buckets are changed in their place.
            self = .double(0)
            histogram.record(value, bounds: bounds, wraps: wraps)
            self = .histogram(histogram)
        case (.unsigned, .double), (.signed, .double), (.double, .int):
            preconditionFailure("a measurement of another type than its instrument's")
        }
    }

    static func sum(_ left: UInt64, _ right: UInt64, _ wraps: Bool) -> UInt64 {
        let (total, overflow) = left.addingReportingOverflow(right)
        return overflow && !wraps ? .max : total
    }

    /// As a point has it; nil for histograms. OTLP's integers have a sign.
    func number(wraps: Bool) -> MetricMeasurement.Value? {
        switch self {
        case .unsigned(let sum): .int(Int64(exactly: sum) ?? (wraps ? 0 : .max))
        case .signed(let sum): .int(sum)
        case .double(let sum): .double(sum)
        case .last(let value): value
        case .histogram: nil
        }
    }
}

/// A histogram with explicit bounds, which its instrument has.
struct MetricHistogram: Sendable, Hashable {
    private(set) var count: UInt64 = 0
    /// One of both counts, as the instrument's type is.
    private(set) var integerSum: UInt64 = 0
    private(set) var doubleSum: Double = 0
    private(set) var minimum = Double.infinity
    private(set) var maximum = -Double.infinity
    private(set) var buckets: [UInt64]

    init(bounds: Int) { buckets = [UInt64](repeating: 0, count: bounds + 1) }

    var sum: Double { doubleSum + Double(integerSum) }

    mutating func record(_ value: MetricMeasurement.Value, bounds: [Double], wraps: Bool) {
        let number: Double
        switch value {
        case .int(let integer):
            number = Double(integer)
            integerSum = MetricAggregate.sum(integerSum, UInt64(clamping: integer), wraps)
        case .double(let double):
            number = double
            doubleSum += double
        }
        count += 1
        minimum = min(minimum, number)
        maximum = max(maximum, number)
        // A bound belongs to the bucket below it.
        buckets[bounds.firstIndex { number <= $0 } ?? bounds.count] += 1
    }
}

// MARK: Snapshot

extension MetricHistogram {
    func write(to writer: inout SnapshotWriter) {
        for number in [count, integerSum, doubleSum.bitPattern, minimum.bitPattern, maximum.bitPattern] {
            writer.write(number)
        }
        for bucket in buckets { writer.write(bucket) }
    }

    init(from reader: inout SnapshotReader, bounds: Int) throws(SnapshotError) {
        self.init(bounds: bounds)
        count = try reader.readTally()
        integerSum = try reader.readNumber()
        doubleSum = Double(bitPattern: try reader.readNumber())
        minimum = Double(bitPattern: try reader.readNumber())
        maximum = Double(bitPattern: try reader.readNumber())
        for index in buckets.indices { buckets[index] = try reader.readTally() }
    }
}

extension MetricAggregate {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .unsigned(let sum): writer.write(sum)
        case .signed(let sum): writer.write(UInt64(bitPattern: sum))
        case .double(let sum): writer.write(sum.bitPattern)
        case .last(.int(let number)): writer.write(UInt64(bitPattern: number))
        case .last(.double(let number)): writer.write(number.bitPattern)
        case .histogram(let histogram): histogram.write(to: &writer)
        }
    }

    init(from reader: inout SnapshotReader, _ descriptor: MetricDescriptor, bounds: Int) throws(SnapshotError) {
        self.init(descriptor, bounds: [])
        switch self {
        case .unsigned: self = .unsigned(try reader.readNumber())
        case .signed: self = .signed(Int64(bitPattern: try reader.readNumber()))
        case .double: self = .double(Double(bitPattern: try reader.readNumber()))
        case .last(.int): self = .last(.int(Int64(bitPattern: try reader.readNumber())))
        case .last(.double): self = .last(.double(Double(bitPattern: try reader.readNumber())))
        case .histogram: self = .histogram(try MetricHistogram(from: &reader, bounds: bounds))
        }
    }
}
