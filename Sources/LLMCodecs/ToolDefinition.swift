package import ATOF

/// A tool that a request offers, as its wire form (`codecs-and-pricing.md` 1.4).
package struct ToolDefinition: Sendable, Hashable {
    /// All members: `{type: "function", function: {…}}` or `{type: "provider_native", provider, kind, value}`.
    package let members: JSONObject

    package var function: JSONObject? { members["function"]?.objectValue }
    package var name: String? { function?["name"]?.stringValue }
    package var description: String? { function?["description"]?.stringValue }
    package var parameters: JSONValue? { function?["parameters"] }
    package var native: NativeValue? { NativeValue(members) }

    init(members: JSONObject) { self.members = members }

    /// - Parameter extra: members beside `function`.
    init(function: JSONObject, extra: JSONObject = JSONObject()) {
        var members = extra
        members["type"] = "function"
        members["function"] = .object(function)
        self.members = members
    }

    /// A function's members with the types of the modelled ones checked; a null description or strict vanishes.
    ///
    /// - Throws: `CodecError` when the name is missing or a member has the wrong type.
    static func checkedFunction(_ function: JSONObject) throws(CodecError) -> JSONObject {
        var reader = MemberReader(function, rejecting: .invalidArgument)
        _ = try reader.requiredString("name")
        var function = function
        if try reader.string("description") == nil { function["description"] = nil }
        if try reader.bool("strict") == nil { function["strict"] = nil }
        return function
    }

    /// The tool without members that are null where the model has none.
    var modelled: ToolDefinition {
        guard var function else { return self }
        for key in ["description", "parameters", "strict"] { function[key] = function[key]?.nonNull }
        return ToolDefinition(function: function, extra: members)
    }

    init(native: NativeValue) {
        var members = native.members
        members["type"] = "provider_native"
        self.members = members
    }

    /// Reads the form that annotations have.
    init(_ value: JSONValue, rejecting kind: CodecError.Kind) throws(CodecError) {
        var reader = try MemberReader(value, "a tool", rejecting: kind)
        self.init(members: reader.object)
        switch try reader.requiredString("type") {
        case "function":
            guard name != nil else { throw CodecError(kind, "a function tool lacks its name") }
        case "provider_native":
            guard native != nil else { throw CodecError(kind, "a provider_native tool lacks its value") }
        default: throw CodecError(kind, "a tool has an unknown type")
        }
    }
}
