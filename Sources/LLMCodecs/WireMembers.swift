internal import ATOF

/// Members of a provider's object that go over to the common form as they are, with the type that they must have.
struct WireMembers: Sendable {
    /// The type of a member; the words are for messages.
    enum MemberType: String, Sendable {
        case string = "a string"
        case bool = "a boolean"
        case unsigned = "a non-negative integer"
        case integer = "an integer"
        case number = "a number"
        case object = "an object"
        case array = "an array"
        case strings = "an array of strings"
        /// Anything, an explicit null included.
        case any = "a value"

        func accepts(_ value: JSONValue) -> Bool {
            switch self {
            case .string: value.stringValue != nil
            case .bool: value.boolValue != nil
            case .unsigned: value.uint64Value != nil
            case .integer: value.int64Value != nil
            case .number: value.numberValue != nil
            case .object: value.objectValue != nil
            case .array: value.arrayValue != nil
            case .strings: value.arrayValue?.allSatisfy { $0.stringValue != nil } ?? false
            case .any: true
            }
        }
    }

    let type: MemberType
    let keys: [String]

    init(_ type: MemberType, _ keys: [String]) {
        self.type = type
        self.keys = keys
    }
}
