package import ATOF

extension NormalizedRequest {
    /// The request with members replaced by those of an edit. Null clears; `extra` replaces all that the model does not
    /// know.
    ///
    /// - Throws: `CodecError` when a member has a type that the model does not allow.
    package func edited(_ edit: JSONObject) throws(CodecError) -> NormalizedRequest {
        var members = members
        var extra = extra
        for member in edit {
            if member.key == "extra" {
                guard let object = member.value.nonNull.map({ $0.objectValue }) ?? JSONObject() else {
                    throw CodecError(.invalidArgument, "extra must be an object")
                }
                extra = object
            } else {
                members[member.key] = member.value.nonNull
            }
        }
        return try NormalizedRequest(members: members, extra: extra)
    }

    /// The request with other messages.
    package func replacing(messages: [Message]) -> NormalizedRequest { replacing(messages: messages, tools: tools) }

    func replacing(messages: [Message], tools: [ToolDefinition]?) -> NormalizedRequest {
        var others = members
        others["messages"] = nil
        return NormalizedRequest(
            messages: messages, instructions: instructions, parameters: parameters ?? Parameters(), tools: tools,
            others: others, extra: extra)
    }
}
