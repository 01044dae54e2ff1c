internal import ATOF

/// Writes the difference between two values into a third, which may have more than both.
enum JSONPatch {
    /// - Returns: the original with what differs between `before` and `after` written into it, and `after` where their
    ///   types differ.
    static func apply(_ original: JSONValue, from before: JSONValue, to after: JSONValue) -> JSONValue {
        if before == after { return original }
        switch (original, before, after) {
        case (.object(let original), .object(let before), .object(let after)):
            return object(original, from: before, to: after)
        case (.array(let original), .array(let before), .array(let after)):
            return .array(array(original, from: before, to: after))
        default: return after
        }
    }

    /// Members that say which call something belongs to: with another it is something else.
    private static let ids = ["call_id", "tool_use_id", "tool_call_id", "toolCallId"]

    private static func identity(_ value: JSONValue) -> String? {
        guard let key = ids.first(where: { value[$0]?.stringValue != nil }), let id = value[key]?.stringValue else {
            return nil
        }
        return "\(value["type"]?.stringValue ?? "") \(id)"
    }

    private static func array(_ original: [JSONValue], from before: [JSONValue], to after: [JSONValue]) -> [JSONValue] {
        guard original.count == before.count else { return after }
        let sources = ItemAlignment.sources(of: after, baseline: before, patching: .onePair, identity: identity)
        return zip(after, sources).map { value, source in
            switch source {
            case .original(let index): original[index]
            case .patched(let index): apply(original[index], from: before[index], to: value)
            case .fresh: value
            }
        }
    }

    private static func object(_ original: JSONObject, from before: JSONObject, to after: JSONObject) -> JSONValue {
        for key in ["type", "role"] + ids where before[key] != after[key] { return .object(after) }
        var result = original
        for member in before where after[member.key] == nil { result[member.key] = nil }
        for member in after where before[member.key] != member.value {
            guard let old = before[member.key] else {
                result[member.key] = member.value
                continue
            }
            // An original of another shape, with the members elsewhere, cannot take the difference.
            guard let kept = original[member.key] else { return .object(after) }
            result[member.key] = apply(kept, from: old, to: member.value)
        }
        return .object(result)
    }
}
