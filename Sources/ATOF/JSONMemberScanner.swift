/// Splits a JSON object into its top-level members without looking into the values.
enum JSONMemberScanner {
    /// - Returns: the members in the order of the text, repeated keys included.
    static func members(of line: [UInt8]) throws(EventError) -> [(key: String, value: ArraySlice<UInt8>)] {
        var scanner = Scanner(bytes: line)
        guard let members = scanner.object() else {
            throw EventError(.invalidJSON, "the line is not one JSON object")
        }
        return members
    }

    private struct Scanner {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func object() -> [(key: String, value: ArraySlice<UInt8>)]? {
            skipSpace()
            guard take("{") else { return nil }
            var members: [(key: String, value: ArraySlice<UInt8>)] = []
            skipSpace()
            if !take("}") {
                repeat {
                    skipSpace()
                    guard let key = key() else { return nil }
                    skipSpace()
                    guard take(":") else { return nil }
                    skipSpace()
                    guard let value = value() else { return nil }
                    members.append((key, value))
                    skipSpace()
                } while take(",")
                guard take("}") else { return nil }
            }
            skipSpace()
            return index == bytes.count ? members : nil
        }

        private mutating func skipSpace() {
            while index < bytes.count, JSONText.isSpace(bytes[index]) { index += 1 }
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        private mutating func key() -> String? {
            let start = index
            guard skipString() else { return nil }
            let text = bytes[start..<index]
            return text.withUnsafeBufferPointer { JSONPolicy.value(of: $0).stringValue }
        }

        /// Steps over a string with its quotes.
        private mutating func skipString() -> Bool {
            guard take("\"") else { return false }
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "\""):
                    index += 1
                    return true
                case UInt8(ascii: "\\"): index += 2
                default: index += 1
                }
            }
            return false
        }

        /// The bytes of a value: up to the comma or bracket that ends it on its own level.
        private mutating func value() -> ArraySlice<UInt8>? {
            let start = index
            var depth = 0
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "\""):
                    guard skipString() else { return nil }
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return trimmed(start) }
                    depth -= 1
                case UInt8(ascii: ","):
                    if depth == 0 { return trimmed(start) }
                default: break
                }
                index += 1
            }
            return nil
        }

        private func trimmed(_ start: Int) -> ArraySlice<UInt8>? {
            var end = index
            while end > start, JSONText.isSpace(bytes[end - 1]) { end -= 1 }
            return end > start ? bytes[start..<end] : nil
        }
    }
}
