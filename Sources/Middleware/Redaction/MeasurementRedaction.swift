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

    /// Puts back what a measurement cannot do without. A name in which something was found is another one.
    private func restored(_ redacted: JSONValue, from measurements: [JSONValue]) -> JSONValue {
        guard var document = redacted.objectValue, let changed = document["measurements"]?.arrayValue,
            changed.count == measurements.count
        else { return redacted }
        let isEverything = if case .everything = settings.matcher { true } else { false }
        document["measurements"] = .array(
            zip(changed, measurements).map { value, original in
                guard var members = value.objectValue else { return value }
                for key in ["kind", "value_type"] where members[key] != nil { members[key] = original[key] }
                for key in ["name", "unit"] where members[key]?.stringValue != nil && members[key] != original[key] {
                    members[key] = isEverything ? original[key] : key == "name" ? "redacted" : nil
                }
                return .object(members)
            })
        return .object(document)
    }
}
