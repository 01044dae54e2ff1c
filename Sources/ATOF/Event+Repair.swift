extension Event {
    /// The packed event with payloads that everybody can read; nil when they are as they should be (`JSONPolicy`).
    ///
    /// A field that is appended to a packed message replaces the one before, so the event is not packed anew.
    package func repaired() -> [UInt8]? {
        var result: [UInt8]?
        let payloads: [(tag: UInt8, json: RawJSON?)] = [(0x52, data), (0x5A, metadata), (0x62, categoryProfile), (0x7A, unknownFields)]
        for (tag, json) in payloads {
            guard let json, let text = Event.repairedText(of: json, mustBeObject: tag == 0x7A || tag == 0x62) else { continue }
            var bytes = result ?? packed.array
            bytes.append(tag)
            var count = text.count
            while count >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: count) | 0x80)
                count >>= 7
            }
            bytes.append(UInt8(count))
            bytes += text
            result = bytes
        }
        return result
    }

    /// - Parameter mustBeObject: a value of another type is put under the key `value`, so that it is not lost.
    private static func repairedText(of json: RawJSON, mustBeObject: Bool) -> [UInt8]? {
        let repaired = json.withBytes { JSONPolicy.repairedText(of: $0) }
        guard mustBeObject else { return repaired }
        let isObject = json.withBytes { text in
            (repaired ?? Array(text)).first { !($0 == 0x20 || (0x09...0x0D).contains($0)) } == UInt8(ascii: "{")
        }
        if isObject { return repaired }
        var writer = JSONWriter()
        writer.write(["value": json.value])
        return writer.bytes
    }
}
