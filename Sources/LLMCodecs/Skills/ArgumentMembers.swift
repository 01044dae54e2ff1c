internal import ATOF

/// The members of all objects in a tool's arguments (`codecs-and-pricing.md` 7, traversal).
enum ArgumentMembers {
    /// Visits the members of an object in the order of their keys, and then what is nested, the last value first.
    ///
    /// - Parameter visit: gets the key as an identifier.
    static func visit(_ arguments: JSONValue, _ visit: (String, JSONValue) -> Void) {
        var waiting = [arguments]
        while let value = waiting.popLast() {
            switch value {
            case .object(let object):
                for member in object {
                    visit(member.key.identifier, member.value)
                    waiting.append(member.value)
                }
            case .array(let elements): waiting += elements
            case .null, .bool, .int, .unsigned, .double, .string: break
            }
        }
    }
}

extension String {
    /// Its ASCII letters and digits, in lower case: `read_file`, `readFile` and `Read-File` are the same.
    var identifier: String {
        String(decoding: utf8.lazy.filter(\.isASCIILetterOrDigit), as: UTF8.self).asciiLowercased
    }
}

extension UInt8 {
    var isASCIILetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
