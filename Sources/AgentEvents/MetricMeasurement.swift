internal import ATOF

/// One entry of a metric mark (`middleware-guardrails-pii.md` 1.2).
public struct MetricMeasurement: Sendable, Hashable {
    /// What an instrument does with measurements.
    public enum Kind: String, Sendable, Hashable {
        /// Adds what was measured; never negative.
        case counter
        /// Adds what was measured, which may be negative.
        case upDownCounter = "up_down_counter"
        /// The last measurement counts.
        case gauge
        /// Counts measurements by their size.
        case histogram
    }

    /// A number with the type that its instrument has.
    public enum Value: Sendable, Hashable {
        /// Published as `u64`.
        case unsigned(UInt64)
        /// Published as `i64`.
        case signed(Int64)
        /// Published as `f64`; finite.
        case double(Double)

        var type: String {
            switch self {
            case .unsigned: "u64"
            case .signed: "i64"
            case .double: "f64"
            }
        }

        var json: JSON {
            switch self {
            case .unsigned(let number): JSON(number)
            case .signed(let number): JSON(number)
            case .double(let number): JSON(number)
            }
        }
    }

    /// Begins with a letter, then letters, digits, `_`, `.`, `-` and `/`; 255 at most.
    public var name: String
    /// Of the instrument.
    public var kind: Kind
    /// What was measured: counters and histograms take no signed integers, up-down counters no unsigned ones.
    public var value: Value
    /// ASCII, 63 characters at most.
    public var unit: String?
    /// Of the instrument.
    public var description: String?
    /// An object of plain values and arrays of them.
    public var attributes: JSON
    /// Of histograms only.
    public var boundaries: [Double]?

    /// A measurement; it is checked when it is published.
    public init(
        _ kind: Kind, _ name: String, _ value: Value, unit: String? = nil, description: String? = nil,
        attributes: JSON = .null, boundaries: [Double]? = nil
    ) {
        self.kind = kind
        self.name = name
        self.value = value
        self.unit = unit
        self.description = description
        self.attributes = attributes
        self.boundaries = boundaries
    }

    package static let schema = EventSchema(name: "nemo.relay.metric_measurements", version: "1")

    /// The data of a metric mark.
    ///
    /// - Throws: `AgentKitError` that names the first entry that is wrong: all are published, or none.
    package static func data(of measurements: [MetricMeasurement]) throws(AgentKitError) -> JSON {
        if measurements.isEmpty {
            throw AgentKitError(.invalidArgument, "measurements must contain at least one entry")
        }
        var known: [String: MetricMeasurement] = [:]
        for (index, measurement) in measurements.enumerated() {
            if let complaint = measurement.complaint {
                throw AgentKitError(.invalidArgument, "measurements[\(index)] \(complaint)")
            }
            let key = measurement.name.asciiLowercased
            if let other = known[key], !other.agrees(with: measurement) {
                throw AgentKitError(
                    .invalidArgument,
                    "measurements[\(index)] has another kind, unit or value type than an earlier one of its name")
            }
            known[key] = measurement
        }
        return ["measurements": .array(measurements.map(\.json))]
    }

    private func agrees(with other: MetricMeasurement) -> Bool {
        kind == other.kind && unit == other.unit && value.type == other.value.type
    }

    private var complaint: String? {
        if !isName { return "name must begin with a letter, then letters, digits, _ . - /, 255 at most" }
        if let unit, unit.utf8.count > 63 || !unit.utf8.allSatisfy({ $0 < 0x80 }) {
            return "unit must be ASCII, 63 characters at most"
        }
        if case .double(let number) = value, !number.isFinite { return "value must be finite" }
        if !attributes.isNull {
            guard let object = attributes.value.objectValue else { return "attributes must be an object" }
            if !object.allSatisfy({ InjectedMetadata.isValue($0.value) }) {
                return "attributes must be plain values or arrays of one kind of them"
            }
        }
        if let boundaries {
            if kind != .histogram { return "boundaries are only for histograms" }
            let ascends = zip(boundaries, boundaries.dropFirst()).allSatisfy { $0 < $1 }
            if boundaries.count > 64 || !boundaries.allSatisfy(\.isFinite) || !ascends {
                return "boundaries must be finite and strictly increasing, 64 at most"
            }
        }
        switch (kind, value) {
        case (.counter, .signed): return "counter values must be u64 or f64"
        case (.counter, .double(let number)) where number < 0: return "counter values must be non-negative"
        case (.upDownCounter, .unsigned): return "up_down_counter values must be i64 or f64"
        case (.histogram, .signed): return "histogram values must be u64 or f64"
        case (.counter, _), (.upDownCounter, _), (.histogram, _), (.gauge, _): return nil
        }
    }

    private var isName: Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) && byte < 0x80
        }
        guard let first = name.utf8.first, isLetter(first), name.utf8.count <= 255 else { return false }
        return name.utf8.allSatisfy { byte in
            isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || "_.-/".utf8.contains(byte)
        }
    }

    private var json: JSON {
        [
            "name": JSON(name), "kind": JSON(kind.rawValue), "value_type": JSON(value.type), "value": value.json,
            "unit": unit.map { JSON($0) } ?? .null, "description": description.map { JSON($0) } ?? .null,
            "attributes": attributes, "boundaries": boundaries.map { .array($0.map { JSON($0) }) } ?? .null,
        ]
    }
}
