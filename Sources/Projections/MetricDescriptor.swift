/// What an instrument is; all measurements of a name must agree on it (`otel-projections.md` 5.2, 5.3).
package struct MetricDescriptor: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case counter
        case upDownCounter = "up_down_counter"
        case gauge
        case histogram
    }

    package enum ValueType: String, Sendable, CaseIterable {
        case unsigned = "u64"
        case signed = "i64"
        case double = "f64"
    }

    package let kind: Kind
    package let valueType: ValueType
    package let unit: String?

    package init(kind: Kind, valueType: ValueType, unit: String?) {
        self.kind = kind
        self.valueType = valueType
        self.unit = unit
    }

    /// Whether an instrument of the kind can have values of the type.
    static func allows(_ kind: Kind, _ valueType: ValueType) -> Bool {
        switch (kind, valueType) {
        case (.counter, .unsigned), (.counter, .double), (.upDownCounter, .signed), (.upDownCounter, .double),
            (.gauge, _), (.histogram, .unsigned), (.histogram, .double):
            true
        case (.counter, .signed), (.upDownCounter, .unsigned), (.histogram, .signed): false
        }
    }
}

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
