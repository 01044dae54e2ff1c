package import ATOF

extension JSONValue {
    /// Whether the text is an RFC 6901 pointer: empty, or segments that begin with `/`, with `~` only in `~0` and `~1`.
    package static func isPointer(_ text: String) -> Bool {
        text.isEmpty
            || text.hasPrefix("/")
                && text.split(separator: "~", omittingEmptySubsequences: false).dropFirst().allSatisfy {
                    $0.hasPrefix("0") || $0.hasPrefix("1")
                }
    }

    /// The value that a pointer names; nil when there is none.
    ///
    /// - Parameter throughText: steps into a string that holds the JSON text of an object or an array as into what it holds.
    package func value(at pointer: String, throughText: Bool = false) -> JSONValue? {
        var value = self
        for segment in JSONValue.segments(of: pointer) {
            if throughText, case .string(let text) = value, let held = JSONValue.held(in: text) { value = held }
            guard let next = value.child(segment) else { return nil }
            value = next
        }
        return value
    }

    /// The value with something else at the place that the pointer names, through text as well, which is written anew; unchanged when there
    /// is no such place.
    package func replacing(at pointer: String, with replacement: JSONValue) -> JSONValue {
        replacing(at: JSONValue.segments(of: pointer)[...], with: replacement)
    }

    private func replacing(at segments: ArraySlice<String>, with replacement: JSONValue) -> JSONValue {
        guard let segment = segments.first else { return replacement }
        if case .string(let text) = self {
            guard let held = JSONValue.held(in: text) else { return self }
            let changed = held.replacing(at: segments, with: replacement)
            return changed == held ? self : .string(changed.compactText)
        }
        guard let child = child(segment) else { return self }
        let changed = child.replacing(at: segments.dropFirst(), with: replacement)
        switch self {
        case .object(var object):
            object[segment] = changed
            return .object(object)
        case .array(var elements):
            if let index = Int(segment) { elements[index] = changed }
            return .array(elements)
        case .null, .bool, .int, .unsigned, .double, .string: return self
        }
    }

    private func child(_ segment: String) -> JSONValue? {
        switch self {
        case .object(let object): object[segment]
        case .array(let elements):
            // No sign and no leading zero.
            Int(segment).flatMap { String($0) == segment && elements.indices.contains($0) ? elements[$0] : nil }
        case .null, .bool, .int, .unsigned, .double, .string: nil
        }
    }

    /// The object or array whose JSON text a string is, read as payloads are; nil for any other text.
    static func held(in text: String) -> JSONValue? {
        let start = text.utf8.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard start == UInt8(ascii: "{") || start == UInt8(ascii: "[") else { return nil }
        let value = TextBytes.withBytes(of: text) { JSONPolicy.value(of: $0) }
        if case .string = value { return nil }
        return value
    }

    private static func segments(of pointer: String) -> [String] {
        pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { segment in
            String(segment.replacing("~1", with: "/").replacing("~0", with: "~"))
        }
    }
}
