/// One valid measurement.
package struct MetricMeasurement: Sendable, Hashable {
    package enum Value: Sendable, Hashable {
        /// Not negative when the type is unsigned.
        case int(Int64)
        case double(Double)
    }

    /// In lower case: names that differ in case alone are one instrument.
    package let name: String
    package let descriptor: MetricDescriptor
    package let description: String?
    /// Upper bounds of a histogram's buckets; nil for the usual ones.
    package let boundaries: [Double]?
    /// In the order of their keys.
    package let attributes: [Attribute]
    package let value: Value
}
