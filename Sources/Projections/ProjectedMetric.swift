/// The state of an instrument at a collection, ready to be encoded (`otel-projections.md` 5.3).
package struct ProjectedMetric: Sendable, Hashable {
    package enum Temporality: Int32, Sendable {
        case delta = 1
        case cumulative = 2
    }

    package enum Data: Sendable, Hashable {
        case gauge([NumberPoint])
        case sum([NumberPoint], Temporality, isMonotonic: Bool)
        case histogram([HistogramPoint], Temporality)
    }

    package struct NumberPoint: Sendable, Hashable {
        package let attributes: [Attribute]
        /// Nanoseconds since 1970.
        package let startTime: UInt64
        package let time: UInt64
        package let value: MetricMeasurement.Value

        package init(attributes: [Attribute], startTime: UInt64, time: UInt64, value: MetricMeasurement.Value) {
            self.attributes = attributes
            self.startTime = startTime
            self.time = time
            self.value = value
        }
    }

    package struct HistogramPoint: Sendable, Hashable {
        package let attributes: [Attribute]
        /// Nanoseconds since 1970.
        package let startTime: UInt64
        package let time: UInt64
        package let count: UInt64
        package let sum: Double
        package let minimum: Double
        package let maximum: Double
        /// One more than there are bounds.
        package let buckets: [UInt64]
        package let bounds: [Double]

        package init(
            attributes: [Attribute], startTime: UInt64, time: UInt64, count: UInt64, sum: Double, minimum: Double,
            maximum: Double, buckets: [UInt64], bounds: [Double]
        ) {
            self.attributes = attributes
            self.startTime = startTime
            self.time = time
            self.count = count
            self.sum = sum
            self.minimum = minimum
            self.maximum = maximum
            self.buckets = buckets
            self.bounds = bounds
        }
    }

    package let name: String
    package let description: String?
    package let unit: String?
    package let data: Data

    package init(name: String, description: String?, unit: String?, data: Data) {
        self.name = name
        self.description = description
        self.unit = unit
        self.data = data
    }
}
