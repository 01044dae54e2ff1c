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
    package func value(at pointer: String) -> JSONValue? {
        var value = self
        for segment in JSONValue.segments(of: pointer) {
            guard let next = value.child(segment) else { return nil }
            value = next
        }
        return value
    }

    /// The value with something else at the place that the pointer names; unchanged when there is no such place.
    package func replacing(at pointer: String, with replacement: JSONValue) -> JSONValue {
        replacing(at: JSONValue.segments(of: pointer)[...], with: replacement)
    }

    private func replacing(at segments: ArraySlice<String>, with replacement: JSONValue) -> JSONValue {
        guard let segment = segments.first else { return replacement }
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

    private static func segments(of pointer: String) -> [String] {
        pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { segment in
            String(segment.replacing("~1", with: "/").replacing("~0", with: "~"))
        }
    }
}
