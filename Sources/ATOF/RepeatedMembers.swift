/// Members that a JSON text has and its value has not, because a later one of the same name took their place.
package enum RepeatedMembers {
    package static func arePresent(in json: RawJSON, of value: JSONValue) -> Bool {
        json.withBytes { arePresent(in: $0, of: value) }
    }

    static func arePresent(in json: UnsafeBufferPointer<UInt8>, of value: JSONValue) -> Bool {
        colons(in: json) > members(of: value)
    }

    /// Each member has one colon outside of strings.
    private static func colons(in text: UnsafeBufferPointer<UInt8>) -> Int {
        var count = 0
        var isInString = false
        var index = 0
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: ":"): if !isInString { count += 1 }
            default: break
            }
            index += 1
        }
        return count
    }

    private static func members(of value: JSONValue) -> Int {
        switch value {
        case .object(let object): object.reduce(object.count) { $0 + members(of: $1.value) }
        case .array(let elements): elements.reduce(0) { $0 + members(of: $1) }
        case .null, .bool, .int, .unsigned, .double, .string: 0
        }
    }
}
