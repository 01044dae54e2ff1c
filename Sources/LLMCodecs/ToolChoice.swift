internal import ATOF

/// Which tool a model may or has to call, in the form of annotations (`codecs-and-pricing.md` 1.4).
enum ToolChoice {
    case auto, none, required
    case function(String)
    case native(NativeValue)

    static func function(_ name: String) -> JSONValue { ["function": ["name": .string(name)], "type": "function"] }

    /// Reads the form that annotations have.
    init(_ value: JSONValue) throws(CodecError) {
        switch value {
        case "auto": self = .auto
        case "none": self = .none
        case "required": self = .required
        case .object(let object):
            if object["type"] == "function", let name = object["function"]?["name"]?.stringValue {
                self = .function(name)
            } else if let native = NativeValue(object) {
                self = .native(native)
            } else {
                throw CodecError(.invalidArgument, "tool_choice names no function")
            }
        case .null, .bool, .int, .unsigned, .double, .string, .array:
            throw CodecError(.invalidArgument, "tool_choice must be auto, none, required or an object")
        }
    }
}
