internal import ATOF

/// Why a metric mark is none: one sentence, without values.
struct MetricMarkError: Error, Hashable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// Reads the measurements of a metric mark, all or none (`otel-projections.md` 5.2).
enum MetricMark {
    static let version = "1"

    static func measurements(of event: Event) throws(MetricMarkError) -> [MetricMeasurement] {
        guard event.dataSchema?.version == version else {
            throw MetricMarkError("the version of its schema is not \(version)")
        }
        guard let envelope = event.data?.value.objectValue else { throw MetricMarkError("its data is no object") }
        guard let elements = envelope["measurements"]?.arrayValue, envelope.count == 1 else {
            throw MetricMarkError("its data must hold the array measurements and nothing else")
        }
        if elements.isEmpty { throw MetricMarkError("measurements is empty") }
        var measurements: [MetricMeasurement] = []
        measurements.reserveCapacity(elements.count)
        var descriptors: [String: MetricDescriptor] = [:]
        for (index, element) in elements.enumerated() {
            do throws(MetricMarkError) {
                let measurement = try MetricMark.measurement(element)
                if let earlier = descriptors.updateValue(measurement.descriptor, forKey: measurement.name),
                    earlier != measurement.descriptor
                {
                    throw MetricMarkError("kind, value_type and unit differ from those of an earlier one of its name")
                }
                measurements.append(measurement)
            } catch {
                throw MetricMarkError("measurements[\(index)]: \(error.reason)")
            }
        }
        return measurements
    }

    private static let known: Set<String> = [
        "name", "kind", "value_type", "value", "unit", "description", "attributes", "boundaries",
    ]

    private static func measurement(_ element: JSONValue) throws(MetricMarkError) -> MetricMeasurement {
        guard let members = element.objectValue else { throw MetricMarkError("is no object") }
        guard members.allSatisfy({ known.contains($0.key) }) else {
            throw MetricMarkError("has a field other than \(known.sorted().joined(separator: ", "))")
        }
        guard let name = members["name"]?.stringValue, isName(name) else {
            throw MetricMarkError("name must be 1 to 255 characters of A-Z a-z 0-9 _ . - / and begin with a letter")
        }
        guard let kind = members["kind"]?.stringValue.flatMap({ MetricDescriptor.Kind(rawValue: $0) }),
            let type = members["value_type"]?.stringValue.flatMap({ MetricDescriptor.ValueType(rawValue: $0) })
        else { throw MetricMarkError("kind or value_type is missing or not known") }
        guard MetricDescriptor.allows(kind, type) else {
            throw MetricMarkError("a \(kind.rawValue) cannot have values of type \(type.rawValue)")
        }
        let unit = try text(members, "unit")
        if let unit, unit.utf8.count > 63 || !unit.utf8.allSatisfy({ $0 < 0x80 }) {
            throw MetricMarkError("unit must be at most 63 ASCII characters")
        }
        return MetricMeasurement(
            name: name.asciiLowercased, descriptor: MetricDescriptor(kind: kind, valueType: type, unit: unit),
            description: try text(members, "description"), boundaries: try boundaries(members, kind),
            attributes: try attributes(members), value: try value(members["value"], kind, type))
    }

    private static func text(_ members: JSONObject, _ key: String) throws(MetricMarkError) -> String? {
        guard let value = members[key]?.nonNull else { return nil }
        guard let text = value.stringValue else { throw MetricMarkError("\(key) must be a text") }
        return text
    }

    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, isLetter(first), name.utf8.count <= 255 else { return false }
        return name.utf8.allSatisfy { byte in
            isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "/")
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func value(
        _ value: JSONValue?, _ kind: MetricDescriptor.Kind, _ type: MetricDescriptor.ValueType
    ) throws(MetricMarkError) -> MetricMeasurement.Value {
        switch type {
        case .unsigned:
            guard let number = value?.int64Value, number >= 0 else {
                throw MetricMarkError("value must be an integer from 0 to 2^63 - 1")
            }
            return .int(number)
        case .signed:
            guard let number = value?.int64Value else {
                throw MetricMarkError("value must be an integer of 64 bits")
            }
            return .int(number)
        case .double:
            guard let number = value?.numberValue, number.isFinite else {
                throw MetricMarkError("value must be a finite number")
            }
            if kind == .counter, number < 0 { throw MetricMarkError("the value of a counter must not be negative") }
            return .double(number)
        }
    }

    private static func boundaries(
        _ members: JSONObject, _ kind: MetricDescriptor.Kind
    ) throws(MetricMarkError) -> [Double]? {
        guard let value = members["boundaries"]?.nonNull else { return nil }
        guard kind == .histogram else { throw MetricMarkError("only histograms have boundaries") }
        guard let elements = value.arrayValue, elements.count <= 64 else {
            throw MetricMarkError("boundaries must be an array of at most 64 numbers")
        }
        let bounds = elements.compactMap(\.numberValue)
        guard bounds.count == elements.count, bounds.allSatisfy(\.isFinite),
            zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw MetricMarkError("boundaries must be finite numbers that grow strictly") }
        return bounds
    }

    // MARK: Attributes

    private static func attributes(_ members: JSONObject) throws(MetricMarkError) -> [Attribute] {
        guard let value = members["attributes"]?.nonNull else { return [] }
        guard let object = value.objectValue else { throw MetricMarkError("attributes must be an object") }
        var attributes: [Attribute] = []
        attributes.reserveCapacity(object.count)
        for member in object {
            if member.key.unicodeScalars.allSatisfy(\.properties.isWhitespace) {
                throw MetricMarkError("the key of an attribute is blank")
            }
            guard let value = attributeValue(member.value) else {
                throw MetricMarkError(
                    "attributes must be texts, booleans, integers of 64 bits, finite numbers, or arrays of one of these"
                )
            }
            attributes.append(Attribute(member.key, value))
        }
        return attributes
    }

    private static func attributeValue(_ value: JSONValue) -> AttributeValue? {
        switch value {
        case .null, .unsigned, .object: nil
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .double(let number): number.isFinite ? .double(number) : nil
        case .string(let text): .string(text)
        case .array(let elements): arrayValue(elements)
        }
    }

    /// Of one kind: integers and other numbers do not mix.
    private static func arrayValue(_ elements: [JSONValue]) -> AttributeValue? {
        func all<Element>(_ convert: (JSONValue) -> Element?) -> [Element]? {
            let converted = elements.compactMap(convert)
            return converted.count == elements.count ? converted : nil
        }
        return switch elements.first {
        case nil, .null, .unsigned, .array, .object: nil
        case .bool: all(\.boolValue).map { .bools($0) }
        case .int: all(\.int64Value).map { .ints($0) }
        case .string: all(\.stringValue).map { .strings($0) }
        case .double:
            all { element in
                guard case .double(let number) = element, number.isFinite else { return nil }
                return number
            }.map { .doubles($0) }
        }
    }
}
