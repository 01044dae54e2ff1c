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
            guard original.count == before.count, before.count == after.count else { return .array(after) }
            return .array(original.indices.map { apply(original[$0], from: before[$0], to: after[$0]) })
        default: return after
        }
    }

    private static func object(_ original: JSONObject, from before: JSONObject, to after: JSONObject) -> JSONValue {
        for key in ["type", "role"] where before[key] != after[key] { return .object(after) }
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
