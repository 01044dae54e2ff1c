package import ATOF

/// A call of a tool that a model asked for (`codecs-and-pricing.md` 1.4).
package struct ToolCall: Sendable, Hashable {
    package let id: String
    package let name: String
    /// In a response the parsed value. In a request always a string, which holds JSON as the provider wrote it.
    package let arguments: JSONValue

    init(id: String, name: String, arguments: JSONValue) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }

    /// Reads a call of an assistant message: `{id, type, function: {name, arguments}}`.
    init(ofRequest value: JSONValue, rejecting kind: CodecError.Kind) throws(CodecError) {
        var reader = try MemberReader(value, "a tool call", rejecting: kind)
        var function = try MemberReader(reader.any("function"), "function of a tool call", rejecting: kind)
        self.init(
            id: try reader.requiredString("id"), name: try function.requiredString("name"),
            arguments: .string(try function.requiredString("arguments")))
    }

    /// Reads a call of a response annotation: `{id, name, arguments}`.
    init(ofResponse value: JSONValue, rejecting kind: CodecError.Kind) throws(CodecError) {
        var reader = try MemberReader(value, "a tool call", rejecting: kind)
        guard let arguments = reader.any("arguments") else { throw CodecError(kind, "arguments is missing") }
        self.init(
            id: try reader.requiredString("id"), name: try reader.requiredString("name"), arguments: arguments)
    }

    /// The form of a call in an assistant message.
    var requestJSON: JSONValue {
        ["function": ["arguments": arguments, "name": .string(name)], "id": .string(id), "type": "function"]
    }

    /// The form of a call in a response annotation.
    var responseJSON: JSONValue { ["arguments": arguments, "id": .string(id), "name": .string(name)] }
}

extension ToolCall {
    /// The value of arguments that came as text: strict JSON of fewer than 128 levels, otherwise the text itself
    /// (`codecs-and-pricing.md` 2.1, argument parsing).
    package static func parsedArguments(_ text: String) -> JSONValue {
        guard let value = StrictJSON.value(of: text) else { return .string(text) }
        return value
    }
}
