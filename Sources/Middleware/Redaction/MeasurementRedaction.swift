internal import ATOF

extension Event.DataSchema {
    /// Of marks that carry measurements (`middleware-guardrails-pii.md` 1.2).
    static let measurements = Event.DataSchema(name: "nemo.relay.metric_measurements", version: "1")
}

extension RedactionProfile {
    /// Redacts the data of a mark with measurements so that they stay measurements.
    ///
    /// The reference looks at descriptions and at attributes that are texts, and at nothing else.
    ///
    /// - Returns: nil when nothing has changed.
    func redact(measurements data: JSONValue) -> JSONValue? {
        guard let measurements = data["measurements"]?.arrayValue else { return redact(data) }
        guard let redacted = redact(data) else { return nil }
        let result =
            compatibility == .strict
            ? strictly(data, measurements) : restored(redacted, from: measurements)
        return result == data ? nil : result
    }

    // MARK: Strict

    private func strictly(_ data: JSONValue, _ measurements: [JSONValue]) -> JSONValue {
        guard var document = data.objectValue else { return data }
        document["measurements"] = .array(
            measurements.enumerated().map { index, value in
                guard var members = value.objectValue else { return value }
                if let text = members["description"], text.stringValue != nil {
                    members["description"] = leaf(text, at: index, below: [], "description") ?? .null
                }
                if var attributes = members["attributes"]?.objectValue {
                    for attribute in attributes where attribute.value.stringValue != nil {
                        attributes[attribute.key] = leaf(
                            attribute.value, at: index, below: ["attributes"], attribute.key)
                    }
                    members["attributes"] = .object(attributes)
                }
                return .object(members)
            })
        return .object(document)
    }

    /// A text as it is redacted at its place; nil when it is removed, itself and not with what is around it.
    private func leaf(_ text: JSONValue, at index: Int, below keys: [String], _ key: String) -> JSONValue? {
        var document = JSONValue.object(JSONObject([(key, text)]))
        for key in keys.reversed() { document = .object(JSONObject([(key, document)])) }
        let places = [JSONValue](repeating: .null, count: index) + [document]
        guard let redacted = redact(["measurements": .array(places)]) else { return text }
        var found = redacted["measurements"]?[index]
        for key in keys { found = found?[key] }
        guard let owner = found?.objectValue else { return text }
        return owner[key]
    }

    // MARK: Skein

    /// Puts back what a measurement cannot do without, as far as it is what belongs there. A name in which something was found is another
    /// one.
    private func restored(_ redacted: JSONValue, from measurements: [JSONValue]) -> JSONValue {
        guard var document = redacted.objectValue, let changed = document["measurements"]?.arrayValue,
            changed.count == measurements.count
        else { return redacted }
        document["measurements"] = .array(
            zip(changed, measurements).map { value, original in
                guard var members = value.objectValue else { return value }
                for (key, isKnown) in [("kind", Measurement.isKind), ("value_type", Measurement.isValueType)] {
                    guard members[key] != nil, let word = original[key], isKnown(word) else { continue }
                    members[key] = word
                }
                if members["name"] != original["name"], members["name"]?.stringValue != nil {
                    members["name"] = kept(original["name"], Measurement.isName) ?? "redacted"
                }
                if members["unit"] != original["unit"], members["unit"]?.stringValue != nil {
                    members["unit"] = kept(original["unit"], Measurement.isUnit)
                }
                return .object(members)
            })
        return .object(document)
    }

    /// A text that a profile for every text may leave as it is; nil for others, and for profiles that have found something in it.
    private func kept(_ value: JSONValue?, _ isValid: (JSONValue) -> Bool) -> JSONValue? {
        guard let words, let value, isValid(value), let text = value.stringValue, words.hasNoSecret(text) else {
            return nil
        }
        return value
    }
}

/// What the members of a measurement may be (`middleware-guardrails-pii.md` 1.2).
enum Measurement {
    static func isKind(_ value: JSONValue) -> Bool {
        ["counter", "up_down_counter", "gauge", "histogram"].contains(value)
    }

    static func isValueType(_ value: JSONValue) -> Bool { ["u64", "i64", "f64"].contains(value) }

    static func isNumber(_ value: JSONValue) -> Bool { value.numberValue != nil }

    /// A letter, then letters, digits and `_.-/`, at most 255.
    static func isName(_ value: JSONValue) -> Bool {
        guard let name = value.stringValue, name.utf8.count <= 255, let first = name.utf8.first,
            (0x61...0x7A).contains(first | 0x20)
        else { return false }
        return name.utf8.allSatisfy { byte in
            TextBytes.isWord(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "/")
        }
    }

    /// ASCII, at most 63; no unit that is in use has a space.
    static func isUnit(_ value: JSONValue) -> Bool {
        guard let unit = value.stringValue else { return false }
        return unit.utf8.count <= 63 && unit.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// At most 64 finite numbers.
    static func areBoundaries(_ value: JSONValue) -> Bool {
        guard let elements = value.arrayValue else { return false }
        return elements.count <= 64 && elements.allSatisfy(isNumber)
    }
}
