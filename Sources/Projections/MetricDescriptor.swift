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
