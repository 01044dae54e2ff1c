extension Event {
    /// The packed event with payloads that everybody can read; nil when they are as they should be (`JSONPolicy`).
    ///
    /// A field that is appended to a packed message replaces the one before, so the event is not packed anew.
    package func repaired() -> [UInt8]? {
        var result: [UInt8]?
        let payloads: [(field: UInt64, json: RawJSON?, mustBeObject: Bool)] = [
            (10, data, false), (11, metadata, false), (12, categoryProfile, true), (15, unknownFields, true),
        ]
        for (field, json, mustBeObject) in payloads {
            guard let json, let text = Event.repairedText(of: json, mustBeObject: mustBeObject) else { continue }
            var bytes = result ?? packed.array
            bytes.appendField(field, bytes: text)
            result = bytes
        }
        return result
    }

    /// - Parameter mustBeObject: a value of another type is put under the key `value`, so that it is not lost.
    private static func repairedText(of json: RawJSON, mustBeObject: Bool) -> [UInt8]? {
        let repaired = json.withBytes { JSONPolicy.repairedText(of: $0) }
        guard mustBeObject else { return repaired }
        let isObject: (UInt8?) -> Bool = { $0 == UInt8(ascii: "{") }
        if let repaired {
            if isObject(repaired.first) { return repaired }
        } else if isObject(json.withBytes { $0.first { !JSONText.isSpace($0) } }) {
            return nil
        }
        var writer = JSONWriter()
        writer.write(["value": json.value])
        return writer.bytes
    }
}
